"""Rows that a former version wrote are read as what they meant then: the state's JSON has changed since (rule 31)."""

import json

from dunning.domain.decision import Decision
from dunning.domain.events import ErrandReport, Input, TimerDue
from dunning.domain.words import Channel
from dunning.runtime.repository import StateRepository
from notification_dispatcher.case import NoticeAccount, NoticeCase
from notification_dispatcher.decide import NoticeTrack
from tests.builders import PAST_DUE, SUSPENDED, WARNING, a_policy, bounced, failed, instant, policies

ROWS = StateRepository(NoticeAccount, NoticeCase)


class Upgraded:
    """A warning that is on its way when the service is upgraded: its row holds the address and no digest of it."""

    def __init__(self) -> None:
        shelf = policies(a_policy(ladder=[PAST_DUE, WARNING, SUSPENDED], retries=None))
        self.track = NoticeTrack(lambda: shelf, frozenset(Channel), frozenset())
        self.account = NoticeAccount("acc_1")
        self.reads("03-02 10:00", failed("03-02 10:00"))
        (errand,) = self.wakes("03-13 10:00").errands
        self.errand_id = errand.errand_id
        row = json.loads(ROWS.encode_case(self.account, "in_1"))
        for notice in row["notices"]:
            del notice["address_key"]
            notice["address"] = "ada@example.com"
        self.account.cases = {}
        state = ROWS.encode_account(self.account)
        self.account = ROWS.decode_account("acc_1", state, [json.dumps(row).encode()])

    def reads(self, at: str, event: Input) -> Decision:
        return self.track.decide(self.account, event, instant(at))

    def wakes(self, at: str) -> Decision:
        return self.reads(at, TimerDue("", "acc_1", "in_1", instant(at)))


def test_a_warning_that_fails_does_not_go_to_the_same_address_again() -> None:
    upgraded = Upgraded()
    report = ErrandReport("", "acc_1", "in_1", upgraded.errand_id, "failed", instant("03-13 10:01"))

    assert upgraded.reads("03-13 10:01", report).errands == []


def test_an_address_that_bounces_for_good_is_marked() -> None:
    upgraded = Upgraded()
    report = ErrandReport("", "acc_1", "in_1", upgraded.errand_id, "accepted", instant("03-13 10:01"))
    upgraded.reads("03-13 10:01", report)
    upgraded.reads("03-13 10:02", bounced("03-13 10:02", "warning", invoice_id="in_1", permanent=True))

    assert upgraded.account.bounced == {"email": "ada@example.com"}


def test_the_address_itself_is_not_written_again() -> None:
    assert b"ada@example.com" not in ROWS.encode_case(Upgraded().account, "in_1")
