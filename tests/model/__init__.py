"""A second, slow and obvious model of the rules, written from their page; it shares no code with the services.

`python -m tests.model` compares it with `dunning simulate` (docs/random-histories.md).
"""
