"""The database's clock goes on between readings, and pauses grow up to a limit."""

from datetime import UTC, datetime, timedelta

from dunning.runtime.clock import DatabaseClock
from dunning.runtime.pauses import Pauses

NOON = datetime(2026, 10, 1, 12, tzinfo=UTC)


def test_the_clock_goes_on_from_its_last_reading() -> None:
    passed = [100.0]
    clock = DatabaseClock(5, host=lambda: NOON, monotonic=lambda: passed[0])
    clock.read(NOON + timedelta(seconds=3))
    passed[0] = 107.5

    assert clock.now() == NOON + timedelta(seconds=10.5)


def test_a_process_that_was_frozen_while_it_asked_does_not_take_the_present_for_the_future() -> None:
    passed = [100.0]
    clock = DatabaseClock(5, host=lambda: NOON, monotonic=lambda: passed[0])
    asked_at = clock.monotonic()
    passed[0] += 7200  # the answer was given, then everything stood still
    clock.read(NOON, asked_at)

    assert clock.now() == NOON + timedelta(hours=2)


def test_more_than_five_seconds_apart_is_a_disagreement() -> None:
    clock = DatabaseClock(5, host=lambda: NOON)
    assert not clock.agrees  # nobody knows yet

    clock.read(NOON - timedelta(seconds=5))
    assert clock.agrees
    clock.read(NOON + timedelta(seconds=5.001))
    assert not clock.agrees


def test_pauses_double_with_jitter_up_to_the_longest_and_begin_anew() -> None:
    pauses = Pauses(seconds_first=1, seconds_max=10)
    grown = [pauses.next_seconds() for _ in range(6)]
    limits = [1, 2, 4, 8, 10, 10]

    assert all(limit / 2 <= pause <= limit for pause, limit in zip(grown, limits, strict=True))
    pauses.reset()
    assert pauses.next_seconds() <= 1
