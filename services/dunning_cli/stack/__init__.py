"""A real Kafka, a real PostgreSQL and a mail sink on this machine, and whoever watches over them.

Each module knows one thing: `kafka`, `postgres`, `mail` and `services` describe parts, `processes` starts and stops
them, `supervisor` watches them, `run` is one `up` from beginning to end, `layout` says which file lies where.
"""
