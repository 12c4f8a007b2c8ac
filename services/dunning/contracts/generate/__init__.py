"""Makes `schemas/` and `docs/events.md` from the models, so that contracts in files cannot drift from those in code."""
