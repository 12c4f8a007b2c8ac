"""Whether a decision marks all that it changes: the store writes back what is marked, and nothing else."""

from datetime import datetime
from typing import Any

from account_enforcement.case import AccountCase, EnforcedAccount
from dunning.domain.decision import Decision
from dunning.domain.events import Input
from dunning.domain.track import Track
from dunning.runtime.repository import StateRepository
from dunning_cli.simulation.world import World
from notification_dispatcher.case import NoticeAccount, NoticeCase
from retry_scheduler.case import RetryAccount, RetryCase

ROWS: dict[type[Any], StateRepository[Any, Any]] = {
    RetryAccount: StateRepository(RetryAccount, RetryCase),
    NoticeAccount: StateRepository(NoticeAccount, NoticeCase),
    EnforcedAccount: StateRepository(EnforcedAccount, AccountCase),
}


class Marked:
    """One track's decisions, with the rows that a store would hold after them."""

    def __init__(self, track: Track[Any, Any]) -> None:
        self._decide = track.decide
        self._rows: dict[tuple[str, str], bytes] = {}  # by account and invoice; "" for the account's own

    def decide(self, account: Any, event: Input, now: datetime) -> Decision:
        """As the track does. What changed without a mark would be lost."""
        decision = self._decide(account, event, now)
        rows, own = ROWS[type(account)], (account.account_id, "")
        self._rows.setdefault(own, rows.encode_account(rows.new_account(account.account_id)))
        self._compare(own, rows.encode_account(account), event, is_marked=account.changed or bool(account.touched))
        for invoice_id in account.cases:
            name, row = (account.account_id, invoice_id), rows.encode_case(account, invoice_id)
            self._compare(name, row, event, is_marked=invoice_id in account.touched)
        return decision

    def _compare(self, name: tuple[str, str], row: bytes, event: Input, *, is_marked: bool) -> None:
        former = self._rows.get(name)
        assert is_marked or row == former, f"{event} changed {name} without a mark:\n{former!r}\n{row!r}"
        self._rows[name] = row


def with_marks(world: World) -> World:
    """The same world; its decisions are looked at."""
    for room in world.rooms:
        room.track.decide = Marked(room.track).decide  # type: ignore[method-assign]
    return world
