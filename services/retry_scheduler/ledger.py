"""The attempts to charge one card, by whomever and for whatever: what networks count (rule 18, promise 7).

A card may be used for many invoices and by several accounts, so its ledger is no part of an account: it has a key of
its own. One attempt counts once, although it appears as our request, as its answer, and perhaps again; and the ledger
says the same in whatever order its attempts were read.
"""

from bisect import insort
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from hashlib import blake2b

import msgspec

from dunning.domain.declines.catalogue import shipped
from dunning.domain.declines.limits import ANY_NETWORK

KEPT_MAX = 200  # attempts of one card at one merchant, the newest; every limit is reached long before


class Outcome(StrEnum):
    """How an attempt ended, as far as is known."""

    OPEN = "open"  # we asked for it and heard nothing yet: it may be made until its time is over
    DECLINED = "declined"
    SUCCEEDED = "succeeded"


@dataclass(slots=True)
class CountedAttempt:
    """One attempt, as networks count it. While nobody answered our request, `at` is when its time ends (rule 14)."""

    name: int  # the same for a request and its answer
    at: datetime
    outcome: Outcome
    merchant: str = ""  # empty: nobody said, so it counts for every merchant
    network: str = ""
    category: str = ""  # the network's, of a decline
    amount_minor: int = 0
    currency: str = ""

    def gives_way_to(self, other: "CountedAttempt") -> bool:
        """Which of two words on one attempt stands: an answer before a request, then the later one."""
        return (self.outcome is not Outcome.OPEN, self.at, self.outcome) < (
            other.outcome is not Outcome.OPEN,
            other.at,
            other.outcome,
        )

    def learn(self, other: "CountedAttempt") -> bool:
        """Take over what only the other word on this attempt says of merchant and network; says whether it is news."""
        before = self.merchant, self.network
        self.merchant = self.merchant or other.merchant
        if self.network not in _NETWORKS:
            self.network = other.network or self.network
        return (self.merchant, self.network) != before


@dataclass(slots=True)
class CardLedger:
    """What is known of one card, oldest first."""

    attempts: list[CountedAttempt] = field(default_factory=list)
    changed: bool = False

    def enter(self, attempt: CountedAttempt, now: datetime) -> None:
        """Count an attempt, unless it is counted already or too old to matter."""
        known = next((each for each in self.attempts if each.name == attempt.name), None)
        if known is not None and not known.gives_way_to(attempt):
            self.changed |= known.learn(attempt)
            return
        if known is not None:
            attempt.learn(known)
            self.attempts.remove(known)
        insort(self.attempts, attempt, key=lambda each: (each.at, each.name))
        self._forget(attempt.merchant, now)
        self.changed = True

    def _forget(self, merchant: str, now: datetime) -> None:
        """What no limit looks at any more goes, and of a card that everybody uses, such as a test card, the oldest at
        the merchant that has one more. A flood on one card comes by here for each event: nothing is sorted anew."""
        old = next((place for place, each in enumerate(self.attempts) if matters(each.at, now)), len(self.attempts))
        del self.attempts[:old]
        if len(self.attempts) > KEPT_MAX:
            here = [place for place, each in enumerate(self.attempts) if each.merchant == merchant]
            if len(here) > KEPT_MAX:
                del self.attempts[here[0]]

    @property
    def kept_until(self) -> datetime:
        """When the last of these attempts decides nothing any more; long ago where there are none."""
        newest = max((attempt.at for attempt in self.attempts), default=None)
        return newest + _MATTERS_FOR if newest else datetime.fromisoformat("1970-01-01T00:00:00Z")


def matters(at: datetime, now: datetime) -> bool:
    """Whether an attempt of this time can still decide about a charge now or later."""
    return at > now - _MATTERS_FOR


def name_of(account_id: str, *parts: object) -> int:
    """A short name of an attempt: without the ids that it is made of, and the same at every reading."""
    text = "/".join(map(str, (account_id, *parts)))
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), signed=True)


_MATTERS_FOR = 2 * max((limit.within for limit in shipped().limits if limit.within), default=timedelta())
"""Twice the widest limit: whether the oldest attempt within it follows another one is told by those before it."""

_NETWORKS = frozenset(limit.network for limit in shipped().limits) - {ANY_NETWORK}
"""Those that count attempts. Another word is none on what counts: `card`, or a brand without limits."""

_encode = msgspec.json.Encoder().encode
_decoder = msgspec.json.Decoder(list[CountedAttempt])


def encode_ledger(ledger: CardLedger) -> bytes:
    """As it is stored."""
    return _encode(ledger.attempts)


def decode_ledger(state: bytes) -> CardLedger:
    """As it was stored."""
    return CardLedger(_decoder.decode(state))
