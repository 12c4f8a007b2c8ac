"""Mutation testing: small mistakes planted one at a time, and whether the tests see them (docs/mutants.md)."""
