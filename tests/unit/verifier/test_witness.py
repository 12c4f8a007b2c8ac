"""The second witness: the services' tables hold what the topics say."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from dunning_verifier.clock import instant
from dunning_verifier.databases import Errand, Order, Position, Row, Tables, Waiting
from dunning_verifier.values import READERS, SERVICES, Where
from tests.unit.verifier.story import Story, a_suspended_case, assert_broken, assert_kept

AT = instant("2026-03-10T10:00:00Z")
CASE = Story().case
STAGES, FAILED = "dunning.stage.changed", "payment.failed"


def tables() -> Tables:
    """What the services keep after the suspended case: all read, all published."""
    stages = zip(SERVICES, ("none", "suspension_warning", "suspended"), strict=True)
    read = {FAILED: 1, STAGES: 4, "dunning.notice.result": 4}
    return Tables(
        rows=[Row(service, "acc_1", "in_1", CASE, stage, True, None) for service, stage in stages],
        positions=[Position(reader, topic, 0, end) for topic, end in read.items() for reader in READERS[topic]],
    )


def with_row(number: int, **changes: object) -> Tables:
    kept = tables()
    kept.rows[number] = replace(kept.rows[number], **changes)  # type: ignore[arg-type]  # fields by name
    return kept


def with_position(next_offset: int) -> Tables:
    kept = tables()
    kept.positions[0] = replace(kept.positions[0], next_offset=next_offset)
    return kept


def with_more(fill: Callable[[Tables], None]) -> Tables:
    kept = tables()
    fill(kept)
    return kept


WAITING = Waiting("account_enforcement", "dunning.account.status", "acc_1", CASE, AT)
LETTER = Where("payment.failed.retry_scheduler.dlq", 0, 3)
WRONG: dict[str, tuple[int, str, str, Tables]] = {
    "a case that one service closed": (
        1,
        "the services disagree on which case is open (retry_scheduler: none, notification_dispatcher: ",
        "cases of retry_scheduler, invoice in_1",
        with_row(0, is_open=False),
    ),
    "a stage that was never published": (
        2,
        "keeps the account track at terminated",
        f"{STAGES}/0@3",
        with_row(2, stage="terminated"),
    ),
    "a transition that was taken back": (
        2,
        "its last published stage is suspended",
        f"{STAGES}/0@3",
        with_row(2, stage="past_due"),
    ),
    "an outbox that was left": (
        2,
        "decided a dunning.account.status",
        "outbox of account_enforcement",
        with_more(lambda kept: kept.outbox.append(WAITING)),
    ),
    "a case that is closed there": (2, "does not keep open", "dunning.account.status/0@1", with_row(2, is_open=False)),
    "a record that nobody read": (
        10,
        "retry_scheduler never read it: it stands at 0",
        f"{FAILED}/0@0",
        with_position(0),
    ),
    "an offset beyond the log": (1, "has read up to 9, though the log ends at 1", f"{FAILED}/0@9", with_position(9)),
    "a timer that never fired": (
        10,
        "was due at 2026-03-10T10:00:00",
        "cases of notification_dispatcher, invoice in_1",
        with_row(1, due_at=AT),
    ),
    "a mail that nobody knows of": (
        10,
        "nobody says what became of it",
        "errands of notification_dispatcher",
        with_more(lambda kept: kept.errands.append(Errand("notification_dispatcher", "e-1", "acc_1", "begun"))),
    ),
    "a replay that nobody took": (
        10,
        "never took the replay",
        str(LETTER),
        with_more(lambda kept: kept.orders.append(Order("retry_scheduler", LETTER, None, AT, False))),
    ),
}
ENDS = {(FAILED, 0): 1}


def test_tables_that_agree_are_as_they_should_be() -> None:
    assert_kept(a_suspended_case(), tables=tables(), log_ends=ENDS)


@pytest.mark.parametrize("what", WRONG)
def test_tables_that_say_something_else_are_rejected(what: str) -> None:
    promise, says, where, kept = WRONG[what]

    assert_broken(a_suspended_case(), promise, says, where, tables=kept, log_ends=ENDS)


def test_replays_on_file_are_those_that_took_effect() -> None:
    outcomes = ("applied", "duplicate", "set_aside", None)
    kept = Tables(orders=[Order("retry_scheduler", LETTER, outcome, AT, False) for outcome in outcomes])

    assert [replay.letter for replay in kept.replays] == [LETTER]
