"""A reference model: what the final state of every case must be for a given input. Slow, obvious, and of no use to run.

Nothing of it looks at what was published but two things that come from outside as well: which notices were delivered,
and when an account step really came (a rung that is late moves those behind it, rule 24). What does not follow from the
inputs alone (classes of declines, dates that pauses moved, zones that were read in some order) it does not guess: then
a track may stand anywhere, and `docs/verifier.md` says so.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from dunning_verifier.clock import Span
from dunning_verifier.customers import Customers
from dunning_verifier.invoices import case_id_of
from dunning_verifier.policy_file import Policies, Policy, Rung
from dunning_verifier.rolling import rolled_after
from dunning_verifier.values import SEVERITY, Failure, Input, Result, Signal, Success, Transition

OVERDUE = "payment_overdue"
SURELY_NOT_TECHNICAL = {OVERDUE, "insufficient_funds", "do_not_honor", "lost_card", "stolen_card", "expired_card"}
MOVES_DATES = {"case.paused", "case.resumed", "case.extended", "dispute.opened", "dispute.closed", "account.reinstated"}
NOT_DEMANDED_AFTER = {"notice.bounced", "account.erased", "consent.changed"}
LATE = timedelta(minutes=1)
STILL_WARNS = Span(14, 0)  # beyond the lead
Stages = frozenset[str]


@dataclass(frozen=True)
class Final:
    """A case at the end. `stages` are those at which a track may stand; one that is not in it may stand anywhere."""

    account_id: str
    invoice_id: str
    number: int
    is_open: bool
    amounts: frozenset[int]  # what may be left to pay; empty where nothing is, or where that is not certain
    stages: Mapping[str, Stages]

    @property
    def case_id(self) -> str:
        return case_id_of(self.account_id, self.invoice_id, self.number)


@dataclass(frozen=True)
class Given:
    """What the model is told: inputs that took effect everywhere, policies, the end, deliveries, and when account steps
    came. A step due within `grace` before the end may have come or not."""

    inputs: Sequence[Input]
    policies: Policies
    until: datetime
    results: Sequence[Result] = ()
    steps: Sequence[Transition] = ()
    grace: timedelta = timedelta(0)


@dataclass
class Invoice:
    failures: list[Failure] = field(default_factory=list)
    words: list[tuple[datetime, int]] = field(default_factory=list)  # what remains, by their own times
    is_over: bool = False  # voided or written off

    @property
    def payments(self) -> list[datetime]:
        """Payments in full; two of one instant are one."""
        return sorted({at for at, remaining in self.words if remaining == 0})

    def failures_of(self, number: int) -> list[Failure]:
        """Rules 7 and 8: one more than the payments before it; of one instant, the payment wins."""
        own = [each for each in self.failures if sum(at < each.time for at in self.payments) == number - 1]
        return sorted((each for each in own if each.time not in self.payments), key=lambda each: each.time)


def final_states(given: Given) -> dict[str, Final]:
    """Every case that there can be, by its id."""
    found: dict[str, Final] = {}
    by_account: dict[str, list[Input]] = defaultdict(list)
    for event in given.inputs:
        by_account[event.account_id].append(event)
    for account_id, events in by_account.items():
        finals = list(Account(given, account_id, events).finals())
        steps = [step for step in given.steps if step.account_id == account_id and step.to_stage == "terminated"]
        endings = {final.case_id for final in finals if "terminated" in final.stages.get("account", ())}
        endings |= {step.case_id for step in steps}
        for final in finals:
            elsewhere = endings - {final.case_id}  # then its own ladder stops (rule 37)
            found[final.case_id] = replace(final, stages={}) if elsewhere else final
    return found


class Account:
    """One account, whose invoices are looked at one by one."""

    def __init__(self, given: Given, account_id: str, events: list[Input]) -> None:
        self.given, self.account_id, self.events = given, account_id, events
        self.signals = [event for event in events if isinstance(event, Signal)]
        self.customers = Customers()
        self.invoices: dict[str, Invoice] = defaultdict(Invoice)
        for event in events:
            self.customers.learn(event, event.customer)
            self.enter(event)

    def enter(self, event: Input) -> None:
        if isinstance(event, Failure):
            self.invoices[event.invoice_id].failures.append(event)
        elif isinstance(event, Success):
            self.invoices[event.invoice_id].words.append((event.time, event.amount_remaining_minor))
        elif isinstance(event, Signal) and event.invoice_id is not None:
            if event.kind == "invoice.adjusted":
                word = event.time, event.data["invoice"]["amount_remaining_minor"]
                self.invoices[event.invoice_id].words.append(word)
            elif event.kind in ("invoice.voided", "case.closed"):
                self.invoices[event.invoice_id].is_over = True

    def finals(self) -> Iterator[Final]:
        for invoice_id, invoice in self.invoices.items():
            if invoice.failures:
                for number in range(1, len(invoice.payments) + 2):
                    yield self.final(invoice_id, invoice, number)

    def final(self, invoice_id: str, invoice: Invoice, number: int) -> Final:
        """Rule 7: closed by money, by a void or a write-off, or open. Rule 22: money moves every retry stage."""
        failures = invoice.failures_of(number)
        if invoice.is_over or number <= len(invoice.payments) or not failures:
            retry, notice = {"none", "recovered"}, {"none", "recovered"}
            if invoice.is_over:
                retry |= {"exhausted", "cancelled"}
                notice |= {"closed"}
            stages = {"retry": frozenset(retry), "notice": frozenset(notice), "account": frozenset({"active"})}
            if self.was_terminated(invoice_id):
                stages = {}
            return Final(self.account_id, invoice_id, number, False, frozenset(), stages)
        started = max(invoice.payments, default=None)
        amounts = amounts_left(failures, [word for word in invoice.words if started is None or word[0] > started])
        return Final(self.account_id, invoice_id, number, True, amounts, dict(self.open_stages(invoice_id, failures)))

    def was_terminated(self, invoice_id: str) -> bool:
        return any(step.to_stage == "terminated" for step in self.steps_of(invoice_id))

    def steps_of(self, invoice_id: str) -> list[Transition]:
        return [
            step for step in self.given.steps if (step.account_id, step.invoice_id) == (self.account_id, invoice_id)
        ]

    def open_stages(self, invoice_id: str, failures: list[Failure]) -> Iterator[tuple[str, Stages]]:
        """Where an open case stands, as far as that follows from the page of rules without tables of declines."""
        policy, rest = self.policy(failures), [signal.kind for signal in self.signals if touches(signal, invoice_id)]
        if policy is None:
            return
        if all(failure.code == OVERDUE for failure in failures):
            yield "retry", frozenset({"none"})  # rule 21
        elif policy.retry_window is not None and not set(rest):
            ends_at = max(policy.retry_window.after(failures[0].time, zone) for zone in self.zones(policy))
            if ends_at < self.given.until - self.given.grace:
                over = {"none", "exhausted", "waiting_for_customer"}  # rule 17
                yield "retry", frozenset(over | {"cancelled"} if self.was_terminated(invoice_id) else over)
        first = failures[0]
        certain = first.plain_code and first.code in SURELY_NOT_TECHNICAL  # else the rungs may hold (rule 20)
        if certain and len(self.zones(policy)) == 1 and not set(rest) & MOVES_DATES:
            yield from Walk(self, policy, invoice_id, failures).stages()

    def zones(self, policy: Policy) -> set[ZoneInfo]:
        return self.customers.pinned_zones(self.account_id, policy)

    def policy(self, failures: list[Failure]) -> Policy | None:
        """The one that a case pins, whichever failure was read first; None where that is not certain, or none is it."""
        countries = self.customers.pinned_countries(self.account_id)
        chosen = {id(one): one for one in self.choices(failures, countries)}
        only = next(iter(chosen.values()))
        needs_country = only is not None and only.roll is not None
        return (
            None if len(chosen) > 1 or only is None or only.ignore or (needs_country and len(countries) > 1) else only
        )

    def choices(self, failures: list[Failure], countries: Iterable[str | None]) -> Iterator[Policy | None]:
        for country in countries:
            yield from (self.given.policies.choose(failure, country) for failure in failures)


def touches(signal: Signal, invoice_id: str) -> bool:
    return signal.invoice_id in (None, invoice_id)


def amounts_left(failures: list[Failure], words: list[tuple[datetime, int]]) -> frozenset[int]:
    """Rule 11: the earliest failure's, until a later word; of several, the latest-dated decides."""
    first = failures[0].time
    amounts = {failure.amount_due_minor for failure in failures if failure.time == first}
    later = [(at, remaining) for at, remaining in words if at >= first]
    latest = max((at for at, _ in later), default=None)
    said = {remaining for at, remaining in later if at == latest}
    return frozenset(amounts | said if latest == first else said or amounts)


