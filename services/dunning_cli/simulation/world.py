"""The three services on one simulated clock: inputs and timers in the order of rule 46, news delivered at once."""

import heapq
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from msgspec import Struct

from account_enforcement.case import HEARD, EnforcedAccount
from account_enforcement.decide import AccountTrack
from dunning.domain.account import SharedState
from dunning.domain.case import Account, Case
from dunning.domain.decision import Decision, Errand
from dunning.domain.events import (
    ErrandReport,
    Input,
    NoticeResult,
    Output,
    PaymentFailed,
    RetryRequested,
    StageChanged,
    TimerDue,
)
from dunning.domain.policy import Policies
from dunning.domain.track import BEFORE_EVERYTHING, Track
from dunning.domain.words import RESTRICTING, AccountStage, Channel
from dunning.domain.words import Track as TrackName
from dunning.runtime.service import SharedRows
from dunning_cli.simulation.processor import Processor, Silent
from notification_dispatcher.case import NoticeAccount
from notification_dispatcher.decide import NoticeTrack
from retry_scheduler.case import RetryAccount
from retry_scheduler.counting import CARD_LEDGERS
from retry_scheduler.decide import RetryTrack


class Published(Struct, frozen=True):
    """An event that a service would publish, at the instant of the simulated clock."""

    at: datetime
    output: Output


@dataclass(slots=True)
class Room:
    """One service: its decisions and its accounts."""

    name: str
    track: Track[Any, Any]
    new_account: Callable[[str], Account[Any]]
    shared: SharedRows[Any] | None = None
    accounts: dict[str, Account[Any]] = field(default_factory=dict)
    values: dict[str, SharedState] = field(default_factory=dict)  # what accounts share, by its keys

    def hand_over_shared(self, account: Account[Any], event: Input, now: datetime) -> None:
        """As the kernel does, without locks: there is one thing at a time here."""
        if self.shared is not None:
            keys = self.shared.keys(account, event, now)
            account.shared = {key: self.values.setdefault(key, self.shared.new()) for key in keys}


RETRY, NOTICE, ACCOUNT = 0, 1, 2
Timer = tuple[datetime, int, str, str]  # due, service, account, invoice: they fire in this order (rule 46)


