"""Being asked to stop, from outside."""

import signal
import threading
from types import FrameType


def stop_on_signals() -> threading.Event:
    """An event that is set when somebody asks this process to stop: Ctrl-C, `kill`, or a closed terminal."""
    stopping = threading.Event()

    def ask(_number: int, _frame: FrameType | None) -> None:
        stopping.set()

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, ask)
    return stopping
