"""Promise 7: no charge was asked for that a network does not allow, counted over every attempt that could be known.

Attempts are counted per merchant and card over all accounts and invoices. Where it is not certain what was charged, by
whom, or whether it was known in time, nothing is counted: what is reported here was surely one too many.
"""

from bisect import bisect_right, insort
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from dunning_verifier.due import charge_due_at
from dunning_verifier.history import History
from dunning_verifier.values import BEFORE_ALL, SCHEDULER, Card, Failure, Request, Signal, Success, Violation

PROMISE = 7
_VISA_WITHIN = timedelta(days=30)
_VISA_REATTEMPTS = (  # from when on, how many
    (datetime(2025, 5, 24, tzinfo=UTC), 20),
    (datetime(2021, 4, 17, tzinfo=UTC), 15),
)
_FEWEST = 10  # attempts that any network limits: Mastercard's, in a day
_VISA_NEVER_APPROVES = frozenset(["04", "07", "12", "14", "15", "41", "43", "46", "57", "R0", "R1", "R3"])
_REFUSED_FOR_GOOD = frozenset(["stolen_card", "lost_card", "pickup_card"])  # whatever else the failure says
Place = tuple[str, str]  # merchant and card


@dataclass(frozen=True, slots=True, order=True)
class _Attempt:
    at: datetime
    known_at: datetime  # when anybody could know of it
    name: tuple[str, ...]
    refused_for_good: bool = False  # by Visa's word
    failed: bool = False


@dataclass
class _Cards:
    """Who pays with what: requests name a method by its id, and networks count by the card behind it."""

    by_id: dict[tuple[str, str], set[Card]] = field(default_factory=lambda: defaultdict(set))
    by_invoice: dict[tuple[str, str], set[Card]] = field(default_factory=lambda: defaultdict(set))

    @classmethod
    def of(cls, history: History) -> "_Cards":
        cards = cls()
        for event in history.inputs:
            if isinstance(event, Failure | Success):
                cards.by_id[event.account_id, event.card.id].add(event.card)
                cards.by_invoice[event.account_id, event.invoice_id].add(event.card)
            elif isinstance(event, Signal):
                card = Card.of(event.data)
                cards.by_id[event.account_id, card.id].add(card)
        return cards

    def charged_by(self, request: Request) -> Card | None:
        """The card and who charges it, where all that was said agrees."""
        named = self.by_id.get((request.account_id, request.payment_method_id or ""), set())
        origins = {(card.merchant, card.processor) for card in self.by_invoice[request.account_id, request.invoice_id]}
        keys, countries = {card.key for card in named}, {card.country for card in named}
        if len(keys) != 1 or len(countries) != 1 or len(origins) != 1 or "" in keys:
            return None
        merchant, processor = origins.pop()
        visa = any(card.visa for card in named)
        return Card(keys.pop(), request.payment_method_id or "", visa, countries.pop(), merchant, processor)


def check(history: History) -> Iterator[Violation]:
    """Every request, by what was known of its card when it was made."""
    requests = sorted(history.requests_once, key=lambda request: (request.happened_at, request.where))
    cards, tried = _Cards.of(history), _reported(history, requests)
    for request in requests:
        card = cards.charged_by(request)
        if card is None:
            continue
        read_before = history.tolerance.read_before(charge_due_at(history, request), request.happened_at)
        before = [each for each in tried[card.merchant, card.key] if each.known_at < read_before]
        yield from _over_limit(request, card, before)
        if _is_barred(history, request, card, read_before):
            yield _violation("the account's card was refused for good before, and nothing makes it good again", request)
        _enter(tried[card.merchant, card.key], request)


def all_attempts(history: History) -> dict[Place, list[_Attempt]]:
    """Told of or asked for, by merchant and card."""
    requests = list(history.requests_once)
    cards, tried = _Cards.of(history), _reported(history, requests)
    for request in requests:
        if (card := cards.charged_by(request)) is not None:
            _enter(tried[card.merchant, card.key], request)
    return tried