class World:
    """All three services; every channel is configured, and a notice counts as delivered when it is sent."""

    def __init__(
        self,
        policies: Policies,
        processor: Processor | None = None,
        start: datetime = BEFORE_EVERYTHING,
        down: frozenset[str] = frozenset(),
    ) -> None:
        """`start` is DUNNING_START (rule 43); the services of `down` read nothing and do nothing (rule 39)."""
        self.processor: Processor = processor or Silent()
        self.rooms = (
            Room("retry_scheduler", RetryTrack(lambda: policies, lambda: start), RetryAccount, CARD_LEDGERS),
            Room(
                "notification_dispatcher",
                NoticeTrack(lambda: policies, frozenset(Channel), frozenset(), start=lambda: start),
                NoticeAccount,
            ),
            Room("account_enforcement", AccountTrack(lambda: policies, lambda: start), EnforcedAccount),
        )
        self.running = tuple(number for number, room in enumerate(self.rooms) if room.name not in down)
        self.published: list[Published] = []
        self._timers: list[Timer] = []
        self._set: dict[tuple[int, str, str], datetime] = {}  # the timers among them that were set last, by case
        self._failures: dict[tuple[str, str], list[PaymentFailed]] = {}  # of an invoice, as they were read
        self._news: deque[tuple[int, Input]] = deque()
        self._requests: deque[RetryRequested] = deque()

    def read(self, event: Input, now: datetime) -> dict[str, str]:
        """Every service reads an input; returns the reasons of those that set it aside, by service."""
        refused = {}
        for number in self.running:
            decision = self._decide(number, event, now)
            if decision.rejected is not None:
                refused[self.rooms[number].name] = decision.rejected
        if isinstance(event, PaymentFailed) and self.rooms[RETRY].name not in refused:
            self._remember(event)
        self._settle(now)
        return refused

    def run_timers(self, until: datetime, *, inclusive: bool) -> None:
        """Let time pass: timers one at a time, each with all that follows from it."""
        while self._timers and (self._timers[0][0] < until or (inclusive and self._timers[0][0] == until)):
            due, number, account_id, invoice_id = heapq.heappop(self._timers)
            case = self.rooms[number].accounts[account_id].cases[invoice_id]
            if self._set.get((number, account_id, invoice_id)) == due:
                del self._set[number, account_id, invoice_id]
            if case.due == due:
                self._decide(number, TimerDue(f"timer/{case.case_id}", account_id, invoice_id, due), due)
                self._settle(due)

    def take_published(self) -> Iterator[Published]:
        """What was published since the last call."""
        published, self.published = self.published, []
        return iter(published)

    def _remember(self, event: PaymentFailed) -> None:
        self._failures.setdefault((event.account_id, event.invoice_id), []).append(event)

    def _last_failure(self, case: Case, account_id: str) -> PaymentFailed:
        """What `--charges fail` repeats: of all that the invoice's failures said, the case's last one."""
        counted = {(attempt.failed_at, attempt.number) for attempt in case.book.attempts}
        failures = self._failures[account_id, case.invoice_id]
        own = [one for one in failures if (one.failed_at, one.attempt_number) in counted]
        return max(reversed(own), key=lambda one: one.failed_at)

    def _decide(self, number: int, event: Input, now: datetime) -> Decision:
        room = self.rooms[number]
        account = room.accounts.get(event.account_id)
        if account is None:
            account = room.accounts[event.account_id] = room.new_account(event.account_id)
        room.hand_over_shared(account, event, now)
        decision = room.track.decide(account, event, now)
        for output in decision.events:
            self.published.append(Published(now, output))
            self._route(output)
        for errand in decision.errands:
            self._news.append((NOTICE, delivered_at_once(errand, now)))
        for invoice_id in account.touched:
            self._set_timer(number, account.account_id, account.cases[invoice_id])
        account.touched.clear()
        account.changed = False
        return decision

    def _set_timer(self, number: int, account_id: str, case: Case) -> None:
        """Unless it is set already: most of what touches a case leaves its timer as it is."""
        key = (number, account_id, case.invoice_id)
        if case.due is not None and self._set.get(key) != case.due:
            self._set[key] = case.due
            heapq.heappush(self._timers, (case.due, *key))

    def _route(self, output: Output) -> None:
        """Who reads what (rules.md), and what of it matters to the reader: the services pass over the rest."""
        match output:
            case StageChanged() if output.track == TrackName.ACCOUNT and output.to_stage in RESTRICTING:
                if output.to_stage == AccountStage.TERMINATED:
                    self._news.append((RETRY, output))
                self._news.append((NOTICE, output))
            case NoticeResult() if output.outcome in HEARD:
                self._news.append((ACCOUNT, output))
            case RetryRequested():
                self._requests.append(output)
            case _:
                pass

    def _settle(self, now: datetime) -> None:
        """Deliver all news, then the simulated answers, until nothing moves any more."""
        while self._news or self._requests:
            while self._news:
                number, event = self._news.popleft()
                if number in self.running:
                    self._decide(number, event, now)
            if self._requests:
                self._answer(self._requests.popleft(), now)

    def _answer(self, request: RetryRequested, now: datetime) -> None:
        case = self.rooms[RETRY].accounts[request.account_id].cases[request.invoice_id]
        method = case.request.method if case.request else None
        last = self._last_failure(case, request.account_id)
        answer = self.processor.answer(request, last, method)
        if answer is None:
            return
        if isinstance(answer, PaymentFailed):
            self._remember(answer)
        for number in self.running:
            self._decide(number, answer, now)


def delivered_at_once(errand: Errand, now: datetime) -> ErrandReport:
    """Notices count as delivered at the instant they are sent (rule 46)."""
    return ErrandReport(
        event_id=f"report/{errand.errand_id}",
        account_id=errand.account_id,
        invoice_id=errand.invoice_id,
        errand_id=errand.errand_id,
        outcome="accepted",
        at=now,
        provider="simulated",
    )
