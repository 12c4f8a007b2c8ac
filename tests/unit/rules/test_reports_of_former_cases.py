"""A mail may still be out when its case closes and the invoice's next case opens: its result is said all the same."""

from datetime import datetime

from dunning.domain import ids
from dunning.domain.events import ErrandReport, Input, NoticeResult, TimerDue
from dunning.domain.words import Channel
from dunning.runtime.repository import StateRepository
from notification_dispatcher.case import NoticeAccount, NoticeCase
from notification_dispatcher.decide import NoticeTrack
from tests.builders import a_notice, a_policy, failed, instant, paid, policies

ROWS = StateRepository(NoticeAccount, NoticeCase)


class Dispatcher:
    """The notice track alone, its errands in the hands of the test, its state through rows at every step."""

    def __init__(self) -> None:
        ladder = [a_notice("hello", "0d", "email")]
        shelf = policies(a_policy(ladder=ladder, retries=None))
        self.track = NoticeTrack(lambda: shelf, frozenset(Channel), frozenset())
        self.account: NoticeAccount | None = None
        self.errands: list[str] = []
        self.results: list[tuple[str, str, int]] = []

    def reads(self, event: Input, now: datetime) -> None:
        account = self.account or NoticeAccount(event.account_id)
        decision = self.track.decide(account, event, now)
        self.errands += [errand.errand_id for errand in decision.errands]
        self.results += [
            (result.case_ids[0], result.outcome, result.sequence)
            for result in decision.events
            if isinstance(result, NoticeResult)
        ]
        cases = [ROWS.encode_case(account, invoice_id) for invoice_id in account.cases]
        self.account = ROWS.decode_account(account.account_id, ROWS.encode_account(account), cases)

    def wakes(self, now: datetime) -> None:
        assert self.account is not None
        (case,) = self.account.cases.values()
        self.reads(TimerDue("timer", self.account.account_id, case.invoice_id, now), now)

    def hears(self, errand_id: str, outcome: str, now: datetime) -> None:
        assert self.account is not None
        (case,) = self.account.cases.values()
        report = ErrandReport("report", self.account.account_id, case.invoice_id, errand_id, outcome, now)
        self.reads(report, now)

    @property
    def case(self) -> NoticeCase:
        assert self.account is not None
        (case,) = self.account.cases.values()
        return case


def a_returned_payment_while_the_mail_is_out() -> tuple[Dispatcher, str]:
    dispatcher = Dispatcher()
    dispatcher.reads(failed("03-02 10:00"), instant("03-02 10:00"))
    dispatcher.wakes(instant("03-02 10:00"))
    first_case = dispatcher.case.case_id
    dispatcher.reads(paid("03-02 10:01"), instant("03-02 10:01"))
    dispatcher.reads(failed("03-02 10:02", attempt_number=2), instant("03-02 10:02"))
    assert dispatcher.case.case_id != first_case
    return dispatcher, first_case


def test_what_was_sent_for_the_former_case_is_its_result() -> None:
    dispatcher, first_case = a_returned_payment_while_the_mail_is_out()

    dispatcher.hears(dispatcher.errands[0], "accepted", instant("03-02 10:03"))

    assert dispatcher.results == [(first_case, "sent", 1), (first_case, "delivered", 2)]


def test_what_was_withdrawn_is_suppressed_and_forgotten_and_the_next_case_goes_on() -> None:
    dispatcher, first_case = a_returned_payment_while_the_mail_is_out()

    dispatcher.hears(dispatcher.errands[0], "withdrawn", instant("03-02 10:03"))
    dispatcher.wakes(instant("03-02 10:04"))
    dispatcher.hears(dispatcher.errands[1], "accepted", instant("03-02 10:04"))

    assert dispatcher.results[0] == (first_case, "suppressed", 1)
    assert dispatcher.results[1:] == [(dispatcher.case.case_id, "sent", 1), (dispatcher.case.case_id, "delivered", 2)]
    assert dispatcher.case.before == []


def test_a_case_that_another_one_replaces_leaves_its_mails_to_that_and_is_not_kept_beside_it() -> None:
    dispatcher = Dispatcher()
    dispatcher.reads(failed("03-02 10:00"), instant("03-02 10:00"))
    dispatcher.wakes(instant("03-02 10:00"))
    dispatcher.reads(paid("03-01 10:00"), instant("03-02 10:01"))  # no failure came before it: the case is renumbered
    assert ([each.rung for each in dispatcher.case.notices], dispatcher.case.before) == (["hello"], [])

    dispatcher.hears(dispatcher.errands[0], "accepted", instant("03-02 10:03"))

    second = ids.case_id("acc_1", "in_1", 2)
    assert dispatcher.results == [(second, "sent", 1), (second, "delivered", 2)]