class Walk:
    """The ladder of one case, rung by rung (rules 23 to 26)."""

    def __init__(self, account: Account, policy: Policy, invoice_id: str, failures: list[Failure]) -> None:
        self.account, self.policy, self.given = account, policy, account.given
        self.zone = account.zones(policy).pop()
        self.country = next(iter(account.customers.pinned_countries(account.account_id)))
        due = next((each.due_at for each in failures if each.due_at is not None), None)
        self.begin = due if policy.anchor == "due_date" and due is not None else failures[0].time
        self.since = Span(0, 0)  # where on the ladder `begin` is
        self.first_failure = failures[0].time
        self.steps = account.steps_of(invoice_id)
        numbers = range(1, 1 + len(account.invoices[invoice_id].payments) + 1)
        self.case_ids = {case_id_of(account.account_id, invoice_id, number) for number in numbers}
        self.doubts = any(s.kind in NOT_DEMANDED_AFTER for s in account.signals) or len(numbers) > 1

    def stages(self) -> Iterator[tuple[str, Stages]]:
        """What may be, from what must have happened on."""
        account, notice, certain = {"active"}, {"none"}, True
        for rung, came_at, sure in self.rungs():
            certain = certain and sure and came_at <= self.given.until - self.given.grace
            if rung.account is not None:
                worse = max((rung.account, *account), key=lambda stage: SEVERITY[stage])
                account = {worse} if certain else account | {worse}
            if rung.has_notice:
                notice = {rung.name} if certain else notice | {rung.name}
            if rung.account == "terminated":
                notice = {"closed"} if certain else notice | {"closed"}
                break
        yield "account", frozenset(account)
        yield "notice", frozenset(notice)

    def rungs(self) -> Iterator[tuple[Rung, datetime, bool]]:
        """Rungs that can have come by the end, when, and whether that is sure."""
        before, sure = self.first_failure, True
        for rung in self.policy.rungs:
            came_at = max(self.date(rung), before)
            sure = sure and rung.name not in self.policy.conditioned
            if rung.warned_by is not None:
                warned, sure = self.warned(rung, sure)
                if warned is None:
                    return
                came_at = max(came_at, warned)
            if rung.account is not None:
                came_at = max(came_at, self.seen(rung.account, came_at))
            if came_at > self.given.until:
                return
            yield rung, came_at, sure
            if SEVERITY.get(rung.account or "", 0) > SEVERITY["past_due"] and came_at - self.date(rung) > LATE:
                self.begin, self.since = came_at, rung.at  # rule 24
            before = came_at

    def date(self, rung: Rung) -> datetime:
        roll = self.policy.roll
        return rolled_after(rung.at.minus(self.since), self.begin, self.zone, roll, self.country)

    def warned(self, rung: Rung, sure: bool) -> tuple[datetime | None, bool]:
        """When the warning is met; None while it was not delivered, and nothing else can be meant."""
        own = [
            each for each in self.given.results if each.rung == rung.warned_by and self.case_ids & set(each.case_ids)
        ]
        delivered = min((each.at for each in own if each.outcome == "delivered"), default=None)
        if delivered is None:
            return (None, sure) if rung.unreachable is None and not self.doubts else (self.first_failure, False)
        roll = self.policy.roll.never_earlier if self.policy.roll else None
        met_at = rolled_after(rung.lead, delivered, self.zone, roll, self.country)
        bounced = self.doubts or any(each.outcome == "bounced" for each in own)
        too_old = STILL_WARNS.after(met_at, self.zone) < self.date(rung)
        return met_at, sure and not bounced and not too_old

    def seen(self, stage: str, not_before: datetime) -> datetime:
        """When the step really came, where it did: late is late."""
        seen = [step.effective_at for step in self.steps if step.to_stage == stage and step.case_id in self.case_ids]
        return max(seen, default=not_before)
