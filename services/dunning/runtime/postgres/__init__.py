"""The store in PostgreSQL: one schema per service, one connection per transaction, SQL in `queries.sql`."""

from dunning.runtime.postgres.policies import PolicyChanged, StoredPolicy, load_policies, save_policy
from dunning.runtime.postgres.settings import PostgresSettings
from dunning.runtime.postgres.store import PostgresStore, SchemaMissing

__all__ = [
    "PolicyChanged",
    "PostgresSettings",
    "PostgresStore",
    "SchemaMissing",
    "StoredPolicy",
    "load_policies",
    "save_policy",
]
