"""The store in memory as one process reaches it: over a way that breaks, in sessions that the server may end.

A session ends with its process, or when it idles in a transaction for too long; then what it had not committed is
rolled back, its locks are free, and its process learns of it with its next word.
"""

import asyncio
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from dunning.runtime.shard_lock import ShardLocks
from dunning.runtime.store import Owned, StoreUnavailable, TopicPartition
from dunning.testing.memory import MemoryStore, MemoryTransaction
from dunning.testing.memory_tables import LockName, Locks
from tests.platform.ambushes import LOCKS, STORE
from tests.platform.faults import OUTSIDE, Faults, Way
from tests.platform.loop import PRESENT, Life, Process

IDLE_IN_TRANSACTION_SECONDS = 12.0
IDLE_SHARD_LOCKS_SECONDS = 5.0


class OwnedLocks(Locks):
    """Locks that know whose process holds them."""

    def __init__(self) -> None:
        super().__init__()
        self._process_of: dict[int, Process | None] = {}
        self._kept: list[object] = []  # so that no address comes again

    async def take(self, name: LockName, holder: object) -> None:
        if id(holder) not in self._process_of:
            self._process_of[id(holder)] = PRESENT.get()
            self._kept.append(holder)
        await super().take(name, holder)

    def free_those_of(self, process: Process) -> None:
        """Its sessions are gone."""
        for name, holder in list(self._holders.items()):
            if self._process_of.get(id(holder)) is process:
                self.release([name], holder)


@dataclass
class Database:
    """One service's schema, its shard locks, and what must never be seen in it."""

    store: MemoryStore[Any]
    faults: Faults
    locks: OwnedLocks = field(default_factory=OwnedLocks)
    owners: dict[TopicPartition, Process] = field(default_factory=dict)
    shards: dict[int, Process] = field(default_factory=dict)
    sessions: dict[Process, list["_Session"]] = field(default_factory=dict)
    seen: list[str] = field(default_factory=list)  # what must not be

    def __post_init__(self) -> None:
        self.store._locks = self.locks

    def connect(self, process: Process) -> Any:
        """The store as this process has it."""
        process.ends.append(lambda: self.disconnect(process))
        process.freezes.append(lambda: self.froze(process))
        return _Connected(self, process, Way(self.faults, process, STORE))

    def disconnect(self, process: Process) -> None:
        """All sessions of a process end."""
        for session in self.sessions.pop(process, []):
            session.is_lost = True
        self.locks.free_those_of(process)
        self.shards = {shard: owner for shard, owner in self.shards.items() if owner is not process}

    def froze(self, process: Process) -> None:
        """The server notices after a while."""
        loop = self.faults.loop

        def end_idle_transactions() -> None:
            if process.life is Life.FROZEN:
                for session in self.sessions.pop(process, []):
                    session.is_lost = True
                self.locks.free_those_of(process)

        def end_idle_locks() -> None:
            if process.life is Life.FROZEN:
                self.shards = {shard: owner for shard, owner in self.shards.items() if owner is not process}

        loop.call_later(IDLE_IN_TRANSACTION_SECONDS, end_idle_transactions, context=OUTSIDE)
        loop.call_later(IDLE_SHARD_LOCKS_SECONDS, end_idle_locks, context=OUTSIDE)

    def look_at(self, process: Process, transaction: MemoryTransaction[Any]) -> None:
        """Whoever was replaced writes nothing."""
        for at in transaction.written.offsets:
            owner = self.owners.get(at)
            if owner is not process:
                who = owner.name if owner else "nobody"
                self.seen.append(f"{process.name} stored offsets of {at.topic}[{at.partition}], which {who} has")


@dataclass(eq=False)
class _Session:
    is_lost: bool = False

    def check(self) -> None:
        if self.is_lost:
            raise StoreUnavailable("the session was ended")


class _Connected:
    """`dunning.runtime.store.Store`, all of it by name."""

    def __init__(self, database: Database, process: Process, way: Way) -> None:
        self._database = database
        self._process = process
        self._way = way

    @property
    def shards(self) -> int:
        return self._database.store.shards

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Any]:
        way, database = self._way, self._database
        await way.before("begin")
        session = _Session()
        database.sessions.setdefault(self._process, []).append(session)
        try:
            async with database.store.transaction() as tx:
                yield _Transaction(tx, way, session)
                await way.before("commit", tx.written)
                session.check()
                database.look_at(self._process, tx)
        finally:
            if session in database.sessions.get(self._process, ()):
                database.sessions[self._process].remove(session)
        await way.after("commit", tx.written)

    async def take_over(self, partitions: Collection[TopicPartition]) -> dict[TopicPartition, Owned]:
        await self._way.before("take_over")
        owned = await self._database.store.take_over(partitions)
        self._database.owners.update(dict.fromkeys(partitions, self._process))
        await self._way.after("take_over")
        return owned

    def __getattr__(self, name: str) -> Any:
        done = getattr(self._database.store, name)

        async def call(*given: Any, **named: Any) -> Any:
            await self._way.before(name)
            answer = await done(*given, **named)
            await self._way.after(name, answer)
            return answer

        return call


class _Transaction:
    """`dunning.runtime.store.Transaction`, all of it by name."""

    def __init__(self, tx: MemoryTransaction[Any], way: Way, session: _Session) -> None:
        self._tx = tx
        self._way = way
        self._session = session

    def __getattr__(self, name: str) -> Any:
        done = getattr(self._tx, name)

        async def call(*given: Any, **named: Any) -> Any:
            await self._way.before(name)
            self._session.check()
            answer = await done(*given, **named)
            self._session.check()
            return answer

        return call


class SimulatedShardLocks(ShardLocks):
    """Session locks: gone with the session, which ends with its process or when it hangs."""

    def __init__(self, database: Database, process: Process) -> None:
        self._database = database
        self._process = process
        self._way = Way(database.faults, process, LOCKS)

    async def acquire(self, shard: int) -> bool:
        return await self._way.call("acquire", lambda: self._acquire(shard))

    def _acquire(self, shard: int) -> bool:
        return self._database.shards.setdefault(shard, self._process) is self._process

    async def holds(self, shard: int) -> bool:
        try:
            return await self._way.call("holds", lambda: self._database.shards.get(shard) is self._process)
        except OSError:
            self._give_up_all()
            return False

    async def give_up(self, shard: int) -> None:
        if self._database.shards.get(shard) is self._process:
            del self._database.shards[shard]

    async def keep_alive(self) -> None:
        await asyncio.Event().wait()

    async def close(self) -> None:
        self._give_up_all()

    def _give_up_all(self) -> None:
        shards = self._database.shards
        self._database.shards = {shard: owner for shard, owner in shards.items() if owner is not self._process}
