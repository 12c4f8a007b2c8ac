"""Who tells the relays of an instance that there is something to publish."""

import asyncio
from collections.abc import Sequence
from typing import Any

from dunning.runtime.relay import Relay
from dunning.runtime.sharding import shard_of
from dunning.runtime.store import OutboxRow, Store, StoreUnavailable


class OutboxWatch:
    """What this instance commits its relays hear of at once. What others commit, and what one of them left behind, is
    asked for every now and then, in one question for all shards that nobody is at work on: a question for each
    shard took two fifths of what an idle instance needs of a processor.
    """

    def __init__(self, relays: Sequence[Relay], store: Store[Any], poll_seconds: float) -> None:
        """The relays of all shards, in the order of their numbers."""
        self._relays = relays
        self._store = store
        self._poll_seconds = poll_seconds

    def written(self, rows: Sequence[OutboxRow]) -> None:
        """These were committed to the outbox."""
        asleep = {relay.shard for relay in self._relays}
        for row in rows:
            shard = shard_of(row.key, len(self._relays))
            if shard in asleep:
                self._relays[shard].wake()
                asleep.discard(shard)
                if not asleep:
                    return

    async def run(self) -> None:
        """Ask for ever."""
        while True:
            await asyncio.sleep(self._poll_seconds)
            idle = [relay.shard for relay in self._relays if relay.is_idle]
            if idle:
                await self._ask(idle)

    async def _ask(self, shards: Sequence[int]) -> None:
        """Wake those in which something waits. Where the database does not answer each relay asks for itself: it tells
        what it waits for, and waits as it does for anything that is away."""
        try:
            found = await self._store.shards_pending(shards)
        except StoreUnavailable:
            found = set(shards)
        for shard in found:
            self._relays[shard].wake()