def may_wait(history: History, tried: dict[Place, list[_Attempt]], account_id: str, at: datetime) -> bool:
    """Whether a card of the account was tried so often in the 30 days before that a network may make the next charge
    wait (rule 18). Until when, no event says."""
    own = {event.card.key for event in history.inputs_of(account_id) if isinstance(event, Failure | Success)}
    return any(
        sum(at - _VISA_WITHIN < attempt.at <= at for attempt in attempts) >= _FEWEST
        for (_, key), attempts in tried.items()
        if key in own
    )


def _is_barred(history: History, request: Request, card: Card, read_before: datetime) -> bool:
    """A method that was declined hard is charged in none of the account's cases (rule 18)."""
    if any(signal.kind == "account.erased" for signal in history.signals_of(request.account_id)):
        return False
    return any(
        isinstance(event, Failure)
        and event.card.key == card.key
        and event.code in _REFUSED_FOR_GOOD
        and event.logged_at < read_before
        and not history.is_doubtful(event)
        and event.where not in history.refused
        for event in history.inputs_of(request.account_id)
    )


def _enter(attempts: list[_Attempt], request: Request) -> None:
    """Whoever asks later knows of this request; when it was really made is told by its answer, if there is one."""
    own = _Attempt(request.happened_at, BEFORE_ALL, (request.retry_id,))
    answer = next((each for each in attempts if each.name == own.name), None)
    if answer is not None:
        attempts.remove(answer)
        own = replace(answer, known_at=BEFORE_ALL)
    insort(attempts, own)


def _over_limit(request: Request, card: Card, before: list[_Attempt]) -> Iterator[Violation]:
    now = request.happened_at
    known = sorted(replace(each, at=min(each.at, now)) for each in before)
    if card.visa:
        yield from _over_visas(request, known)
    if card.country == "IN" and card.processor == "stripe" and any(each.failed for each in known):
        yield _violation("Stripe allows no retry of a card that was issued in India", request)


def _over_visas(request: Request, known: list[_Attempt]) -> Iterator[Violation]:
    now = request.happened_at
    first = bisect_right(known, now - _VISA_WITHIN, key=lambda each: each.at)
    within = known[first:]
    most = next((number for valid_from, number in _VISA_REATTEMPTS if valid_from <= now), None)
    if any(each.refused_for_good for each in within):
        yield _violation("Visa never approves this card, and it was tried again within 30 days", request)
    reattempts = 1 + sum(later.at - former.at < _VISA_WITHIN for former, later in pairwise(known[max(first - 1, 0) :]))
    if most is not None and within and reattempts > most:
        yield _violation(f"reattempt {reattempts} of a Visa card within 30 days; {most} are allowed", request)


def _reported(history: History, requests: list[Request]) -> dict[Place, list[_Attempt]]:
    """Attempts that the payment platform told of, each once, oldest first. What was set aside nobody knew."""
    asked = {
        (each.account_id, each.invoice_id, each.payment_id, each.attempt_number): each.retry_id for each in requests
    }
    found: dict[Place, dict[tuple[str, ...], _Attempt]] = defaultdict(dict)
    for event in history.inputs:
        if not isinstance(event, Failure | Success) or not event.card.key or not event.livemode:
            continue
        doubted = event.where in history.unsure or SCHEDULER in history.refused.get(event.where, ())
        if doubted or (isinstance(event, Failure) and event.code == "payment_overdue"):
            continue
        failed = isinstance(event, Failure)
        for_good = isinstance(event, Failure) and event.card.visa and event.network_code in _VISA_NEVER_APPROVES
        attempt = _Attempt(event.time, event.logged_at, _name(event, asked), for_good, failed)
        found[event.card.merchant, event.card.key].setdefault(attempt.name, attempt)
    return defaultdict(list, {place: sorted(attempts.values()) for place, attempts in found.items()})


def _name(event: Failure | Success, asked: dict[tuple[str, str, str, int], str]) -> tuple[str, ...]:
    if event.retry_id:
        return (event.retry_id,)
    number = event.attempt_number
    own = (event.account_id, event.invoice_id, event.payment_id)
    if number is not None and event.initiated_by != "customer" and (*own, number) in asked:
        return (asked[*own, number],)
    return (*own, str(number) if number is not None else event.time.isoformat())


def _violation(what: str, request: Request) -> Violation:
    return Violation(PROMISE, what, request.where, request.account_id, request.case_id)
