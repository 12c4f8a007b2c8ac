"""The brake holds back what would make an account worse off, and nothing else (rule 45)."""

from contextlib import nullcontext
from typing import Any

import pytest

from account_enforcement.brake import default_limit
from account_enforcement.case import EnforcedAccount
from account_enforcement.decide import AccountTrack
from account_enforcement.settings import EnforcementSettings
from dunning.domain.events import AccountStatus, Input, StageChanged, TimerDue
from dunning.runtime.problem import Problem
from dunning.runtime.settings import load_settings
from tests.builders import LADDER, PAST_DUE, Story, a_policy, failed, instant, paid, policies

LIMITED = {"rung": "limited", "at": "5d", "account": "restricted"}
RESTRICTED_LATER = {"rung": "limited_more", "at": "8d", "account": "restricted"}
IN_FORCE = policies(a_policy(ladder=[PAST_DUE, LIMITED, RESTRICTED_LATER]))


class Enforcement:
    """Account enforcement alone, with the brake in the test's hands."""

    def __init__(self) -> None:
        self.shut = False
        self.track = AccountTrack(lambda: IN_FORCE, may_restrict=lambda _: not self.shut)
        self.account = EnforcedAccount("acc_1")
        self.said: list[str] = []

    def reads(self, when: str, event: Input) -> "Enforcement":
        decision = self.track.decide(self.account, event, instant(when))
        for output in decision.events:
            match output:
                case StageChanged():
                    self.said.append(f"{when} {output.invoice_id} {output.to_stage}")
                case AccountStatus() if output.status != output.previous_status:
                    self.said.append(f"{when} status {output.status}")
        return self

    def wakes(self, when: str, invoice: str = "in_1", *, released: bool = False) -> "Enforcement":
        return self.reads(when, TimerDue("timer", "acc_1", invoice, instant(when), released))

    def due(self, invoice: str = "in_1") -> Any:
        return self.account.cases[invoice].due


def test_what_is_held_waits_without_a_time_and_happens_when_it_is_released() -> None:
    service = Enforcement().reads("03-02 10:00", failed("03-02 10:00")).wakes("03-02 10:00")
    service.shut = True
    service.wakes("03-07 10:00")
    held = (service.due(), service.account.cases["in_1"].held_since)
    service.wakes("03-08 10:00", released=True)
    held_again = (service.due(), service.account.cases["in_1"].held_since)
    service.shut = False
    service.wakes("03-09 10:00", released=True)

    assert held == held_again == (None, instant("03-07 10:00"))
    assert service.said == [
        "03-02 10:00 in_1 past_due",
        "03-02 10:00 status past_due",
        "03-09 10:00 in_1 restricted",
        "03-09 10:00 status restricted",
    ]
    assert service.account.cases["in_1"].held_since is None
    assert service.due() == instant("03-12 10:00")  # three days behind the one that came late (rule 24)


def test_a_payment_while_it_waits_ends_it() -> None:
    service = Enforcement().reads("03-02 10:00", failed("03-02 10:00")).wakes("03-02 10:00")
    service.shut = True
    service.wakes("03-07 10:00").reads("03-08 10:00", paid("03-08 10:00"))
    service.shut = False
    service.wakes("03-09 10:00", released=True)

    assert service.said[2:] == ["03-08 10:00 in_1 active", "03-08 10:00 status active"]


def test_an_account_that_stands_as_badly_already_is_not_held_and_other_steps_go_on() -> None:
    service = Enforcement().reads("03-02 10:00", failed("03-02 10:00")).wakes("03-02 10:00").wakes("03-07 10:00")
    service.reads("03-08 10:00", failed("03-03 10:00", invoice_id="in_2", payment_id="pay_2"))
    service.shut = True

    service.wakes("03-08 10:00", "in_2").wakes("03-10 10:00")

    assert service.said[4:] == [
        "03-08 10:00 in_2 past_due",
        "03-08 10:00 in_2 restricted",
        "03-10 10:00 in_1 restricted",
    ]


@pytest.mark.parametrize(
    ("when", "asks"), [("03-02 10:00", False), ("03-07 09:59", False), ("03-07 10:00", True), ("03-20 10:00", True)]
)
def test_who_would_restrict_asks_before(when: str, asks: bool) -> None:
    service = Enforcement().reads("03-02 10:00", failed("03-02 10:00"))

    assert service.track.asks_to_restrict(service.account, service.account.cases["in_1"], instant(when)) is asks


def test_without_a_brake_thousands_may_be_restricted_as_in_simulate() -> None:
    story = Story(a_policy(ladder=LADDER)).reads(failed("03-02 10:00")).until("03-16 10:00")

    assert "03-16 10:00 status acc_1 past_due>suspended" in story.lines("status")


@pytest.mark.parametrize(
    ("accounts", "busiest", "limit"),
    [(0, 0, 20), (4_000, 0, 20), (4_200, 0, 21), (10_000_000, 0, 50_000), (100, 6, 20), (100, 7, 21), (4_200, 30, 90)],
)
def test_the_default_is_the_largest_of_three(accounts: int, busiest: int, limit: int) -> None:
    assert default_limit(accounts, busiest) == limit


def test_a_case_that_is_closed_asks_for_nothing() -> None:
    service = Enforcement().reads("03-02 10:00", failed("03-02 10:00")).reads("03-03 10:00", paid("03-03 10:00"))

    assert not service.track.asks_to_restrict(service.account, service.account.cases["in_1"], instant("03-20 10:00"))


@pytest.mark.parametrize(
    ("given", "is_one"), [("0", True), ("9223372036854775807", True), ("9223372036854775808", False)]
)
def test_a_limit_is_one_that_the_database_can_hold(given: str, is_one: bool) -> None:
    """The services tell it there, for whoever looks from elsewhere."""
    servers = {"kafka_bootstrap_servers": "kafka:9092", "database_url": "postgresql://db/dunning"}
    wrong = "DUNNING_MAX_RESTRICTIONS_PER_DAY: input should be less than or equal to 9223372036854775807"
    with nullcontext() if is_one else pytest.raises(Problem, match=wrong):
        load_settings(EnforcementSettings, **servers, max_restrictions_per_day=given)
