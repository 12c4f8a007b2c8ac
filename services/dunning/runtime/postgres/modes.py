"""Whether a service acts, as its schema says, and the record of who switched it (rule 42)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from dunning.runtime.mode import Mode
from dunning.runtime.postgres.connections import Connection
from dunning.runtime.postgres.queries import QUERIES


@dataclass(frozen=True, slots=True)
class Switch:
    """One switch on record. `from_mode` is None for the first."""

    at: datetime
    from_mode: Mode | None
    to_mode: Mode
    by: str
    reason: str


async def present_mode(connection: Connection) -> Mode | None:
    """None while the service was never started."""
    word = await connection.fetchval(QUERIES["present_mode"])
    return Mode(word) if word is not None else None


async def may_act(connection: Connection, *, hold: bool) -> bool:
    """Whether the mode is `act`; with `hold`, it stays so until the transaction ends: a switch waits for that."""
    return bool(await connection.fetchval(QUERIES["hold_mode" if hold else "may_act"]))


async def switch_mode(connection: Connection, to: Mode, by: str, reason: str) -> Switch | None:
    """Switch in the caller's transaction, which ends before anything else; None where it is so already."""
    word = await connection.fetchval(QUERIES["lock_mode"])
    if word == to:
        return None
    row = await connection.fetchrow(QUERIES["switch_mode"], to.value, word, by, reason)
    assert row is not None, "it returns what it wrote"
    return _switch(row)


async def switches(connection: Connection, limit: int) -> Sequence[Switch]:
    """The latest ones, newest first."""
    return [_switch(row) for row in await connection.fetch(QUERIES["mode_switches"], limit)]


def _switch(row: Any) -> Switch:
    former = Mode(row["from_mode"]) if row["from_mode"] else None
    return Switch(row["at"], former, Mode(row["to_mode"]), row["by_name"], row["reason"])
