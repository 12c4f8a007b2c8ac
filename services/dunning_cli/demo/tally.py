"""Counts for the demo's screen, from nothing but what lies in the topics. Pure."""

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from dunning.contracts.topics import (
    ACCOUNT_STATUS,
    NOTICE_RESULT,
    PAYMENT_FAILED,
    PAYMENT_SUCCEEDED,
    RETRY_REQUESTED,
    SIGNALS,
    STAGE_CHANGED,
)
from dunning.domain.words import Track

TRACKS = tuple(track.value for track in Track)


@dataclass(slots=True)
class Money:
    """One currency's amounts in its minor unit; never added to another's."""

    at_risk_minor: int = 0
    recovered_minor: int = 0
    lost_minor: int = 0


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What the screen shows."""

    read: Mapping[str, int]
    stages: Mapping[str, Mapping[str, int]]  # by track: cases by the stage they are in
    ever: Mapping[str, int]  # account stages: cases that were ever there
    cases: int
    charges_asked: int
    charges_won: int
    charges_lost: int
    notices: Mapping[str, Mapping[str, int]]  # by channel: notices by their last outcome
    accounts: Mapping[str, int]  # by status
    money: Mapping[str, Money]  # by currency
    set_aside: int


@dataclass(slots=True)
class _Status:
    status: str
    owed: dict[str, int]


@dataclass(slots=True)
class Tally:
    """Everything so far. The same event twice counts once."""

    read_by_topic: Counter[str] = field(default_factory=Counter)
    set_aside: int = 0
    _stage: dict[tuple[str, str], str] = field(default_factory=dict)
    _ever: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    _cases_of_invoice: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    _lost: dict[str, tuple[str, int]] = field(default_factory=dict)
    _asked: set[str] = field(default_factory=set)
    _won: set[str] = field(default_factory=set)
    _failed: set[str] = field(default_factory=set)
    _notices: dict[tuple[str, str], str] = field(default_factory=dict)
    _accounts: dict[str, _Status] = field(default_factory=dict)
    _payments: dict[tuple[str, str, str], tuple[str, str, int]] = field(default_factory=dict)

    def read(self, topic: str, data: Mapping[str, Any]) -> None:
        """Take in an event; a topic that is not ours counts nothing."""
        self.read_by_topic[topic] += 1
        match topic:
            case "dunning.stage.changed":
                self._moved(data)
            case "dunning.retry.requested":
                self._asked.add(data["retry_id"])
            case "dunning.notice.result":
                self._notices[data["notice_id"], data["channel"]] = data["outcome"]
            case "dunning.account.status":
                owed: dict[str, int] = defaultdict(int)
                for case in data["open_cases"]:
                    owed[case["currency"]] += case["amount_minor"]
                self._accounts[data["account_id"]] = _Status(data["status"], owed)
            case "payment.failed" if data.get("retry_id"):
                self._failed.add(data["retry_id"])
            case "payment.succeeded":
                self._paid(data)
            case _:
                pass

    def _moved(self, data: Mapping[str, Any]) -> None:
        case_id, to_stage = data["case_id"], data["to_stage"]
        self._stage[case_id, data["track"]] = to_stage
        self._cases_of_invoice[data["invoice_id"]].add(case_id)
        if data["track"] == "account":
            self._ever[to_stage].add(case_id)
            if to_stage == "terminated":
                self._lost[case_id] = (data["currency"], data["amount_minor"])
            else:
                self._lost.pop(case_id, None)

    def _paid(self, data: Mapping[str, Any]) -> None:
        if data.get("retry_id"):
            self._won.add(data["retry_id"])
        key = (data["invoice"]["id"], data["payment_id"], data["succeeded_at"])
        self._payments[key] = (data["invoice"]["id"], data["currency"], data["amount_minor"])

    def snapshot(self) -> Snapshot:
        """How things stand."""
        stages: dict[str, Counter[str]] = {track: Counter() for track in TRACKS}
        for (_, track), stage in self._stage.items():
            stages.setdefault(track, Counter())[stage] += 1
        notices: dict[str, Counter[str]] = defaultdict(Counter)
        for (_, channel), outcome in self._notices.items():
            notices[channel][outcome] += 1
        return Snapshot(
            read=self.read_by_topic,
            stages=stages,
            ever={stage: len(cases) for stage, cases in self._ever.items()},
            cases=len({case_id for case_id, _ in self._stage}),
            charges_asked=len(self._asked),
            charges_won=len(self._won),
            charges_lost=len(self._failed),
            notices=notices,
            accounts=Counter(known.status for known in self._accounts.values()),
            money=self._money(),
            set_aside=self.set_aside,
        )

    def _money(self) -> dict[str, Money]:
        """At risk is what open cases owe; recovered is what came in for invoices that had a case."""
        found: dict[str, Money] = defaultdict(Money)
        for known in self._accounts.values():
            for currency, amount_minor in known.owed.items():
                found[currency].at_risk_minor += amount_minor
        for invoice_id, currency, amount_minor in self._payments.values():
            if invoice_id in self._cases_of_invoice:
                found[currency].recovered_minor += amount_minor
        for currency, amount_minor in self._lost.values():
            found[currency].lost_minor += amount_minor
        return dict(sorted(found.items()))


TOPICS_READ = (
    PAYMENT_FAILED,
    PAYMENT_SUCCEEDED,
    SIGNALS,
    STAGE_CHANGED,
    RETRY_REQUESTED,
    NOTICE_RESULT,
    ACCOUNT_STATUS,
)
