"""A failure of each of a few accounts every tenth of a second, and what a subscriber sees come of them."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import pairwise

from aiokafka import AIOKafkaConsumer

from tests.kernel import Kernel, eventually

_EVERY_SECONDS = 0.1


class Steady:
    """What was sent and what was seen, until it ends."""

    def __init__(self, kernel: Kernel, accounts: int) -> None:
        self._kernel = kernel
        self._accounts = [f"acc-{number}" for number in range(accounts)]
        self._rounds = 0
        self._over, self._sent = asyncio.Event(), asyncio.Event()
        self.tasks: list[asyncio.Task[None]] = []
        self._seen_at: dict[str, list[float]] = {account: [] for account in self._accounts}

    @property
    def sent(self) -> int:
        """Failures so far."""
        return self._rounds * len(self._accounts)

    @property
    def in_order(self) -> dict[str, list[int]]:
        """The sequences that are to be published of each account."""
        return {account: list(range(1, self._rounds + 1)) for account in self._accounts}

    @property
    def longest_gap_seconds(self) -> float:
        """Between two transitions, of whichever account."""
        return _longest(sorted(at for account in self._seen_at.values() for at in account))

    def __str__(self) -> str:
        of_one = max(_longest(seen) for seen in self._seen_at.values())
        gaps = f"{self.longest_gap_seconds:.1f} s, of one partition {of_one:.1f} s"
        return f"{self.sent} failures; the longest time without a transition was {gaps}"

    async def gets_through(self) -> None:
        """Until of each account something is published that was sent from now on."""
        await self._until(self._rounds + 1)

    async def ends(self) -> None:
        """Nothing more is sent, and all of it is published."""
        self._over.set()
        await self._sent.wait()
        await self._until(self._rounds)

    async def _until(self, rounds: int) -> None:
        async def seen() -> bool:
            for task in self.tasks:
                if task.done():
                    task.result()
            return all(len(each) >= rounds for each in self._seen_at.values())

        await eventually(
            seen, f"{rounds} transitions of each account: {[len(each) for each in self._seen_at.values()]}"
        )

    async def send(self) -> None:
        """Until it ends."""
        while not self._over.is_set():
            self._rounds += 1
            for number, account in enumerate(self._accounts):
                await self._kernel.fails(account, f"pay-{self._rounds}", partition=number)
            await asyncio.sleep(_EVERY_SECONDS)
        self._sent.set()

    async def read(self, reader: AIOKafkaConsumer) -> None:
        """For ever."""
        while True:
            for records in (await reader.getmany(timeout_ms=100)).values():
                for record in records:
                    self._seen_at[record.key.decode()].append(time.monotonic())


def _longest(instants: list[float]) -> float:
    return max((later - earlier for earlier, later in pairwise(instants)), default=0.0)


@asynccontextmanager
async def steady(kernel: Kernel, accounts: int) -> AsyncIterator[Steady]:
    """Traffic for the length of the block; each account has a partition of its own."""
    traffic = Steady(kernel, accounts)
    async with kernel.reader() as reader:
        tasks = traffic.tasks = [asyncio.create_task(traffic.send()), asyncio.create_task(traffic.read(reader))]
        try:
            yield traffic
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
