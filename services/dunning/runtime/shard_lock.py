"""Which instance publishes which outbox shard: a session lock in PostgreSQL, held as long as its connection lives.

It only keeps instances out of each other's way. That a former owner cannot publish is not its doing: the broker fences
it off by the transactional id (rule 41). An owner that hangs is cut off by the server after a while, so that its
shards find another.
"""

import asyncio
from contextlib import suppress
from zlib import crc32

import asyncpg

from dunning.runtime.settings import Settings

_IDLE_SECONDS_MAX = 10
_KEEP_ALIVE_SECONDS = 2.0
LOCK_TROUBLES = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)
"""What a session raises that is gone. The last one: the server said why it hung up, and nobody had asked."""


class ShardLocks:
    """The shards of one service that this process holds; all in one session, so all are lost together."""

    def __init__(self, settings: Settings, service: str) -> None:
        self._settings = settings
        self._space = crc32(f"{settings.topic_prefix}dunning-{service}-outbox".encode()) - 2**31
        self._connection: asyncpg.Connection[asyncpg.Record] | None = None
        self._held: set[int] = set()
        self._one_at_a_time = asyncio.Lock()

    async def acquire(self, shard: int) -> bool:
        """Try to get a shard; False while another instance has it. Raises one of LOCK_TROUBLES."""
        async with self._one_at_a_time:
            await self._connected()
            if shard in self._held and await self._is_alive():  # such locks count: taken twice, they are held twice
                return True
            connection = await self._connected()
            got: bool = await connection.fetchval("select pg_try_advisory_lock($1, $2)", self._space, shard)
            if got:
                self._held.add(shard)
            return got

    async def holds(self, shard: int) -> bool:
        """Whether the session that got this shard still lives."""
        async with self._one_at_a_time:
            return shard in self._held and await self._is_alive()

    async def give_up(self, shard: int) -> None:
        """Let another instance have it."""
        async with self._one_at_a_time:
            if shard in self._held and self._connection is not None:
                self._held.discard(shard)
                try:
                    await self._connection.execute("select pg_advisory_unlock($1, $2)", self._space, shard, timeout=5)
                except LOCK_TROUBLES:
                    await self._forget()

    async def keep_alive(self) -> None:
        """Show the server that this process does not hang. Runs for ever."""
        while True:
            await asyncio.sleep(_KEEP_ALIVE_SECONDS)
            for shard in list(self._held)[:1]:
                await self.holds(shard)

    async def close(self) -> None:
        async with self._one_at_a_time:
            await self._forget()

    async def _is_alive(self) -> bool:
        """Ask the session itself; one that does not answer has lost all its locks."""
        try:
            if self._connection is not None:
                await self._connection.execute("select 1", timeout=5)
                return True
        except LOCK_TROUBLES:
            await self._forget()
        return False

    async def _connected(self) -> "asyncpg.Connection[asyncpg.Record]":
        if self._connection is None or self._connection.is_closed():
            await self._forget()
            self._connection = await asyncpg.connect(
                self._settings.database_url.get_secret_value(),
                ssl=self._settings.database_tls(),
                timeout=10,
                command_timeout=10,
                server_settings={
                    "application_name": "dunning outbox shards",
                    "idle_session_timeout": str(_IDLE_SECONDS_MAX * 1000),
                },
            )
        return self._connection

    async def _forget(self) -> None:
        self._held.clear()
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(*LOCK_TROUBLES):
                await connection.close(timeout=2)
