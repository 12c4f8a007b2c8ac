"""What is known of one invoice's payments, and which of its failures are still unpaid (rules 7 to 11).

The book keeps facts by their own times, so that it says the same whatever the order in which they were read.
"""

from dataclasses import dataclass, field
from datetime import datetime

from dunning.domain.declines import classify, is_overdue
from dunning.domain.events import PaymentFailed
from dunning.domain.pauses import Mark
from dunning.domain.words import DeclineClass

ATTEMPTS_MAX = 64  # of one case; beyond it the oldest but the first are forgotten, they decide nothing any more
CLOSINGS_MAX = 16  # of one invoice, beside the latest; the oldest are forgotten


@dataclass(slots=True)
class Attempt:
    """A failed attempt to charge, or a due payment that never came."""

    number: int
    payment_id: str
    failed_at: datetime
    amount_due_minor: int
    decline_class: DeclineClass
    code: str
    overdue: bool = False  # `payment_overdue`: nothing was charged
    delay_until: datetime | None = None  # a network's advice: no charge before (rule 19)
    method_key: str = ""
    due_at: datetime | None = None
    late: bool = False  # an answer after its time: its distance does not count (rule 15)

    @classmethod
    def of(cls, event: PaymentFailed, method_key: str) -> "Attempt":
        """The attempt that a failure reports; `method_key` is what was charged, as far as it is known."""
        decline = classify(event.failure, event.payment_method, event.failed_at)
        return cls(
            number=event.attempt_number,
            payment_id=event.payment_id,
            failed_at=event.failed_at,
            amount_due_minor=event.amount_due_minor,
            decline_class=decline.decline_class,
            code=event.failure.code,
            overdue=is_overdue(event.failure),
            delay_until=event.failed_at + decline.delay if decline.delay else None,
            method_key=method_key,
            due_at=event.due_at,
        )


@dataclass(slots=True)
class Remaining:
    """What was left to pay at an instant, as a partial payment or an adjustment said."""

    at: datetime
    amount_minor: int


@dataclass(slots=True)
class Lifted:
    """A termination that a reinstatement lifted, which was a closing (rule 8), unless an earlier one is read later."""

    terminated_at: datetime
    at: datetime
    first_failed_at: datetime | None  # of the case that was terminated, as far as that is known
    settled: list[Attempt] = field(default_factory=list)  # what it took off


