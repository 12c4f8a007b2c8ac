"""A line to Kafka or PostgreSQL that a test can cut, slow down, or let hang with everything on it.

Kafka tells its clients where to find its brokers. On the way back the proxy puts its own port in the place of the
broker's, in whole answers, which begin with their length: so every connection goes through it.
"""

import asyncio
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlsplit, urlunsplit

HOST = "127.0.0.1"
_CHUNK_BYTES = 65_536
_Take = Callable[[asyncio.StreamReader], Awaitable[bytes]]


class Proxy:
    """What it does to its lines lasts for a block; blocks may overlap."""

    def __init__(self, port_behind: int, *, is_kafka: bool) -> None:
        self.port = 0
        self._port_behind = port_behind
        self._is_kafka = is_kafka
        self._cuts = 0
        self._hangs = 0
        self._slow_seconds = 0.0
        self._goes_on = asyncio.Event()
        self._goes_on.set()
        self._lines: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def address(self) -> str:
        """`host:port` for clients."""
        return f"{HOST}:{self.port}"

    def url_instead_of(self, url: str) -> str:
        """The URL of a server that is reached through here."""
        parts = urlsplit(url)
        return urlunsplit(parts._replace(netloc=f"{parts.netloc.rpartition(':')[0]}:{self.port}"))

    @asynccontextmanager
    async def cut(self) -> AsyncIterator[None]:
        """All lines are reset, and new ones as soon as they are there."""
        self._cuts += 1
        for writer in self._lines:
            writer.transport.abort()
        try:
            yield
        finally:
            self._cuts -= 1

    @asynccontextmanager
    async def hanging(self) -> AsyncIterator[None]:
        """Nothing arrives; at the end of the block everything does."""
        self._hangs += 1
        self._goes_on.clear()
        try:
            yield
        finally:
            self._hangs -= 1
            if not self._hangs:
                self._goes_on.set()

    @asynccontextmanager
    async def slow(self, seconds: float) -> AsyncIterator[None]:
        """Whatever is said arrives so much later, in both directions."""
        self._slow_seconds += seconds
        try:
            yield
        finally:
            self._slow_seconds -= seconds

    async def take_in(self, near: asyncio.StreamReader, near_end: asyncio.StreamWriter) -> None:
        """One line, from its beginning to its end."""
        if self._cuts:
            near_end.transport.abort()
            return
        try:
            far, far_end = await asyncio.open_connection(HOST, self._port_behind)
        except OSError:
            near_end.transport.abort()
            return
        ends = {near_end, far_end}
        self._lines |= ends
        answer = self._kafka_answer if self._is_kafka else _chunk
        pumps = [self._started(self._pump(near, far_end, _chunk)), self._started(self._pump(far, near_end, answer))]
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._lines -= ends
            for each in pumps:
                each.cancel()
            for end in ends:
                end.close()

    def end(self) -> None:
        """Let go of everything."""
        for task in self._tasks:
            task.cancel()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, take: _Take) -> None:
        with suppress(OSError, EOFError):
            while data := await take(reader):
                if self._slow_seconds:
                    await asyncio.sleep(self._slow_seconds)
                await self._goes_on.wait()
                writer.write(data)
                await writer.drain()

    async def _kafka_answer(self, reader: asyncio.StreamReader) -> bytes:
        length = await reader.readexactly(4)
        answer = await reader.readexactly(struct.unpack(">i", length)[0])
        return length + answer.replace(_place(self._port_behind), _place(self.port))

    def _started(self, pump: Awaitable[None]) -> asyncio.Task[None]:
        task = asyncio.ensure_future(pump)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


def _place(port: int) -> bytes:
    """How an answer of Kafka names a broker's place: the host's text, then the port."""
    return HOST.encode() + struct.pack(">i", port)


async def _chunk(reader: asyncio.StreamReader) -> bytes:
    return await reader.read(_CHUNK_BYTES)


@asynccontextmanager
async def a_proxy(port_behind: int, *, is_kafka: bool) -> AsyncIterator[Proxy]:
    """Listens on a free port for the length of the block."""
    proxy = Proxy(port_behind, is_kafka=is_kafka)
    server = await asyncio.start_server(proxy.take_in, HOST, 0)
    proxy.port = server.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        server.close()
        proxy.end()


@asynccontextmanager
async def kafka_proxy(bootstrap_servers: str) -> AsyncIterator[Proxy]:
    """Before a broker."""
    async with a_proxy(int(bootstrap_servers.rpartition(":")[2]), is_kafka=True) as proxy:
        yield proxy


@asynccontextmanager
async def database_proxy(url: str) -> AsyncIterator[Proxy]:
    """Before a PostgreSQL."""
    port = urlsplit(url).port
    assert port is not None
    async with a_proxy(port, is_kafka=False) as proxy:
        yield proxy
