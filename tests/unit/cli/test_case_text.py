"""The story of a case as a person reads it, from values made by hand."""

from datetime import UTC, datetime

from dunning.contracts.topics import PAYMENT_FAILED, STAGE_CHANGED
from dunning.domain.book import Attempt, Book
from dunning.domain.case import Case
from dunning.domain.events import PolicyRef
from dunning.domain.words import DeclineClass
from dunning_cli.cases.expected import Expected
from dunning_cli.cases.gather import CaseStory, Present
from dunning_cli.cases.read import Key, TrackRow
from dunning_cli.cases.text import case_json, case_lines, story_json, story_lines
from dunning_cli.story import Told

NOW = datetime(2026, 3, 28, 12, tzinfo=UTC)
FAILED_AT = datetime(2026, 3, 28, 10, tzinfo=UTC)


def a_case(**changes: object) -> Case:
    attempt = Attempt(1, "pay-1", FAILED_AT, 4900, DeclineClass.SOFT, "insufficient_funds")
    values = {
        "case_id": "case-1",
        "number": 1,
        "open": True,
        "opened_at": FAILED_AT,
        "policy": PolicyRef("standard", 3),
        "zone": "Europe/Berlin",
        "book": Book(currency="EUR", attempts=[attempt]),
    }
    return Case("inv-1", **{**values, **changes})  # type: ignore[arg-type]


def a_failure() -> Told:
    data = {
        "attempt_number": 1,
        "invoice": {"id": "inv-1"},
        "amount_minor": 4900,
        "currency": "EUR",
        "failed_at": "2026-03-28T10:00:00Z",
        "failure": {"code": "insufficient_funds"},
    }
    return Told(PAYMENT_FAILED, data, "inv-1")


def a_transition(reason: str = "soft") -> Told:
    data = {
        "case_id": "case-1",
        "invoice_id": "inv-1",
        "track": "retry",
        "from_stage": "none",
        "to_stage": "scheduled",
        "reason": reason,
        "effective_at": "2026-03-28T10:00:01Z",
        "next": {"stage": "requested", "due_at": "2026-03-29T08:00:00Z"},
    }
    return Told(STAGE_CHANGED, data)


def a_story(**changes: object) -> CaseStory:
    values = {
        "case_id": "case-1",
        "key": Key("acct-1", "inv-1"),
        "present": Present(a_case(), {"retry": "scheduled", "notice": "none", "account": "active"}),
        "events": [a_failure(), a_transition()],
        "expected": [
            Expected("retry", "charge again, attempt 2", datetime(2026, 3, 29, 8, tzinfo=UTC), "planned retry 1 of 4")
        ],
        "unpublished": 0,
        "other_case_ids": [],
        "unread_by": [],
        "modes": {},
    }
    return CaseStory(**{**values, **changes})  # type: ignore[arg-type]


def test_it_says_which_services_do_not_act() -> None:
    lines = story_lines(a_story(modes={"retry_scheduler": "stop"}), NOW)

    assert lines[-1] == "retry_scheduler is in mode stop: nothing of it goes out"


def test_the_story_has_both_times_and_keeps_them_across_a_clock_change() -> None:
    assert story_lines(a_story(), NOW) == [
        "case case-1: invoice inv-1, account acct-1",
        "open since 2026-03-28 10:00:00Z, 49.00 EUR owed, policy standard version 3, zone Europe/Berlin",
        "stages: retry scheduled, notice none, account active",
        "",
        "what happened (times are UTC, then local in Europe/Berlin)",
        "  2026-03-28 10:00:00Z  Sat 11:00:00  payment  Attempt 1 to charge 49.00 EUR failed: insufficient_funds.",
        "  2026-03-28 10:00:01Z  Sat 11:00:01  retry    scheduled, because the refusal was a temporary one; "
        "next charge at 2026-03-29 08:00.",
        "",
        "what comes next",
        "  2026-03-29 08:00:00Z  Sun 10:00:00  retry    charge again, attempt 2 (planned retry 1 of 4)",
    ]


def test_in_utc_one_time_is_enough() -> None:
    story = a_story(present=Present(a_case(zone="UTC"), {"retry": "scheduled"}))

    assert "  2026-03-28 10:00:00Z  payment  Attempt 1 to charge 49.00 EUR failed: insufficient_funds." in story_lines(
        story, NOW
    )


