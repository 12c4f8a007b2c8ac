"""What is on file about dead letters: whether somebody dealt with them, and what became of it (rule 5)."""

import socket
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from enum import StrEnum

from dunning.runtime.letter_orders import By, OrderKind, OrderOnFile, OrderOutcome, ReplayOrder
from dunning.runtime.postgres import letter_orders as table
from dunning.runtime.settings import Settings
from dunning_cli.asking import Connection, connected
from dunning_cli.dead_letters.letters import DeadLetter, Place
from dunning_cli.dead_letters.read import Narrow
from dunning_cli.listing import utc
from dunning_cli.mode import user_name


class State(StrEnum):
    """Where a dead letter stands for those who look after them."""

    OPEN = "open"  # nobody dealt with it
    WAITING = "waiting"  # to be taken by its service
    APPLIED = "applied"
    DUPLICATE = "duplicate"  # replayed, but the same thing had come in another way
    SET_ASIDE = "set_aside"  # replayed, and set aside again
    PASSED_OVER = "passed_over"  # replayed, but it is not for the service
    DISCARDED = "discarded"


TO_DO = frozenset({State.OPEN, State.SET_ASIDE, State.PASSED_OVER})
"""What waits for somebody to do something about it."""


@dataclass(frozen=True, slots=True)
class Standing:
    """A dead letter's orders, oldest first."""

    orders: tuple[OrderOnFile, ...] = ()

    @property
    def decisive(self) -> OrderOnFile | None:
        """What decides how it stands: a replay that waits or has acted, else the latest order."""
        in_the_way = [order for order in self.orders if order.in_the_way]
        return next(iter(in_the_way or self.orders[-1:]), None)

    @property
    def state(self) -> State:
        """One word."""
        order = self.decisive
        if order is None:
            return State.OPEN
        return State.WAITING if order.outcome is None else State(order.outcome.value)

    @property
    def may_be_replayed(self) -> bool:
        """Not yet, or without an effect so far; one that was discarded may be, for everybody errs."""
        return not any(order.in_the_way for order in self.orders)

    def told(self) -> str:
        """How it stands, for a line of a list."""
        order = self.decisive
        if order is None:
            return State.OPEN
        if order.outcome is OrderOutcome.SET_ASIDE:
            return f"set aside again: {order.reason}"
        return self.state.replace("_", " ")


def story_of(order: OrderOnFile) -> str:
    """An order in one line: who, when, why, and what became of it."""
    did = "discarded" if order.kind is OrderKind.DISCARD else "replayed"
    corrected = ", corrected" if order.corrected else ""
    line = f"{did}{corrected} by {order.by.who} at {utc(order.given_at)}"
    if order.by.why:
        line += f" ({order.by.why})"
    if order.kind is OrderKind.DISCARD:
        return line
    if order.outcome is None:
        return f"{line}: waits for the service to take it"
    why = ": ".join(part for part in (order.reason, order.detail) if part)
    return f"{line}: {order.outcome.replace('_', ' ')}{f', {why}' if why else ''}"


def signed(who: str | None, why: str | None) -> By:
    """Who gives an order: the name given, or else whoever is logged in here."""
    return By(who or f"{user_name()}@{socket.gethostname()}", why or "")


class Orders:
    """The services' tables of orders."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._connections: dict[str, Connection] = {}

    @classmethod
    @asynccontextmanager
    async def open(cls, settings: Settings) -> AsyncIterator["Orders"]:
        """While the block lasts; each service's tables are connected to when they are first needed."""
        orders = cls(settings)
        try:
            yield orders
        finally:
            for connection in orders._connections.values():
                await connection.close()

    async def of(self, places: Sequence[Place]) -> dict[Place, Standing]:
        """How these dead letters stand."""
        found: dict[Place, list[OrderOnFile]] = {place: [] for place in places}
        for service in {place.service for place in places}:
            here = {place.in_service: place for place in places if place.service == service}
            for order in await table.orders_on_file(await self._in(service), list(here)):
                found[here[order.place]].append(order)
        return {place: Standing(tuple(orders)) for place, orders in found.items()}

    def in_states(self, states: Collection[State]) -> Narrow:
        """Which of some dead letters stand like that."""

        async def narrow(letters: Sequence[DeadLetter]) -> list[DeadLetter]:
            standings = await self.of([letter.place for letter in letters])
            return [letter for letter in letters if standings[letter.place].state in states]

        return narrow

    async def replay(self, letter: DeadLetter, order: ReplayOrder, by: By) -> int | None:
        """Order a replay; None where somebody was faster."""
        return await table.give_replay(await self._in(letter.place.service), order, by)

    async def discard(self, letter: DeadLetter, by: By) -> int | None:
        """Note that nothing is to be done; None where somebody ordered a replay."""
        place = letter.place
        return await table.give_discard(await self._in(place.service), place.in_service, letter.reason, by)

    async def _in(self, service: str) -> Connection:
        if service not in self._connections:
            self._connections[service] = await connected(self._settings, to_write_in=service)
        return self._connections[service]
