"""Promise 4 for what rests: nothing of a paused or disputed invoice is charged, sent or restricted (rule 27)."""

from typing import Any

import pytest

from dunning_verifier import verify
from tests.unit.verifier.story import STANDARD, Story, a_recovered_case, a_suspended_case, assert_broken, assert_kept

STAGES, REQUESTS, RESULTS = "dunning.stage.changed", "dunning.retry.requested", "dunning.notice.result"


def a_charge_at_ten(*signals: tuple[str, str, dict[str, Any]]) -> Story:
    """A request at 10:00 on the 3rd, after these signals."""
    story = Story().failed("2026-03-02T10:00:00Z").moved("retry", "2026-03-02T10:00:01Z", "none", "scheduled")
    for kind, at, more in signals:
        story.signal(kind, at, **more)
    return story.requested("2026-03-03T10:00:00Z", 2, "2026-03-04T10:00:00Z")


IN_1: dict[str, Any] = {"invoice_id": "in_1", "reason": "asked for time"}
ALL: dict[str, Any] = {"reason": "moving house"}
HELD = {
    "paused": [("case.paused", "2026-03-03T09:00:00Z", IN_1)],
    "the account paused": [("case.paused", "2026-03-01T09:00:00Z", ALL)],
    "until later": [("case.paused", "2026-03-03T09:00:00Z", {**IN_1, "until": "2026-03-03T10:00:01Z"})],
    "disputed": [("dispute.opened", "2026-03-03T09:00:00Z", {"invoice_id": "in_1"})],
    "another one resumed": [
        ("case.paused", "2026-03-03T08:00:00Z", ALL),
        ("case.resumed", "2026-03-03T09:00:00Z", {"invoice_id": "in_2"}),
    ],
    "resumed, but disputed": [
        ("dispute.opened", "2026-03-03T07:00:00Z", {"invoice_id": "in_1"}),
        ("case.paused", "2026-03-03T08:00:00Z", IN_1),
        ("case.resumed", "2026-03-03T09:00:00Z", IN_1),
    ],
    "paused again": [
        ("case.paused", "2026-03-03T07:00:00Z", IN_1),
        ("case.resumed", "2026-03-03T08:00:00Z", IN_1),
        ("case.paused", "2026-03-03T09:00:00Z", IN_1),
    ],
}


@pytest.mark.parametrize("signals", HELD.values(), ids=HELD.keys())
def test_a_charge_of_what_rests_is_rejected(signals: list[tuple[str, str, dict[str, Any]]]) -> None:
    what = "charge of attempt 2 requested while it was"

    found = assert_broken(a_charge_at_ten(*signals), 4, what, f"{REQUESTS}/0@0", settled=False)

    assert found.account_id == "acc_1"


FREE = {
    "another invoice": [("case.paused", "2026-03-03T09:00:00Z", {**IN_1, "invoice_id": "in_2"})],
    "over by itself": [("case.paused", "2026-03-03T09:00:00Z", {**IN_1, "until": "2026-03-03T10:00:00Z"})],
    "resumed": [("case.paused", "2026-03-03T08:00:00Z", ALL), ("case.resumed", "2026-03-03T09:00:00Z", IN_1)],
    "all resumed": [("case.paused", "2026-03-03T08:00:00Z", IN_1), ("case.resumed", "2026-03-03T09:00:00Z", {})],
    "settled": [
        ("dispute.opened", "2026-03-03T08:00:00Z", {"invoice_id": "in_1"}),
        ("dispute.closed", "2026-03-03T09:00:00Z", {"invoice_id": "in_1"}),
    ],
    "paused anew, and over": [
        ("case.paused", "2026-03-03T08:00:00Z", IN_1),
        ("case.paused", "2026-03-03T09:00:00Z", {**IN_1, "until": "2026-03-03T09:30:00Z"}),
    ],
    "not to be known yet": [("case.paused", "2026-03-03T09:59:59.500Z", IN_1)],
}


@pytest.mark.parametrize("signals", FREE.values(), ids=FREE.keys())
def test_a_charge_of_what_rests_no_more_is_right(signals: list[tuple[str, str, dict[str, Any]]]) -> None:
    assert_kept(a_charge_at_ten(*signals), settled=False)


def test_a_notice_and_a_restriction_of_what_rests_are_rejected() -> None:
    story = a_suspended_case().signal("case.paused", "2026-03-12T10:00:00Z", **IN_1)

    assert_broken(story, 4, "email notice of suspension_warning sent while it was paused", f"{RESULTS}/0@2")
    assert_broken(story, 4, "account step to suspended while it was paused", f"{STAGES}/0@3")


def test_what_closes_while_it_rests_is_right() -> None:
    assert_kept(a_recovered_case().signal("dispute.opened", "2026-03-03T12:00:00Z", invoice_id="in_1"))


def test_a_planned_charge_whose_date_a_pause_moved_is_not_overdue() -> None:
    story = Story().failed("2026-03-02T10:00:00Z").signal("case.extended", "2026-03-02T11:00:00Z", **IN_1, by="30d")
    story.moved(
        "retry", "2026-03-02T10:00:01Z", "none", "scheduled",
        next={"stage": "requested", "due_at": "2026-03-03T10:00:00Z"},
    ).moved("account", "2026-03-02T10:00:01Z", "active", "past_due")  # fmt: skip
    story.status("2026-03-02T10:00:01Z", "active", "past_due").succeeded(
        "2026-03-04T10:00:00Z", 900, logged="2026-03-20T10:00:00Z"
    )

    assert not [each for each in _said(story) if "still stands" in each]


def _said(story: Story) -> list[str]:
    return [each.what for each in verify(story.history())]


def test_what_rests_from_its_opening_owes_nothing_on_the_other_tracks() -> None:
    story = Story(policy={**STANDARD, "contact": {"quiet_hours": "none"}}).failed("2026-03-02T10:00:00Z")
    story.moved("retry", "2026-03-02T10:00:01Z", "none", "paused")

    assert_broken(story, 1, "account_enforcement opened no case")
    assert_kept(story.signal("case.paused", "2026-03-01T10:00:00Z", **ALL))


def test_a_first_rung_that_may_wait_for_its_conditions_is_not_owed() -> None:
    conditions = {"payment_failed": {"tags_none": ["vip"]}}
    story = Story(policy={**STANDARD, "conditions": conditions}).failed("2026-03-02T10:00:00Z")

    assert_kept(story.moved("retry", "2026-03-02T10:00:01Z", "none", "scheduled"))
