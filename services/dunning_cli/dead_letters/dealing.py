"""Dealing with dead letters: which ones, whether each may be dealt with, and what became of it."""

import asyncio
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeAlias

from dunning.contracts.decode import decode
from dunning.contracts.decoded import Unreadable
from dunning.runtime.letter_orders import By, Headers, ReplayOrder
from dunning.runtime.settings import Settings
from dunning_cli.asking import require_broker
from dunning_cli.dead_letters.letters import DeadLetter, Filter, Place
from dunning_cli.dead_letters.orders import TO_DO, Orders, Standing, State, story_of
from dunning_cli.dead_letters.read import DeadLetters
from dunning_cli.errors import CommandError

NOT_TO_BE_DONE = "DUN-C024"
CORRECTION_UNREADABLE = "DUN-C025"
NO_SUCH_LETTER = "DUN-C020"
_LOOK_SECONDS = 0.2
_LINES_MAX = 20

Found: TypeAlias = "list[tuple[DeadLetter, Standing]]"


@dataclass(frozen=True, slots=True)
class Asked:
    """Dead letters by their places, or else all that a filter finds, up to `limit` of them and once confirmed."""

    places: tuple[Place, ...] = ()
    wanted: Filter = Filter()  # noqa: RUF009 - a frozen value
    limit: int = 0
    confirmed: bool = True


@dataclass(frozen=True, slots=True)
class Correction:
    """What to read instead of what came. A header with an empty value is dropped."""

    body: bytes | None = None
    headers: tuple[tuple[str, str], ...] = ()

    @property
    def is_given(self) -> bool:
        """Whether anything is corrected."""
        return self.body is not None or bool(self.headers)

    def order_for(self, letter: DeadLetter) -> ReplayOrder:
        """The message to read. Raises CommandError where it could not be read either: no card number gets on file."""
        order = ReplayOrder(
            place=letter.place.in_service,
            set_aside_for=letter.reason,
            key=letter.key,
            headers=self._corrected(letter.headers),
            body=self.body if self.body is not None else letter.body,
            masked=letter.is_masked,
            corrected=self.is_given,
        )
        if self.is_given:
            decoded = decode(order.place.topic, order.key, order.body, order.headers, datetime.now(UTC))
            if isinstance(decoded, Unreadable):
                said = f"corrected like that it would be set aside again: {decoded.reason}: {decoded.detail}"
                raise CommandError(CORRECTION_UNREADABLE, said)
        return order

    def _corrected(self, headers: Headers) -> Headers:
        named = {name for name, _ in self.headers}
        kept = tuple((name, value) for name, value in headers if name not in named)
        return kept + tuple((name, value.encode()) for name, value in self.headers if value)


@dataclass(frozen=True, slots=True)
class Report:
    """What to tell, and whether something went wrong."""

    lines: list[str]
    failed: bool = False


async def replayed(settings: Settings, asked: Asked, correction: Correction, by: By, wait_seconds: float) -> Report:
    """Order replays, and wait a while for what becomes of them. Raises CommandError for what may not be replayed."""
    require_broker(settings)
    async with Orders.open(settings) as orders, DeadLetters.open(settings) as letters:
        found = await _found(asked, orders, letters)
        if correction.is_given:
            require_one_message([letter for letter, _ in found])
        may = [letter for letter, standing in found if _why_no_replay(letter, standing, correction) is None]
        if asked.places:
            _refuse(_why_no_replay(letter, standing, correction) for letter, standing in found)
        elif not asked.confirmed:
            return Report(_plan("replay", may, found, asked.limit))
        given = []
        async for letter in letters.whole([letter.place for letter in may]):
            if await orders.replay(letter, correction.order_for(letter), by) is not None:
                given.append(letter.place)
        standings = await _waited(orders, given, wait_seconds)
    return _outcomes(standings)


async def discarded(settings: Settings, asked: Asked, by: By) -> Report:
    """Note that dead letters need nothing. Raises CommandError for what was replayed or waits to be."""
    require_broker(settings)
    async with Orders.open(settings) as orders, DeadLetters.open(settings) as letters:
        found = await _found(asked, orders, letters)
        may = [letter for letter, standing in found if _why_no_discard(letter, standing) is None]
        if asked.places:
            _refuse(_why_no_discard(letter, standing) for letter, standing in found)
        elif not asked.confirmed:
            return Report(_plan("discard", may, found, asked.limit))
        done = [letter.place for letter in may if await orders.discard(letter, by) is not None]
    return Report([f"{len(done)} discarded, by {by.who}: `dunning dlq list --state discarded` shows them"])


