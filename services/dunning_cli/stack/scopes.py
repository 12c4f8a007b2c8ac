"""What one `up` is responsible for, and the locks that keep two of them from doing the same."""

import fcntl
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from enum import StrEnum
from pathlib import Path

from dunning.contracts.topics import SERVICES
from dunning_cli.stack.layout import Layout
from dunning_cli.stack.processes import POLL_SECONDS

_LOCK_TRIES = 5
READY_SECONDS_MAX = 900  # The first start downloads a broker.


class Scope(StrEnum):
    """A half of the stack that can be started alone."""

    INFRA = "infra"
    SERVICES = "services"

    @property
    def parts(self) -> tuple[str, ...]:
        """Its parts in the order in which they are stopped."""
        return SERVICES if self is Scope.SERVICES else ("kafka", "mail_sink", "postgres")

    @property
    def supervisor(self) -> str:
        """The name of the supervisor's record when it is responsible for this scope first of all."""
        return "services_supervisor" if self is Scope.SERVICES else "supervisor"


ALL_SCOPES = frozenset(Scope)


@contextmanager
def held(layout: Layout, wanted: frozenset[Scope]) -> Iterator[frozenset[Scope]]:
    """The wanted scopes that nobody else runs; the kernel gives them back when the holder dies, however it dies."""
    with ExitStack() as locks:
        yield frozenset(scope for scope in sorted(wanted) if _lock(layout, scope, locks))


def is_running(layout: Layout, scope: Scope) -> bool:
    """Whether a living supervisor is responsible for the scope."""
    with ExitStack() as locks:
        return not _try_lock(layout, scope, locks)


def mark_ready(layout: Layout, scopes: frozenset[Scope]) -> None:
    for scope in scopes:
        _ready_mark(layout, scope).touch()


def unmark_ready(layout: Layout, scopes: frozenset[Scope]) -> None:
    for scope in scopes:
        _ready_mark(layout, scope).unlink(missing_ok=True)


def wait_until_ready(layout: Layout, scopes: frozenset[Scope]) -> bool:
    """Wait while somebody is starting the scopes; false when nobody is, or when they do not make it."""
    deadline = time.monotonic() + READY_SECONDS_MAX
    while time.monotonic() < deadline and all(is_running(layout, scope) for scope in scopes):
        if all(_ready_mark(layout, scope).exists() for scope in scopes):
            return True
        time.sleep(POLL_SECONDS)
    return False


def _ready_mark(layout: Layout, scope: Scope) -> Path:
    return layout.records / f"{scope}.ready"


def _lock(layout: Layout, scope: Scope, locks: ExitStack) -> bool:
    """A few tries: whoever only looks whether the scope runs holds its lock for a moment."""
    for _ in range(_LOCK_TRIES):
        if _try_lock(layout, scope, locks):
            return True
        time.sleep(POLL_SECONDS)
    return False


def _try_lock(layout: Layout, scope: Scope, locks: ExitStack) -> bool:
    file = locks.enter_context(layout.lock_of(scope).open("w"))
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
