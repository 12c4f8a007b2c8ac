"""From where timers look for what is due while there is plenty of it."""

from datetime import datetime

import pytest

from dunning.runtime import sweep
from dunning.runtime.sweep import Sweep
from tests.contract.kit import at


class Seconds:
    """A clock that is moved by hand."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def seconds(monkeypatch: pytest.MonkeyPatch) -> Seconds:
    clock = Seconds()
    monkeypatch.setattr(sweep, "monotonic", clock)
    return clock


def full(*firsts: datetime) -> dict[str, list[tuple[str, datetime]]]:
    """A batch of accounts, each with a case that is due then and another much later."""
    return {f"acct-{number}": [("inv-1", first), ("inv-2", at(20))] for number, first in enumerate(firsts)}


def test_after_a_full_batch_the_next_look_begins_at_the_last_first_of_its_accounts(seconds: Seconds) -> None:
    way = Sweep()

    assert way.look() is None
    way.go_on(None, full(at(8), at(10), at(9)))
    assert way.look() == at(10)
    way.go_on(at(10), {"acct-4": [("inv-1", at(7)), ("inv-2", at(11))], "acct-5": [("inv-1", at(10))]})
    assert way.look() == at(11)


def test_where_a_full_batch_is_due_at_the_very_instant_that_it_was_looked_for_from_the_next_look_begins_there_too(
    seconds: Seconds,
) -> None:
    way = Sweep()
    way.look()
    way.go_on(None, full(at(10)))
    since = way.look()

    way.go_on(since, full(at(10)))

    assert way.look() == at(10)


def test_a_batch_that_was_not_full_or_failed_is_followed_by_a_look_from_the_beginning(seconds: Seconds) -> None:
    way = Sweep()
    way.look()
    way.go_on(None, full(at(8)))
    assert way.look() == at(8)

    assert way.look() is None


def test_what_was_passed_over_is_looked_for_every_second(seconds: Seconds) -> None:
    way = Sweep()
    way.look()
    way.go_on(None, full(at(8)))
    seconds.now += 0.9
    since = way.look()
    assert since == at(8)
    way.go_on(since, full(at(9)))
    seconds.now += 0.2

    assert way.look() is None


def test_where_looking_from_the_beginning_takes_long_it_is_done_more_seldom(seconds: Seconds) -> None:
    way = Sweep()
    way.look()
    seconds.now += 0.5
    way.go_on(None, full(at(8)))
    seconds.now += 4.9
    assert way.look() == at(8)
    way.go_on(at(8), full(at(9)))
    seconds.now += 0.2

    assert way.look() is None
