"""Which fault happens when: decided by a seed alone, before anything begins."""

import random
from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum

from dunning.contracts.topics import SERVICES

SIDES = (1, 2)  # each service runs once on either side, and each side has lines of its own to Kafka and to PostgreSQL
PAUSE_SECONDS = (1.0, 2.0)  # between faults


class Kind(StrEnum):
    """What can go wrong."""

    KILLED = "an instance killed (SIGKILL)"
    STOPPED = "an instance stopped (SIGTERM)"
    FROZEN = "an instance frozen beyond its session (SIGSTOP, SIGCONT)"
    KAFKA_CUT = "a side cut off from Kafka"
    KAFKA_HANGS = "a side's lines to Kafka hang"
    KAFKA_SLOW = "a side's lines to Kafka slow"
    DATABASE_CUT = "a side cut off from PostgreSQL"
    DATABASE_HANGS = "a side's lines to PostgreSQL hang"
    DATABASE_SLOW = "a side's lines to PostgreSQL slow"
    SESSIONS_ENDED = "all sessions in PostgreSQL terminated"
    BROKER_KILLED = "broker killed (SIGKILL)"
    BROKER_RESTARTED = "broker restarted (SIGTERM)"
    DATABASE_STOPPED = "PostgreSQL stopped in immediate mode"
    MAIL_KILLED = "mail server killed (SIGKILL)"


@dataclass(frozen=True)
class Odds:
    """How often a fault comes beside the others, and how long it lasts."""

    weight: float
    seconds: tuple[float, float] = (0.0, 0.0)
    server: str | None = None  # one that the stack starts again at once, if it lived for a minute


ODDS = {
    Kind.KILLED: Odds(40),
    Kind.STOPPED: Odds(5),
    Kind.FROZEN: Odds(12, (8, 40)),  # a session lives 6 s, an errand's lease 30 s
    Kind.KAFKA_CUT: Odds(6, (2, 12)),
    Kind.KAFKA_HANGS: Odds(4, (2, 12)),
    Kind.KAFKA_SLOW: Odds(4, (4, 10)),
    Kind.DATABASE_CUT: Odds(6, (2, 10)),
    Kind.DATABASE_HANGS: Odds(4, (2, 12)),
    Kind.DATABASE_SLOW: Odds(4, (4, 10)),
    Kind.SESSIONS_ENDED: Odds(8),
    Kind.BROKER_KILLED: Odds(5, server="kafka"),
    Kind.BROKER_RESTARTED: Odds(5, server="kafka"),
    Kind.DATABASE_STOPPED: Odds(8, server="postgres"),
    Kind.MAIL_KILLED: Odds(5, server="mail_sink"),
}
_SERVER_LIVES_SECONDS = 65


@dataclass(frozen=True)
class Fault:
    """One, `at_seconds` after the beginning."""

    at_seconds: float
    kind: Kind
    service: str
    side: int
    lasts_seconds: float

    @property
    def instance(self) -> str:
        """Whom it befalls, where it befalls one."""
        return f"{self.service}-{self.side}"


def planned(seed: int, seconds: float, kinds: Collection[Kind] = tuple(Kind)) -> list[Fault]:
    """The faults of so many seconds, in their order."""
    chance, faults = random.Random(seed), list[Fault]()
    free_from: dict[str | None, float] = {}
    at = chance.uniform(*PAUSE_SECONDS)
    while at < seconds:
        possible = [kind for kind in Kind if kind in kinds and at >= free_from.get(ODDS[kind].server, 0)]
        (kind,) = chance.choices(possible, [ODDS[each].weight for each in possible])
        odds = ODDS[kind]
        if odds.server is not None:
            free_from[odds.server] = at + _SERVER_LIVES_SECONDS
        lasts = chance.uniform(*odds.seconds)
        faults.append(Fault(at, kind, chance.choice(SERVICES), chance.choice(SIDES), lasts))
        at += chance.uniform(*PAUSE_SECONDS)
    return faults
