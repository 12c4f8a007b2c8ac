"""The wire: what every topic carries, and how bytes become domain values and domain values bytes.

`decode` reads what services are sent, `encode` writes what they publish; `topics` says where it all goes. Models of the
data are in `payments`, `signals` and `published`; files under `schemas/` and `docs/events.md` are generated from them.
"""
