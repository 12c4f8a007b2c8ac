"""How to reach PostgreSQL, and how long to wait for it."""

from dataclasses import dataclass, field
from ssl import SSLContext
from typing import Literal

TlsMode = Literal["disable", "allow", "prefer", "require", "verify-ca", "verify-full"]


@dataclass(frozen=True, kw_only=True, slots=True)
class PostgresSettings:
    """The time limits are the server's own: they hold even when this process hangs and cannot let go of its locks.

    TLS is asked for in the URL (`?sslmode=verify-full&sslrootcert=…`). `ssl`, where it is given, wins over the URL: a
    context, or one of the words of `sslmode`.
    """

    url: str = field(repr=False)  # it may hold a password
    pool_size: int = 8  # connections at most: one per lane, and a few for the relay, errands and leases
    connect_timeout_seconds: float = 10
    acquire_timeout_seconds: float = 30  # for a free connection of the pool
    statement_timeout_seconds: float = 30
    lock_timeout_seconds: float = 10
    idle_in_transaction_timeout_seconds: float = 10  # between two statements a turn only decides, for far less
    ssl: SSLContext | TlsMode | None = None
