"""Being asked to stop, from outside."""

import signal
import threading
from types import FrameType


class StopAsked(Exception):
    """Somebody asked to stop while the stack was still starting."""


def raise_if_asked(stopping: threading.Event) -> None:
    """For the steps of a start, each of which may be the last."""
    if stopping.is_set():
        raise StopAsked


def stop_on_signals() -> threading.Event:
    """An event that is set when somebody asks this process to stop: Ctrl-C, `kill`, or a closed terminal."""
    stopping = threading.Event()

    def ask(_number: int, _frame: FrameType | None) -> None:
        stopping.set()

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, ask)
    return stopping