@dataclass(slots=True)
class Book:
    """One invoice. `attempts` are those of the open case, in the order of their times."""

    currency: str = ""
    attempts: list[Attempt] = field(default_factory=list)
    closings: int = 0  # by full payment or reinstatement, seen or unseen as a case (rule 8)
    closed_until: datetime | None = None  # the latest of these: failures up to it are settled
    closed_before: list[datetime] = field(default_factory=list)  # those before the latest, in the order of their times
    ended: str = ""  # the reason of a void or write-off: nothing opens any more (rule 10)
    ended_at: datetime | None = None  # the earliest of these
    terminated_at: datetime | None = None  # until the account is reinstated (rule 37)
    lifted: Lifted | None = None  # the latest one
    remaining: Remaining | None = None  # the latest-dated word on what is left
    highest_attempt: int = 0  # seen or requested, over all cases of the invoice (rules 7 and 15)
    owed_minor: int | None = None  # on failures that were paid while the account was terminated (rule 37)
    heard_of: dict[str, datetime] = field(default_factory=dict)  # terminations of cases to come, by their ids (rule 39)
    waiting: list[PaymentFailed] = field(default_factory=list)  # read while terminated, for when it is over (rule 37)
    marks: list[Mark] = field(default_factory=list)  # pauses, disputes and extensions, those of the account too (27)

    @property
    def first(self) -> Attempt:
        """The earliest failure of the open case: its anchor, window and amount count from here."""
        return self.attempts[0]

    @property
    def next_number(self) -> int:
        """The number of the case that a failure after everything known would open (rule 8)."""
        return 1 + self.closings

    @property
    def amount_minor(self) -> int:
        """What is owed on the open case (rule 11), in the currency's minor unit."""
        if not self.attempts:
            if self.owed_minor is not None:
                return self.owed_minor
            return self.remaining.amount_minor if self.remaining else 0
        first = self.attempts[0]
        if self.remaining and self.remaining.at >= first.failed_at:
            return self.remaining.amount_minor
        return first.amount_due_minor

    @property
    def due_at(self) -> datetime | None:
        """When the invoice was due, as far as a failure of the open case said so."""
        return next((attempt.due_at for attempt in self.attempts if attempt.due_at), None)

    def closed_at(self, number: int) -> datetime | None:
        """When the case of a number was closed by full payment or reinstatement, seen or unseen; None where it was not,
        or where that is forgotten."""
        known = self._closing_times()
        place = number - 1 - (self.closings - len(known))
        return known[place] if 0 <= place < len(known) else None

    def _closing_times(self) -> list[datetime]:
        """When it was closed, as far as that is not forgotten, in the order of time."""
        return [*self.closed_before, self.closed_until] if self.closed_until is not None else []

    def is_settled(self, failed_at: datetime) -> bool:
        """Whether a failure of this time changes nothing any more: paid since, voided, or terminated."""
        return self._is_over(failed_at) or self.terminated_at is not None

    def may_count_later(self, failed_at: datetime) -> bool:
        """Whether a failure of this time changes nothing for the termination alone, or for that it was lifted."""
        if self.terminated_at is not None:
            return not self._is_over(failed_at)
        if self.lifted is None or self.ended:
            return False
        return all(failed_at > at for at in self._closing_times() if at != self.lifted.at)

    def _is_over(self, failed_at: datetime) -> bool:
        paid = self.closed_until is not None and failed_at <= self.closed_until
        return paid or bool(self.ended)

    def add(self, attempt: Attempt) -> None:
        """Enter a failure where its time puts it."""
        self.owed_minor = None
        self.attempts.append(attempt)
        self.attempts.sort(key=in_order)
        if len(self.attempts) > ATTEMPTS_MAX:
            del self.attempts[1]
        self.highest_attempt = max(self.highest_attempt, attempt.number)

    def note_remaining(self, at: datetime, amount_minor: int) -> None:
        """Keep the latest-dated word on what is left, unless the invoice was paid since."""
        settled = self.closed_until is not None and at <= self.closed_until
        if not settled and (self.remaining is None or at >= self.remaining.at):
            self.remaining = Remaining(at, amount_minor)

    def settle(self, at: datetime) -> list[Attempt]:
        """A closing at an instant: takes the settled attempts off and returns the later ones, which stay unpaid, unless
        the invoice was voided or written off (rule 10).

        While the account is terminated a payment moves nothing, so what the case owed is kept: an earlier closing
        that is read later undoes the termination and says it.
        """
        if self.terminated_at is not None and self.attempts:
            self.owed_minor = self.amount_minor
        self.closings += 1
        if self.closed_until is not None:
            self.closed_before = sorted([*self.closed_before, min(self.closed_until, at)])[-CLOSINGS_MAX:]
        self.closed_until = max(self.closed_until or at, at)
        until = self.closed_until
        self.attempts = [] if self.ended else [each for each in self.attempts if each.failed_at > until]
        return self.attempts

    def lift(self, at: datetime) -> list[Attempt]:
        """A reinstatement lifts the termination: a closing, from which on failures count again."""
        assert self.terminated_at is not None, "only a termination is lifted"
        first = next((each.failed_at for each in self.attempts if each.failed_at <= self.terminated_at), None)
        settled = [each for each in self.attempts if each.failed_at <= at]
        self.lifted = Lifted(self.terminated_at, at, first, settled)
        self.terminated_at = None
        return self.settle(at)

    def lifted_in_vain(self, paid_at: datetime) -> list[Attempt] | None:
        """Whether a payment had undone the termination before it was lifted. Then that payment is the closing, and not
        what lifted it (rule 37); returns what stays unpaid of what the lifting took off, None where it did not."""
        lifted = self.lifted
        if lifted is None or paid_at >= lifted.terminated_at:
            return None
        if lifted.first_failed_at is not None and lifted.first_failed_at > paid_at:
            return None
        times = self._closing_times()
        if lifted.at not in times:  # so many closings came since that it is forgotten
            return None
        times.remove(lifted.at)
        *self.closed_before, self.closed_until = sorted([*times, paid_at])
        self.lifted = None
        over = bool(self.ended) or self.terminated_at is not None
        return [] if over else [each for each in lifted.settled if each.failed_at > self.closed_until]

    def all_technical(self) -> bool:
        """Whether nothing but technical failures is known of the open case (rule 20)."""
        for attempt in self.attempts:  # noqa: SIM110 - asked at every turn, and a generator costs more than the answer
            if attempt.decline_class is not DeclineClass.TECHNICAL:
                return False
        return True

    def latest(self) -> Attempt | None:
        """The attempt that the next distance counts from, answers after their time left out. Of two words on one
        attempt at one instant the first that was read, as of one that comes twice (1)."""
        counting = (attempt for attempt in self.attempts if not attempt.late and not attempt.overdue)
        return max(counting, key=in_order, default=None)


def in_order(attempt: Attempt) -> tuple[datetime, int, str]:
    """By their own times (rule 7); at one instant the lower attempt comes first."""
    return attempt.failed_at, attempt.number, attempt.payment_id
