"""A mail that waited for its server must not go out in quiet hours (rule 32, promise 8)."""

from datetime import UTC, datetime
from typing import Any

from dunning.domain.decision import Decision
from dunning.domain.events import ErrandReport, Input, NoticeResult, TimerDue
from dunning.domain.words import Channel
from notification_dispatcher.case import NoticeAccount, NoticeState
from notification_dispatcher.channels.payload import NoticeOrder
from notification_dispatcher.decide import NoticeTrack
from tests.builders import a_notice, a_policy, failed, instant, paid, policies

NIGHT = {"quiet_hours": ["21:00", "08:00"]}


class Desk:
    """The dispatcher's decisions for one account, one input at a time."""

    def __init__(self, **keys: Any) -> None:
        loaded = policies(a_policy(ladder=[a_notice("hello", "0d")], retries=None, **keys))
        self.track = NoticeTrack(lambda: loaded, frozenset({Channel.EMAIL}))
        self.account = NoticeAccount(failed("03-02 20:59").account_id)
        self.closes_at: datetime | None = None

    def hears(self, event: Input, at: str) -> Decision:
        return self.track.decide(self.account, event, instant(at))


def ordered(desk: Desk) -> str:
    """The first notice of a case that opens before the night."""
    event = failed("03-02 20:59")
    desk.hears(event, "03-02 20:59")
    timer = TimerDue("timer", event.account_id, event.invoice_id, instant("03-02 20:59"))
    (errand,) = desk.hears(timer, "03-02 20:59").errands
    desk.closes_at = NoticeOrder.from_payload(errand.payload).closes_at
    return errand.errand_id


def report(desk: Desk, errand_id: str, at: str) -> Decision:
    (case,) = desk.account.cases.values()
    return desk.hears(
        ErrandReport("r-1", desk.account.account_id, case.invoice_id, errand_id, "too_late", instant(at)), at
    )


def test_an_order_says_from_when_on_it_may_not_go_out() -> None:
    desk, open_all_day = Desk(contact=NIGHT), Desk(contact={"quiet_hours": "none"})

    ordered(desk)
    ordered(open_all_day)

    assert (desk.closes_at, open_all_day.closes_at) == (datetime(2026, 3, 2, 21, tzinfo=UTC), None)


def test_what_came_too_late_waits_for_the_morning_and_is_ordered_anew() -> None:
    desk = Desk(contact=NIGHT)
    errand_id = ordered(desk)

    decision = report(desk, errand_id, "03-02 22:30")

    (case,) = desk.account.cases.values()
    assert (decision.events, decision.errands) == ([], [])
    assert (case.notices[0].state, case.due_at) == (NoticeState.WAITING, instant("03-03 08:00"))
    morning = TimerDue("timer", desk.account.account_id, case.invoice_id, instant("03-03 08:00"))
    assert [errand.errand_id for errand in desk.hears(morning, "03-03 08:00").errands] == [errand_id]


def test_what_was_called_off_meanwhile_is_not_ordered_again() -> None:
    desk = Desk(contact=NIGHT)
    errand_id = ordered(desk)
    assert desk.hears(paid("03-02 21:30"), "03-02 21:30").withdrawn == [errand_id]

    decision = report(desk, errand_id, "03-02 22:30")

    assert decision.errands == []
    assert [(e.outcome, e.reason) for e in decision.events if isinstance(e, NoticeResult)] == [("suppressed", "paid")]
