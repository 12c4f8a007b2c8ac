"""A notice that is on its way out when a pause begins is called back, and goes out afterwards (rule 27)."""

from collections.abc import Sequence

from dunning.domain import ids
from dunning.domain.decision import Decision
from dunning.domain.events import ErrandReport, Input, NoticeResult, Signal, TimerDue
from dunning.domain.words import Channel
from notification_dispatcher.case import NoticeAccount, NoticeState
from notification_dispatcher.decide import NoticeTrack
from tests.builders import a_notice, a_policy, failed, instant, paid, policies, signal
from tests.notice_desk import Desk

PAUSED = signal("case.paused", "03-02 10:05", invoice_id="in_1", reason="asked for time")
RESUMED = signal("case.resumed", "03-02 12:00", invoice_id="in_1")


class Dispatcher:
    """The notice track with one mail ordered at 10:00, its errand in the hands of the test."""

    def __init__(self) -> None:
        shelf = policies(a_policy(ladder=[a_notice("hello", "0d")], retries=None))
        self.track = NoticeTrack(lambda: shelf, frozenset(Channel), frozenset())
        self.account = NoticeAccount("acc_1")
        self.reads("10:00", failed("03-02 10:00"))
        (errand,) = self.wakes("10:00").errands
        self.errand_id = errand.errand_id

    def reads(self, at: str, event: Input) -> Decision:
        return self.track.decide(self.account, event, instant(f"03-02 {at}"))

    def wakes(self, at: str) -> Decision:
        return self.reads(at, TimerDue("", "acc_1", "in_1", instant(f"03-02 {at}")))

    def hears(self, at: str, outcome: str) -> Decision:
        return self.reads(at, ErrandReport("", "acc_1", "in_1", self.errand_id, outcome, instant(f"03-02 {at}")))

    @property
    def states(self) -> list[NoticeState]:
        return [notice.state for notice in self.account.cases["in_1"].notices]


def outcomes(*decisions: Decision) -> Sequence[tuple[str, str | None]]:
    events = [event for decision in decisions for event in decision.events]
    return [(event.outcome, event.reason) for event in events if isinstance(event, NoticeResult)]


def test_it_waits_while_paused_and_is_ordered_again_afterwards() -> None:
    dispatcher = Dispatcher()

    assert dispatcher.reads("10:05", PAUSED).withdrawn == [dispatcher.errand_id]
    assert outcomes(dispatcher.hears("10:06", "withdrawn")) == []
    assert dispatcher.states == [NoticeState.WAITING]
    assert dispatcher.reads("12:00", RESUMED).errands == []
    assert dispatcher.account.cases["in_1"].due_at == instant("03-02 12:00")
    assert [errand.errand_id for errand in dispatcher.wakes("12:00").errands] == [dispatcher.errand_id]


def test_it_is_ordered_again_when_it_comes_back_after_the_pause() -> None:
    dispatcher = Dispatcher()
    dispatcher.reads("10:05", PAUSED)
    dispatcher.reads("12:00", RESUMED)

    assert [errand.errand_id for errand in dispatcher.hears("12:01", "withdrawn").errands] == [dispatcher.errand_id]


def test_what_was_begun_already_has_gone_out() -> None:
    dispatcher = Dispatcher()
    dispatcher.reads("10:05", PAUSED)

    assert outcomes(dispatcher.hears("10:06", "accepted")) == [("sent", None), ("delivered", None)]


def test_where_the_case_closes_meanwhile_nothing_is_said() -> None:
    before, after = Dispatcher(), Dispatcher()
    for dispatcher in (before, after):
        dispatcher.reads("10:05", PAUSED)

    came_back = (before.hears("10:06", "withdrawn"), before.reads("11:00", paid("03-02 11:00")))
    still_out = (after.reads("11:00", paid("03-02 11:00")), after.hears("11:01", "withdrawn"))

    assert outcomes(*came_back) == [("suppressed", "paid")]
    assert outcomes(*still_out) == [("suppressed", "paid")]


def test_a_pause_that_was_announced_calls_back_at_its_time() -> None:
    dispatcher = Dispatcher()
    announced: Signal = signal("case.paused", "03-02 10:30", invoice_id="in_1", reason="asked for time")

    assert dispatcher.reads("10:05", announced).withdrawn == []
    assert dispatcher.account.cases["in_1"].due_at == instant("03-02 10:30")
    assert dispatcher.wakes("10:30").withdrawn == [dispatcher.errand_id]


def test_where_its_address_bounced_meanwhile_the_fallback_takes_over_when_it_comes_back() -> None:
    desk = Desk(a_policy(ladder=[a_notice("hello", "0d", fallback=["sms"])], retries=None))
    desk.reads(failed("03-02 10:00"), "03-02 10:00")
    desk.reads(PAUSED, "03-02 10:05")
    another = ids.notice_id(ids.case_id("acc_1", "in_9", 1), "hello", "email", "ada@example.com", 1)
    told = {"invoice_id": "in_9", "rung": "hello", "channel": Channel.EMAIL, "notice_id": another, "permanent": True}
    desk.reads(signal("notice.bounced", "03-02 10:10", **told), "03-02 10:10")
    desk.reads(RESUMED, "03-02 12:00")

    desk.hears(0, "withdrawn", "03-02 12:05")

    assert desk.results == ["03-02 12:05 hello email suppressed address_bounced"]
    assert desk.told() == ["03-02 10:00 in_1 hello email", "03-02 12:05 in_1 hello sms"]


def test_a_part_of_the_money_calls_it_back_and_it_is_ordered_again_with_what_remains() -> None:
    """The mail server may be away for days: nobody is asked for what was paid since."""
    desk = Desk(a_policy(ladder=[a_notice("hello", "0d")], retries=None))
    desk.reads(failed("03-02 10:00"), "03-02 10:00")
    desk.until("03-02 10:00").reads(paid("03-04 10:00", remaining=900), "03-04 10:00")
    assert desk.withdrawn == [desk.orders[0][2].errand_id]

    desk.hears(0, "withdrawn", "03-04 10:01")

    assert [order.amount_minor for _, order, _ in desk.orders] == [4900, 900]
    assert desk.orders[1][2].errand_id == desk.orders[0][2].errand_id
    assert desk.results == []


def test_a_part_of_the_money_does_not_bring_back_what_is_not_to_be_said_any_more() -> None:
    desk = Desk(a_policy(ladder=[a_notice("hello", "0d")], retries=None))
    desk.reads(failed("03-02 10:00"), "03-02 10:00")
    desk.until("03-02 10:00").reads(
        signal("consent.changed", "03-03 10:00", channel=Channel.EMAIL, allowed=False), "03-03 10:00"
    )
    desk.reads(paid("03-04 10:00", remaining=900), "03-04 10:00")

    desk.hears(0, "withdrawn", "03-04 10:01")

    assert len(desk.orders) == 1
    assert desk.results == ["03-04 10:01 hello email suppressed no_consent"]
