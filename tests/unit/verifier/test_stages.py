"""Which steps a track may take: the contract's stages in their order, ends that have a cause, a policy that fits."""

from itertools import pairwise
from typing import Any

import pytest

from dunning_verifier import verify
from tests.unit.verifier.story import STANDARD, Story, a_recovered_case, a_suspended_case, assert_broken

STAGES = "dunning.stage.changed"
SUSPENDED = {"to_stage": "suspended"}


def steps(track: str, *stages: str) -> Story:
    """A track that goes so, an hour a step, while nothing else is said."""
    story = Story().failed("2026-03-02T10:00:00Z")
    for hour, (former, stage) in enumerate(pairwise(stages), 11):
        story.moved(track, f"2026-03-02T{hour}:00:00Z", former, stage)
    return story


def broken(story: Story, promise: int, says: str, at: str) -> None:
    assert_broken(story, promise, says, f"{STAGES}/0@{at}", settled=False)


@pytest.mark.parametrize(
    ("track", "stages", "says"),
    [
        ("retry", ("none", "past_due"), "past_due is no stage of the retry track"),
        ("notice", ("none", "hello"), "hello is no stage of the notice track"),
        ("notice", ("none", "suspended"), "suspended is no stage of the notice track"),  # a rung without a notice
        ("account", ("active", "blocked"), "blocked is no stage of the account track"),
        ("retry", ("none", "scheduled", "scheduled"), "from scheduled to scheduled, which is no step"),
        ("account", ("active", "past_due", "past_due"), "from past_due to past_due, which is no step"),
        ("retry", ("none", "waiting_for_customer", "requested"), "only what is scheduled is requested"),
        ("retry", ("none", "exhausted", "cancelled"), "from exhausted to cancelled, but was finished"),
        ("retry", ("none", "scheduled", "cancelled", "scheduled"), "from cancelled to scheduled, after its end"),
        ("notice", ("none", "payment_failed", "closed", "suspension_warning"), "to suspension_warning, after its end"),
        ("notice", ("none", "payment_failed", "suspension_warning", "payment_failed"), "a rung before it"),
        ("notice", ("none", "final_notice"), "and leaves out payment_failed, suspension_warning"),
    ],
)
def test_a_step_that_no_track_takes_is_rejected(track: str, stages: tuple[str, ...], says: str) -> None:
    broken(steps(track, *stages), 3, says, str(len(stages) - 2))


def test_a_reinstatement_passes_over_rungs() -> None:
    story = steps("notice", "none", "payment_failed", "final_notice")

    assert "leaves out" not in told(story.signal("account.reinstated", "2026-03-02T10:30:00Z", reason="x"))


def test_to_suspend_once_more_is_a_step() -> None:
    story = a_suspended_case().moved("account", "2026-03-20T10:00:00Z", "suspended", "suspended")

    assert "is no step" not in told(story)


def told(story: Story) -> str:
    return "\n".join(map(str, verify(story.history(settled=False))))


@pytest.mark.parametrize(
    ("stage", "reason", "says"),
    [
        ("past_due", "grace_period_expired", "not of payment_failed"),
        ("suspended", "payment_failed", "not of customer_unreachable or grace_period_expired"),
    ],
)
def test_a_step_for_another_reason_is_rejected(stage: str, reason: str, says: str) -> None:
    story = a_suspended_case().changed(STAGES, {"to_stage": stage}, reason=reason)

    broken(story, 2, says, {"past_due": "0", "suspended": "3"}[stage])


def test_a_recovery_for_another_reason_than_money_is_rejected() -> None:
    story = a_recovered_case().changed(STAGES, {"to_stage": "recovered", "track": "retry"}, reason="voided")

    broken(story, 2, "recovered by reason of 'voided', not of paid or paid_elsewhere", "5")


@pytest.mark.parametrize(
    ("track", "stage", "reason", "signal"),
    [
        ("account", "active", "reinstated", ("account.reinstated", {"reason": "settled"})),
        ("account", "active", "voided", ("invoice.voided", {"invoice_id": "in_1"})),
        ("notice", "closed", "written off", ("case.closed", {"invoice_id": "in_1", "reason": "written off"})),
    ],
)
def test_an_end_that_nothing_caused_is_rejected(
    track: str, stage: str, reason: str, signal: tuple[str, dict[str, Any]]
) -> None:
    before = {"account": "suspended", "notice": "suspension_warning"}[track]
    story = a_suspended_case().moved(track, "2026-03-17T10:00:00Z", before, stage, reason)
    kind, data = signal
    broken(story, 1, f"{track} goes to {stage}, reason {reason!r}, for which nothing among the inputs", "4")
    assert "nothing among the inputs" in told(story.signal(kind, "2026-03-18T10:00:00Z", **data))  # not yet

    assert "nothing among the inputs" not in told(story.signal(kind, "2026-03-17T10:00:00Z", **data))


def test_a_recovery_before_the_payment_could_be_read_is_rejected() -> None:
    story = a_recovered_case()
    story.find("payment.succeeded")["at"] = "2026-03-05T10:00:00Z"

    broken(story, 1, "retry goes to recovered", "5")


@pytest.mark.parametrize(
    ("policy", "says"),
    [
        ({**STANDARD, "version": 2}, "goes by policy standard version 1, which is not on file"),
        ({**STANDARD, "match": {"segments": ["enterprise"]}}, "standard version 1, which is not for it"),
        ({**STANDARD, "ignore": True}, "standard version 1, which is not for it"),
        ({**STANDARD, "retries": None}, "a retry track under policy standard version 1, which has none"),
    ],
)
def test_a_case_under_a_policy_that_does_not_take_it_is_rejected(policy: dict[str, Any], says: str) -> None:
    story = a_recovered_case()
    story.policy = policy

    broken(story, 3 if "retry track" in says else 2, says, "0")


def test_a_case_that_changes_its_policy_is_rejected() -> None:
    story = a_suspended_case().changed(STAGES, SUSPENDED, policy={"id": "standard", "version": 2})

    broken(story, 2, "standard version 2, but its case had pinned standard version 1", "3")


def test_a_retry_track_of_what_was_never_charged_is_rejected() -> None:
    story = a_recovered_case(failure={"code": "payment_overdue"})

    broken(story, 3, "a retry track of what was never charged", "0")


def test_a_step_of_another_case_while_the_account_is_terminated_is_rejected() -> None:
    story = a_suspended_case().moved("account", "2026-04-16T10:00:00Z", "suspended", "terminated")
    second = Story(invoice="in_2").failed("2026-04-15T10:00:00Z", failure={"code": "payment_overdue"})
    story.with_events_of(second.moved("account", "2026-04-17T10:00:00Z", "active", "past_due"))
    broken(story, 6, "account step to past_due, though the account was terminated at 2026-04-16", "5")

    story.signal("account.reinstated", "2026-04-16T18:00:00Z", reason="settled")
    assert "though the account was terminated" not in told(story)
