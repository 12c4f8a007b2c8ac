"""The dated timeline of one case under a policy, nobody paying: what `dunning policy preview` shows.

The dates come from the services' own decisions on a simulated clock, so a preview cannot disagree with what happens.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from dunning.domain.calendar import rfc3339
from dunning.domain.conditions import unmet
from dunning.domain.events import (
    Customer,
    Failure,
    NoticeResult,
    Output,
    PaymentFailed,
    PaymentMethod,
    RetryRequested,
    StageChanged,
)
from dunning.domain.holds import first_ahead
from dunning.domain.policy import Match, Policies, Policy
from dunning.domain.words import Outcome, RetryStage, Track
from dunning_cli.simulation.processor import Scripted
from dunning_cli.simulation.world import NOTICE, World

HORIZON = timedelta(days=3660)


@dataclass(frozen=True, slots=True)
class Start:
    """The failure that opens the case."""

    at: datetime
    zone: str
    country: str
    payment_type: str
    code: str
    amount_minor: int
    currency: str
    due_at: datetime | None = None
    segment: str | None = None

    def failure(self) -> PaymentFailed:
        """As the payment platform would report it, with a customer who can be reached on every channel."""
        customer = Customer(
            id="preview",
            name="Preview",
            email="preview@example.com",
            phone="+10000000000",
            timezone=self.zone,
            country=self.country,
            postal_address="preview",
        )
        return PaymentFailed(
            event_id="preview",
            account_id="preview",
            invoice_id="preview",
            payment_id="preview",
            attempt_number=1,
            amount_due_minor=self.amount_minor,
            amount_minor=self.amount_minor,
            currency=self.currency,
            failed_at=self.at,
            failure=Failure(self.code),
            customer=customer,
            payment_method=PaymentMethod(id="preview", type=self.payment_type),
            due_at=self.due_at,
            segment=self.segment,
        )


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the timeline."""

    at: datetime
    track: str
    what: str
    details: str
    attempt: int | None = None  # of a charge
    rung: str | None = None  # of a notice
    channel: str | None = None
    stage: str | None = None  # of the account


def timeline(policy: Policy, start: Start) -> list[Entry]:
    """What happens when every charge fails as the first one did and nobody pays. Raises ValueError if no case opens."""
    if policy.valid_from is not None and start.at < policy.valid_from:
        takes = f"policy {policy.id} version {policy.version} takes failures from {rfc3339(policy.valid_from)} on"
        raise ValueError(f"{takes}, and this one is of {rfc3339(start.at)}")
    world = World(Policies.of(policy), Scripted(succeeds=False))
    refused = world.read(start.failure(), start.at)
    if refused:
        raise ValueError(f"policy {policy.id} does not match this failure: it is for {_wanted(policy.match)}")
    if policy.ignore:
        raise ValueError(f"policy {policy.id} ignores what it matches: no case opens, and nothing happens")
    world.run_timers(start.at + HORIZON, inclusive=True)
    entries = [entry for published in world.take_published() if (entry := _entry(published.at, published.output))]
    return sorted([*entries, *_waiting(world, policy)], key=lambda entry: entry.at)


def _waiting(world: World, policy: Policy) -> Iterator[Entry]:
    """The rung at which the ladder stops, where an account with this one invoice does not meet its conditions."""
    account = world.rooms[NOTICE].accounts["preview"]
    case = account.cases["preview"]
    rung = next(iter(policy.ladder[first_ahead(account, case, policy) :]), None) if case.open else None
    missing = unmet(account, policy.conditions[rung.name]) if rung and rung.name in policy.conditions else []
    if rung is not None and missing:
        track = Track.ACCOUNT if rung.account is not None else Track.NOTICE
        yield Entry(case.date_of(rung, policy), track, f"{rung.name} waits", f"conditions: {', '.join(missing)}")


def _wanted(match: Match) -> str:
    """What a policy asks of a failure, by the names of the options that say it."""
    parts = {
        "--segment": match.segments,
        "--country": match.countries,
        "--currency": match.currencies,
        "--payment-type": match.payment_types,
        "--amount": [f"{least} {currency} or more" for currency, least in match.min_amount.items()],
    }
    return "; ".join(f"{option} {' or '.join(sorted(values))}" for option, values in parts.items() if values)


def _entry(at: datetime, output: Output) -> Entry | None:
    match output:
        case RetryRequested():
            return Entry(
                at,
                Track.RETRY,
                f"charge, attempt {output.attempt_number}",
                f"{output.reason} retry",
                attempt=output.attempt_number,
            )
        case NoticeResult() if output.outcome in (Outcome.SENT, Outcome.SUPPRESSED, Outcome.SUPERSEDED):
            what, how = f"{output.rung} by {output.channel}", output.reason or output.outcome
            return Entry(at, Track.NOTICE, what, how, rung=output.rung, channel=output.channel)
        case StageChanged() if output.track == Track.ACCOUNT:
            return Entry(at, Track.ACCOUNT, f"account is {output.to_stage}", output.reason, stage=output.to_stage)
        case StageChanged() if output.to_stage in (RetryStage.EXHAUSTED, RetryStage.WAITING_FOR_CUSTOMER):
            return Entry(at, Track.RETRY, output.to_stage, output.reason)
        case _:
            return None
