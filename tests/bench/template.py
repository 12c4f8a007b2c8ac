"""Rows as the retry scheduler itself writes them, by the million: one account is decided, all others are copies of it.

An account has three open cases, each with a retry planned a day after its first failure. In the copies the ids, the
times and the names of attempts in the card's ledger are other ones; all else is the same.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

from dunning.domain.account import SharedState
from dunning.domain.ids import case_id
from dunning.domain.policy_file import load_policies
from dunning.runtime.policy_directory import read_policy_files
from dunning.runtime.postgres.accounts import CaseTable
from dunning.runtime.repository import StateRepository
from retry_scheduler.case import RetryAccount, RetryCase
from retry_scheduler.counting import CARD_LEDGERS
from retry_scheduler.decide import RetryTrack
from retry_scheduler.ledger import CardLedger, CountedAttempt, Outcome, name_of
from retry_scheduler.service import COLUMNS
from tests.bench.load import INVOICES_OF_ACCOUNT, first_failure

FIRST_RETRY_AFTER = timedelta(days=1)
REPOSITORY = StateRepository(RetryAccount, RetryCase, COLUMNS)
_TABLE = CaseTable(REPOSITORY)
COLUMNS_OF = {
    "accounts": ("account_id", "state"),
    "cases": tuple(_TABLE.columns),
    "shared": ("key", "state", "kept_until"),
}
_ACCOUNT, _INVOICES = "acc_<account>", tuple(f"in_<{place}>" for place in range(INVOICES_OF_ACCOUNT))
_FAILED_AT = tuple(datetime(2026, 3, 2, 10, place, tzinfo=UTC) for place in range(INVOICES_OF_ACCOUNT))
_KINDS = ("invoice", "case", "attempt", "due", "failed")
_NAMES = (
    "account",
    *(f"{kind}{place}" for kind in _KINDS for place in range(INVOICES_OF_ACCOUNT)),
    f"kept{INVOICES_OF_ACCOUNT - 1}",
)
_SCATTER = 2_654_435_761  # odd: a bijection of 32 bits


@dataclass(frozen=True, slots=True)
class Template:
    """Lines for COPY's text form, with a place for everything that differs; by table."""

    lines: Mapping[str, str]

    def rows(self, table: str, number: int, due: Sequence[datetime]) -> str:
        """The rows of the so manieth account; its cases are due at these instants."""
        invoices = [invoice_id(number, place) for place in range(INVOICES_OF_ACCOUNT)]
        return self.lines[table] % _Values(account_id(number), invoices, due)


def account_id(number: int) -> str:
    """Neighbours in the table lie far apart in the index, as accounts do that happen to fail at one time."""
    return f"acc_{number * _SCATTER % 2**32:010d}"


def invoice_id(number: int, place: int) -> str:
    """One of an account's invoices."""
    return f"in_{number * _SCATTER % 2**32:010d}_{place}"


@cache
def template(policies: Path) -> Template:
    """Decide three first failures of one account, and find the places of what differs in the rows that follow."""
    loaded = load_policies(read_policy_files([policies]))
    track = RetryTrack(lambda: loaded.policies)
    account = RetryAccount(_ACCOUNT)
    ledgers: dict[str, SharedState] = {}
    for invoice, failed_at in zip(_INVOICES, _FAILED_AT, strict=True):
        event = first_failure(_ACCOUNT, invoice, failed_at)
        for key in CARD_LEDGERS.keys(account, event, failed_at):
            ledgers.setdefault(key, CARD_LEDGERS.new())
        account.shared = dict(ledgers)
        track.decide(account, event, failed_at)
    now = _FAILED_AT[-1]
    lines = {
        "accounts": _line(account.account_id, REPOSITORY.encode_account(account)),
        "cases": "".join(
            _line(*_TABLE.row(account, invoice, REPOSITORY.encode_case(account, invoice), now)) for invoice in _INVOICES
        ),
        "shared": "".join(
            _line(key, CARD_LEDGERS.encode(ledger), CARD_LEDGERS.kept_until(ledger)) for key, ledger in ledgers.items()
        ),
    }
    return Template({table: _with_places(line) for table, line in lines.items()})


def _line(*values: Any) -> str:
    return "\t".join(map(_copied, values)) + "\n"


def _copied(value: Any) -> str:
    """As COPY reads it."""
    match value:
        case None:
            return r"\N"
        case bytes():
            return value.decode().replace("\\", r"\\")
        case bool():
            return "t" if value else "f"
        case datetime():
            return _text(value)
        case _:
            return str(value)


def _with_places(line: str) -> str:
    """`%(name)s` where rows differ."""
    made = _Values(_ACCOUNT, _INVOICES, tuple(at + FIRST_RETRY_AFTER for at in _FAILED_AT))
    named = {made[name]: name for name in _NAMES}
    found = re.compile("|".join(map(re.escape, sorted(named, key=len, reverse=True))))
    return found.sub(lambda match: f"%({named[match[0]]})s", line.replace("%", "%%"))


class _Values(dict[str, str]):
    """What differs, by the name of its place; made when it is asked for, since no table needs all."""

    def __init__(self, account: str, invoices: Sequence[str], due: Sequence[datetime]) -> None:
        super().__init__(account=account)
        self._account = account
        self._invoices = invoices
        self._due = due

    def __missing__(self, name: str) -> str:
        value = self[name] = self._make(name[:-1], int(name[-1]))
        return value

    def _make(self, what: str, place: int) -> str:
        invoice, due_at = self._invoices[place], self._due[place]
        match what:
            case "invoice":
                return invoice
            case "case":
                return case_id(self._account, invoice, 1)
            case "attempt":
                return str(name_of(self._account, invoice, f"pay_{invoice}", 1))
            case "due":
                return _text(due_at)
            case "failed":
                return _text(due_at - FIRST_RETRY_AFTER)
            case _:  # a ledger is kept for so long after its newest attempt
                return _text(due_at - FIRST_RETRY_AFTER + _kept_for())


def _text(at: datetime) -> str:
    """As `rfc3339`, which would remember millions that nobody asks for again."""
    return f"{at.isoformat()[: -len('+00:00')]}Z"


@cache
def _kept_for() -> timedelta:
    newest = CountedAttempt(1, _FAILED_AT[0], Outcome.DECLINED)
    return CardLedger([newest]).kept_until - _FAILED_AT[0]


def account_lines(made: Template, table: str, dues: Iterator[tuple[datetime, ...]]) -> Iterator[bytes]:
    """The lines of as many accounts as there are due times, a few hundred accounts at a time."""
    lines: list[str] = []
    for number, due in enumerate(dues):
        lines.append(made.rows(table, number, due))
        if len(lines) >= 300:
            yield "".join(lines).encode()
            lines.clear()
    yield "".join(lines).encode()
