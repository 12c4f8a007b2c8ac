"""One good run that shows every promise: three accounts, every topic, mails, a ledger, a dead letter."""

from typing import Any

from tests.unit.verifier.story import STANDARD, Story, a_recovered_case, a_suspended_case

VISA: dict[str, Any] = {"id": "pm_1", "type": "card", "brand": "visa", "fingerprint": "fp_1"}
POLICY: dict[str, Any] = {**STANDARD, "contact": {**STANDARD["contact"], "caps": {"email": {"1d": 1}}}}
ALL = ("retry_scheduler", "notification_dispatcher", "account_enforcement")


def whole_run() -> Story:
    """The suspended account, one that was charged and recovered, one that was paid in part, and a poisoned record."""
    story = a_suspended_case()
    story.policy = POLICY
    story.mailed("payment_failed", "2026-03-02T10:00:02Z", "1.eml").mailed(
        "suspension_warning", "2026-03-13T10:00:00Z", "2.eml"
    )
    recovered, partly = a_recovered_case(Story("acc_2", "in_2"), payment_method=VISA), _paid_in_part()
    story.with_events_of(recovered, partly)
    for other, name in ((recovered, "3.eml"), (partly, "4.eml")):
        other.mailed("payment_failed", "2026-03-02T10:00:02Z", name)
        story.mails = [*(story.mails or []), *(other.mails or [])]
    story.charges = recovered.charged(2, "2026-03-03T10:00:01Z").charges
    poisoned = sum(event["topic"] == "payment.failed" for event in story.events)
    story.record("payment.failed", "2026-03-04T12:00:00Z", value=b"{", key="acc_9")
    return story.dead_lettered("2026-03-04T12:00:01Z", "payment.failed", poisoned, *ALL, key="acc_9")


def _paid_in_part() -> Story:
    """A bill of which 1900 remain."""
    return (
        Story("acc_3", "in_3")
        .failed("2026-03-02T10:00:00Z", failure={"code": "payment_overdue"})
        .moved("account", "2026-03-02T10:00:01Z", "active", "past_due", "payment_failed")
        .status("2026-03-02T10:00:01Z", "active", "past_due")
        .moved("notice", "2026-03-02T10:00:01Z", "none", "payment_failed")
        .noticed("2026-03-02T10:00:02Z", "payment_failed")
        .succeeded("2026-03-03T10:00:00Z", remaining=1900)
        .status("2026-03-03T10:00:01Z", "past_due", "past_due", owed=1900)
        .moved("notice", "2026-03-13T10:00:00Z", "payment_failed", "suspension_warning", amount_minor=1900)
        .noticed("2026-03-13T10:00:00Z", "suspension_warning", "suppressed")
    )
