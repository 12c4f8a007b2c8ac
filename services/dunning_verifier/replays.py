"""Dead letters that were given back to the service that set them aside (rule 5): what they then said, and to whom.

A replay is in no topic. Who ordered it knows of it, and so does the service's database; a corrected body is kept by
neither once it was taken, so whoever wants it judged hands it over (`--replays`).
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from dunning_verifier.values import DeadLetter, Record, Where


@dataclass(frozen=True, slots=True)
class Replay:
    """One that took effect. `body` is None where the letter's own was read; a corrected one may be known to nobody."""

    letter: Where
    at: datetime
    corrected: bool = False
    body: bytes | None = None


@dataclass(frozen=True, slots=True)
class Replayed:
    """By the origin of each letter, which services replayed it; what they read; and the accounts for which something
    was read that nobody kept."""

    services: Mapping[Where, frozenset[str]]
    records: tuple[Record, ...]
    murky_accounts: frozenset[str]

    @classmethod
    def of(
        cls, replays: Iterable[Replay], letters: Mapping[Where, DeadLetter], records: Mapping[Where, Record]
    ) -> "Replayed":
        """From orders, the dead letters they name, and the records that these hold."""
        services: dict[Where, set[str]] = defaultdict(set)
        read: dict[Where, Record] = {}
        murky: set[str] = set()
        for order in replays:
            letter = letters.get(order.letter)
            if letter is None or letter.origin is None:
                continue
            services[letter.origin].add(letter.service)
            if order.corrected and order.body is None:
                murky.add(letter.key or "")
            elif letter.origin in records:
                body = letter.value if order.body is None else order.body
                before = read.get(letter.origin, records[letter.origin])
                read[letter.origin] = replace(before, value=body, logged_at=max(before.logged_at, order.at))
        by_origin = {origin: frozenset(names) for origin, names in services.items()}
        return cls(by_origin, tuple(read.values()), frozenset(murky))
