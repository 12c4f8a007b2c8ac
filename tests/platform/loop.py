"""An event loop whose time is simulated, and processes that can be killed and frozen between any two of its steps.

Nothing sleeps: when nothing is ready, the clock moves on to the next timer. Callbacks run in the order in which they
became ready, so a run is decided by its seed alone; what varies is how long each call over a network takes.

A process is what runs in its context: tasks inherit it from whoever started them. What a dead process still had
scheduled never runs; what a frozen one had is kept until it is thawed, and then runs with the clock moved on.
"""

import asyncio
import contextvars
import heapq
from collections.abc import Callable, Coroutine
from enum import Enum, auto
from typing import Any


class Life(Enum):
    """What may become of a process."""

    RUNS = auto()
    FROZEN = auto()
    DEAD = auto()


class Killed(BaseException):
    """Ends the step in which a process died; nothing of it runs afterwards."""


class Process:
    """One simulated operating system process."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.service = name.partition(" ")[0]
        self.life = Life.RUNS
        self.ends: list[Callable[[], None]] = []  # what the outside notices of its death at once
        self.freezes: list[Callable[[], None]] = []  # what begins to run out while it hangs
        self._kept: list[asyncio.Handle] = []
        self._resting: list[asyncio.Future[None]] = []

    async def rest(self, seconds: float) -> None:
        """Sleep for so long, or until somebody rings."""
        loop = asyncio.get_running_loop()
        rung: asyncio.Future[None] = loop.create_future()
        self._resting.append(rung)
        timer = loop.call_later(seconds, _ring, rung)
        try:
            await rung
        finally:
            timer.cancel()

    def ring(self) -> None:
        """Whoever rests goes on."""
        resting, self._resting = self._resting, []
        for rung in resting:
            _ring(rung)

    def keep(self, handle: asyncio.Handle) -> None:
        """For when it goes on."""
        self._kept.append(handle)

    def kill(self) -> None:
        """As SIGKILL would."""
        if self.life is not Life.DEAD:
            self.life = Life.DEAD
            for end in self.ends:
                end()

    def freeze(self) -> None:
        """As SIGSTOP would."""
        if self.life is Life.RUNS:
            self.life = Life.FROZEN
            for begin in self.freezes:
                begin()

    def thaw(self, loop: "SimulatedLoop") -> None:
        """As SIGCONT would."""
        if self.life is Life.FROZEN:
            self.life = Life.RUNS
            kept, self._kept = self._kept, []
            loop.run_again(kept)

    def start(self, loop: "SimulatedLoop", coroutine: Coroutine[Any, Any, Any]) -> "asyncio.Task[Any]":
        """Run it as this process."""
        context = contextvars.Context()
        context.run(PRESENT.set, self)
        return loop.create_task(coroutine, context=context)


def _ring(rung: "asyncio.Future[None]") -> None:
    if not rung.done():
        rung.set_result(None)


PRESENT: contextvars.ContextVar[Process | None] = contextvars.ContextVar("process", default=None)


class NothingLeftToDo(Exception):
    """Everybody waits for somebody else, for ever."""


class _Task(asyncio.Task):  # type: ignore[type-arg]
    """Counts instead of an address: sets of tasks keep the same order in every run."""

    numbers = iter(range(1, 1 << 62))

    def __init__(self, *arguments: Any, **named: Any) -> None:
        self._number = next(_Task.numbers)
        super().__init__(*arguments, **named)
        self._log_destroy_pending = False

    def __hash__(self) -> int:
        return self._number

    def __eq__(self, other: object) -> bool:
        return self is other


class SimulatedLoop(asyncio.BaseEventLoop):
    """`asyncio` without a clock and without sockets."""

    def __init__(self) -> None:
        super().__init__()
        _Task.numbers = iter(range(1, 1 << 62))
        self._now = 0.0
        self._timers: list[tuple[float, int, asyncio.TimerHandle]] = []  # by time, then in the order in which they came
        self._numbers = iter(range(1, 1 << 62))
        self.steps = 0
        self.set_task_factory(_make_task)  # type: ignore[arg-type]  # named arguments come one by one
        self.set_exception_handler(lambda loop, context: None)

    def time(self) -> float:
        return self._now

    def call_soon(  # type: ignore[override]  # its callback takes what is given; so does that of `call_at`
        self, callback: Any, *args: Any, context: contextvars.Context | None = None
    ) -> asyncio.Handle:
        handle = asyncio.Handle(callback, args, self, context)
        self._ready.append(handle)  # type: ignore[attr-defined]
        return handle

    def call_at(  # type: ignore[override]
        self, when: float, callback: Any, *args: Any, context: contextvars.Context | None = None
    ) -> asyncio.TimerHandle:
        timer = asyncio.TimerHandle(when, callback, args, self, context)
        heapq.heappush(self._timers, (when, next(self._numbers), timer))
        return timer

    def bury(self) -> None:
        """Nothing of what is still under way ever runs."""
        self._ready.clear()  # type: ignore[attr-defined]
        self._timers.clear()
        self.close()

    def run_again(self, handles: list[asyncio.Handle]) -> None:
        """What a thawed process had under way."""
        self._ready.extend(handles)  # type: ignore[attr-defined]

    def _run_once(self) -> None:
        ready, timers = self._ready, self._timers  # type: ignore[attr-defined]
        if not ready:
            while timers and timers[0][2]._cancelled:
                heapq.heappop(timers)
            if not timers:
                raise NothingLeftToDo
            self._now = max(self._now, timers[0][0])
        while timers and timers[0][0] <= self._now:
            ready.append(heapq.heappop(timers)[2])
        for _ in range(len(ready)):
            handle = ready.popleft()
            if handle._cancelled:
                continue
            context = handle._context
            process = context.get(PRESENT)
            if process is not None and process.life is not Life.RUNS:
                if process.life is Life.FROZEN:
                    process.keep(handle)
                continue
            self.steps += 1
            try:
                context.run(handle._callback, *handle._args)
            except (SystemExit, KeyboardInterrupt, NothingLeftToDo):
                raise
            except BaseException:  # noqa: BLE001 - a callback of somebody who died
                continue

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """They are passed over when their time comes."""

    def _write_to_self(self) -> None:
        """There are no other threads."""


def _make_task(
    loop: asyncio.AbstractEventLoop, coroutine: Coroutine[Any, Any, Any], **named: Any
) -> "asyncio.Task[Any]":
    return _Task(coroutine, loop=loop, **named)