def no_such_letter(places: Sequence[Place]) -> CommandError:
    """For those whose topics do not hold them."""
    hint = "`dunning dlq list` shows those there are"
    return CommandError(
        NO_SUCH_LETTER, f"there is no dead letter {', '.join(map(str, places))}, or not any more: {hint}"
    )


async def _found(asked: Asked, orders: Orders, letters: DeadLetters) -> Found:
    """With their standings, but without their bodies, oldest first. By a filter only what nobody dealt with: what was
    discarded is replayed by its own id."""
    if asked.places:
        found = [await letters.one(place) for place in asked.places]
        gone = [place for place, letter in zip(asked.places, found, strict=True) if letter is None]
        if gone:
            raise no_such_letter(gone)
        there = [letter for letter in found if letter is not None]
    else:
        there = (await letters.newest(asked.wanted, asked.limit, orders.in_states(TO_DO)))[::-1]
    standings = await orders.of([letter.place for letter in there])
    return [(letter, standings[letter.place]) for letter in there]


def require_one_message(found: Sequence[DeadLetter]) -> None:
    """A correction is of one message, which several services may have set aside. Raises CommandError."""
    messages = {letter.came_from for letter in found}
    if len(messages) > 1:
        said = f"--body and --header correct one message, and these ids are of {len(messages)}; nothing was ordered"
        raise CommandError(NOT_TO_BE_DONE, said)


def _why_no_replay(letter: DeadLetter, standing: Standing, correction: Correction) -> str | None:
    if not standing.may_be_replayed:
        assert standing.decisive is not None, "an order is in the way"
        return f"{letter.place} is replayed once: {story_of(standing.decisive)}"
    if letter.is_masked and correction.body is None:
        return f"{letter.place} held a card number, which was masked: give a corrected body with --body FILE"
    return None


def _why_no_discard(letter: DeadLetter, standing: Standing) -> str | None:
    if standing.may_be_replayed:
        return None
    assert standing.decisive is not None, "an order is in the way"
    return f"{letter.place} needs no discarding: {story_of(standing.decisive)}"


def _refuse(reasons: Iterable[str | None]) -> None:
    """Of those that were named, all or none."""
    refused = [reason for reason in reasons if reason is not None]
    if refused:
        more = f" (and {len(refused) - 1} more)" if len(refused) > 1 else ""
        raise CommandError(NOT_TO_BE_DONE, f"{refused[0]}{more}; nothing was ordered")


def _plan(what: str, may: Sequence[DeadLetter], found: Found, limit: int) -> list[str]:
    """What a bulk order would do, counted by service, topic and reason."""
    counted = Counter((letter.place.service, letter.place.topic, letter.reason) for letter in may)
    lines = [f"would {what} {len(may)} dead letters"]
    lines += [f"  {count:>6}  {' '.join(which)}" for which, count in sorted(counted.items())]
    left = len(found) - len(may)
    if left:
        lines.append(f"left out: {left} held a card number, which was masked: each needs a corrected body")
    if len(found) == limit:
        lines.append(f"there may be more: these are the newest {limit} (--limit)")
    return [*lines, "nothing is ordered yet: repeat with --yes"]


async def _waited(orders: Orders, places: Sequence[Place], seconds: float) -> Mapping[Place, Standing]:
    """Their standings, once none waits any more or the time is up."""
    deadline = time.monotonic() + seconds
    while True:
        standings = await orders.of(places)
        waiting = any(standing.state is State.WAITING for standing in standings.values())
        if not waiting or time.monotonic() > deadline:
            return standings
        await asyncio.sleep(_LOOK_SECONDS)


def _outcomes(standings: Mapping[Place, Standing]) -> Report:
    states = Counter(standing.state for standing in standings.values())
    failed = bool(states[State.SET_ASIDE] or states[State.PASSED_OVER])
    if len(standings) <= _LINES_MAX:
        lines = [f"{place}: {story_of(standing.orders[-1])}" for place, standing in standings.items()]
    else:
        lines = [f"{count} {state.replace('_', ' ')}" for state, count in sorted(states.items())]
    return Report([*(lines or ["nothing to replay"]), *_hints(states)], failed)


def _hints(states: Counter[State]) -> Iterator[str]:
    if states[State.WAITING]:
        yield "what waits is taken as soon as its service runs: `dunning dlq list --state waiting`"
    if states[State.SET_ASIDE]:
        yield "what was set aside again may be replayed again, corrected: `dunning dlq list --state set_aside`"
