"""How often networks and processors let a card be tried: what a row of the tables' `limits` says (rule 18)."""

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from functools import lru_cache

ANY_NETWORK = "any"
UNSAID = "unsaid"  # stands among a limit's categories for attempts that did not say theirs
_NO_LETTERS = re.compile(r"[\s_-]+")


@lru_cache(maxsize=1024)  # the same few processors and networks with every event
def letters(spelling: str) -> str:
    """A name as it is compared: senders differ in case, spaces and dashes."""
    return _NO_LETTERS.sub("", spelling.casefold())


class Counts(StrEnum):
    """What of a card's attempts a limit counts, the one that is about to be made included."""

    REATTEMPTS = "reattempts"  # those that follow another one within the limit's time
    DECLINES = "declines"  # those that did not succeed, as far as is known


class Scope(StrEnum):
    """What attempts must have in common to be counted together; `card` always is among it."""

    MERCHANT = "merchant"
    CARD = "card"
    AMOUNT = "amount"


@dataclass(frozen=True, slots=True)
class Limit:
    """At most so many attempts within a time, as long as the row holds."""

    network: str  # or `any`
    processor: str | None  # None: whoever processes the charge
    countries: frozenset[str] | None  # of the card's issuer; None: all
    counts: Counts
    most: int
    within: timedelta | None  # None: for ever
    scope: frozenset[Scope]
    categories: frozenset[str] | None  # of the declines that bring it into force; None: any attempt does
    valid_from: datetime
    valid_until: datetime | None  # exclusive
    source: str
    verified: str

    def __post_init__(self) -> None:
        """Raises ValueError for a row that could not be counted."""
        if Scope.CARD not in self.scope or self.most < 0 or (self.counts is Counts.DECLINES and self.most < 1):
            raise ValueError(f"a limit counts attempts on a card, and the first one is always allowed: {self}")

    def __str__(self) -> str:
        """For people: what it allows, and who says so."""
        who = self.processor or self.network
        where = f" with cards of {', '.join(sorted(self.countries))}" if self.countries else ""
        within = f" in {_spelled(self.within)}" if self.within else ""
        return f"{who}{where}: at most {self.most} {self.counts}{within}"

    def holds(self, at: datetime) -> bool:
        """Whether it is in force for a charge at this instant."""
        return self.valid_from <= at and (self.valid_until is None or at < self.valid_until)

    def concerns(self, networks: frozenset[str], processor: str, country: str) -> bool:
        """Whether it is about a card of these networks and country, charged by this processor."""
        return (
            (self.network == ANY_NETWORK or self.network in networks)
            and (self.processor is None or self.processor == letters(processor))
            and (self.countries is None or country.upper() in self.countries)
        )


def _spelled(within: timedelta) -> str:
    hours, days = within // timedelta(hours=1), within.days
    return f"{days} days" if within == timedelta(days=days) and days > 1 else f"{hours} hours"
