"""Work shared out to processes, one a core: all of its results, or an error."""

import multiprocessing
import os
import signal
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Final, TypeVar, cast

from dunning_cli.errors import CommandError

WORKER_ENDED = "DUN-S003"
_FORK: Final = "fork"

P = TypeVar("P")
R = TypeVar("R")


def cores() -> int:
    """How many processes can work at the same time; 1 where a process cannot take over what another one has read."""
    if _FORK not in multiprocessing.get_all_start_methods():
        return 1
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def in_processes(work: Callable[[P], R], parts: Sequence[P]) -> list[R]:
    """What `work` makes of each part, each in a process of its own. Raises CommandError where one ends without.

    A process takes over by fork all that `work` and the parts hold, as it stands; only results are sent.
    """
    context = multiprocessing.get_context(_FORK)
    running: list[tuple[BaseProcess, Connection]] = []
    try:
        for part in parts:
            receiving, sending = context.Pipe(duplex=False)
            process = context.Process(target=_work, args=(work, part, sending), daemon=True)
            process.start()
            sending.close()  # or its end would not be noticed
            running.append((process, receiving))
        return [cast(R, _result(process, receiving)) for process, receiving in running]
    finally:
        for each, receiving in running:
            each.kill()
            each.join()
            receiving.close()


def _work(work: Callable[[P], R], part: P, sending: Connection) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the one that waits ends the others
    sending.send(work(part))


def _result(process: BaseProcess, receiving: Connection) -> object:
    try:
        return receiving.recv()
    except (EOFError, OSError):
        process.join()
        what = f"one of the processes that shared the work ended early (exit code {process.exitcode})"
        hint = "nothing was printed. Perhaps memory ran out: --processes 1 needs less at a time"
        raise CommandError(WORKER_ENDED, f"{what}: {hint}") from None
