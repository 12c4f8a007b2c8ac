"""What one `up` is responsible for, and the locks that keep two of them from doing the same."""

import fcntl
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from enum import StrEnum

from dunning_cli.stack.layout import Layout
from dunning_cli.stack.services import SERVICES


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
        yield frozenset(scope for scope in sorted(wanted) if _try_lock(layout, scope, locks))


def is_running(layout: Layout, scope: Scope) -> bool:
    """Whether a living supervisor is responsible for the scope."""
    with ExitStack() as locks:
        return not _try_lock(layout, scope, locks)


def _try_lock(layout: Layout, scope: Scope, locks: ExitStack) -> bool:
    file = locks.enter_context(layout.lock_of(scope).open("w"))
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