def test_what_is_overdue_is_told() -> None:
    late = datetime(2026, 3, 29, 8, 5, tzinfo=UTC)

    assert story_lines(a_story(), late)[-1].endswith(
        "(planned retry 1 of 4)  <- due 300 s ago: `dunning doctor` says what is in the way"
    )


def test_it_says_what_is_still_on_its_way_and_who_has_not_read_it() -> None:
    story = a_story(unpublished=2, unread_by=["account_enforcement"], other_case_ids=["case-0"])

    assert story_lines(story, NOW)[-4:] == [
        "",
        "2 of these events are still on their way to Kafka",
        "not known yet to account_enforcement: `dunning doctor` shows whether it lags",
        "other cases of this invoice: case-0",
    ]


def test_a_reason_from_outside_cannot_paint_the_screen_or_name_anybody() -> None:
    lines = story_lines(a_story(events=[a_transition("asked by bob@example.com \x1b[2J")]), NOW)

    assert 'because "asked by b***@example.com \\x1b[2J"' in lines[5]


def test_a_closed_case_says_why_and_expects_nothing() -> None:
    present = Present(a_case(open=False, closed_reason="paid"), {"retry": "recovered"})

    lines = story_lines(a_story(present=present, expected=[]), NOW)

    assert lines[1] == "closed: paid; opened 2026-03-28 10:00:00Z, policy standard version 3, zone Europe/Berlin"
    assert "what comes next" not in lines


def test_a_closed_case_says_where_its_payments_are_found() -> None:
    present = Present(a_case(open=False, closed_reason="paid"), {"retry": "recovered"})

    lines = story_lines(a_story(present=present, expected=[], events=[a_transition()]), NOW)

    assert lines[-1] == "attempts that were settled are not kept here: payment.failed and payment.succeeded have them"


def test_an_earlier_case_lives_on_in_its_events() -> None:
    lines = story_lines(a_story(present=None, expected=[], other_case_ids=["case-2"]), NOW)

    assert lines[1] == "an earlier case of this invoice; it is over"
    assert lines[-1] == "other cases of this invoice: case-2"


def test_the_same_for_programs() -> None:
    said = story_json(a_story())

    assert said["policy"] == {"id": "standard", "version": 3}
    assert said["story"][0]["local"] == "2026-03-28T11:00:00+01:00"
    assert said["next"] == [
        {
            "track": "retry",
            "at": datetime(2026, 3, 29, 8, tzinfo=UTC),
            "what": "charge again, attempt 2",
            "condition": "planned retry 1 of 4",
        }
    ]


def a_row(stage: str, **changes: object) -> TrackRow:
    values = {
        "case_id": "case-1",
        "number": 1,
        "due_at": None,
        "amount_minor": 123456,
        "currency": "JPY",
        "policy": PolicyRef("standard", 3),
        "open": True,
    }
    return TrackRow(stage=stage, **{**values, **changes})  # type: ignore[arg-type]


def test_a_list_shows_every_track_and_a_dash_where_nothing_is_known() -> None:
    rows = {
        Key("acct-1", "inv-1"): {"retry": a_row("scheduled", due_at=NOW), "account": a_row("past_due")},
        Key("acct-2", "inv-long"): {"retry": a_row("recovered", open=False), "notice": a_row("recovered", open=False)},
    }

    assert case_lines(rows) == [
        "CASE    ACCOUNT  INVOICE           OWED         RETRY      NOTICE     ACCOUNT IS  NEXT",
        "case-1  acct-1   inv-1     open    123,456 JPY  scheduled  -          past_due    2026-03-28 12:00:00Z",
        "case-1  acct-2   inv-long  closed  -            recovered  recovered  -           -",
    ]


def test_a_list_for_programs_names_the_policy_and_each_stage() -> None:
    said = case_json(Key("acct-1", "inv-1"), {"retry": a_row("scheduled", due_at=NOW)})

    assert said["stages"] == {"retry": "scheduled"}
    assert said["due_at"] == {"retry": NOW}
    assert said["policy"] == {"id": "standard", "version": 3}
