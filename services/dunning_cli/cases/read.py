"""Reads what the services keep. Their states are decoded by their own types: the truth is `state`, not the columns."""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from account_enforcement.case import AccountCase, EnforcedAccount
from dunning.contracts.topics import (
    ACCOUNT_ENFORCEMENT,
    NOTIFICATION_DISPATCHER,
    OBSERVED,
    RETRY_SCHEDULER,
    SERVICES,
)
from dunning.contracts.topics import registry_name as topic_name
from dunning.domain import ids
from dunning.domain.case import Account, Case
from dunning.domain.events import PolicyRef
from dunning.domain.policy import Policy
from dunning.domain.policy_file import load_policy
from dunning.runtime.mode import Mode, observed_schema
from dunning.runtime.postgres.outbox import decode_headers
from dunning.runtime.postgres.queries import load_queries
from dunning.runtime.repository import StateRepository
from dunning_cli.asking import Connection
from dunning_cli.cases.expected import OpenErrand
from notification_dispatcher.case import NoticeAccount, NoticeCase
from retry_scheduler.case import RetryAccount, RetryCase

STORY_EVENTS_MAX = 2000
_OF_THE_SERVICE = ("mode", "policy")
QUERIES = load_queries("dunning_cli.cases")
TRACKS = {RETRY_SCHEDULER: "retry", NOTIFICATION_DISPATCHER: "notice", ACCOUNT_ENFORCEMENT: "account"}
_REPOSITORIES: Mapping[str, StateRepository[Any, Any]] = {
    RETRY_SCHEDULER: StateRepository(RetryAccount, RetryCase),
    NOTIFICATION_DISPATCHER: StateRepository(NoticeAccount, NoticeCase),
    ACCOUNT_ENFORCEMENT: StateRepository(EnforcedAccount, AccountCase),
}


@dataclass(frozen=True, slots=True)
class Filter:
    """Which cases to list; None: whatever it is."""

    account_id: str | None = None
    invoice_id: str | None = None
    stage: str | None = None  # of any track
    open: bool | None = None


@dataclass(frozen=True, slots=True)
class Key:
    """What names an invoice's case in every service."""

    account_id: str
    invoice_id: str


@dataclass(frozen=True, slots=True)
class TrackRow:
    """One service's row of a case."""

    case_id: str
    number: int
    stage: str
    due_at: datetime | None
    amount_minor: int | None
    currency: str | None
    policy: PolicyRef | None
    open: bool


@dataclass(frozen=True, slots=True)
class Published:
    """An event of the journal, or of the outbox when it was not published yet."""

    topic: str  # without prefix
    data: Mapping[str, Any]
    invoice_id: str | None
    published_at: datetime | None


@dataclass(frozen=True, slots=True)
class Held:
    """What one service holds: the account with the cases at hand, and the case that was asked for."""

    account: Account[Any]
    case: Case | None


class Reading:
    """Asks one snapshot of the database."""

    def __init__(self, connection: Connection, schemas: Collection[str], topic_prefix: str) -> None:
        self._connection = connection
        self._schemas = [service for service in SERVICES if service in schemas]
        self._prefix = topic_prefix
        self.modes: Mapping[str, str] = {}  # of every service that does not act (rule 42)

    @classmethod
    async def of(cls, connection: Connection, topic_prefix: str) -> "Reading":
        """What can be asked: a service without tables is passed over."""
        rows = await connection.fetch(QUERIES["schemas"], list(SERVICES))
        reading = cls(connection, [row["nspname"] for row in rows], topic_prefix)
        reading.modes = await reading._not_acting()
        return reading

    @property
    def services(self) -> Sequence[str]:
        """Those that have tables."""
        return self._schemas

    async def _not_acting(self) -> dict[str, str]:
        found = {}
        for schema in self._schemas:
            (row,) = await self._fetch("mode", schema)
            found[schema] = row["word"]
        return {service: word for service, word in found.items() if word not in (None, "act")}

    async def keys(self, wanted: Filter, limit: int) -> list[Key]:
        """The first invoices, by account and invoice, that any of the services has a matching case of."""
        found: set[tuple[str, str]] = set()
        for schema in self._schemas:
            values = (wanted.account_id, wanted.invoice_id, wanted.stage, wanted.open, limit)
            found |= {tuple(row) for row in await self._fetch("keys", schema, *values)}
        return [Key(*key) for key in sorted(found)[:limit]]

    async def rows(self, keys: Sequence[Key]) -> dict[Key, dict[str, TrackRow]]:
        """Each service's row of these invoices' cases, by track."""
        found: dict[Key, dict[str, TrackRow]] = {key: {} for key in keys}
        columns = [key.account_id for key in keys], [key.invoice_id for key in keys]
        for schema in self._schemas:
            for row in await self._fetch("cases", schema, *columns):
                if row["case_id"] is not None:
                    found[Key(row["account_id"], row["invoice_id"])][TRACKS[schema]] = _track_row(row)
        return found

    async def key_of(self, case_id: str) -> Key | None:
        """Whose case this is, or was."""
        for schema in self._schemas:
            for row in await self._fetch("case_by_id", schema, case_id):
                return Key(row["account_id"], row["invoice_id"])
        for schema in self._schemas:
            for row in await self._fetch("former_case", schema, case_id):
                return Key(row["account_id"], _subject(row["headers"]) or "")
        return None

    async def held(self, key: Key) -> dict[str, Held]:
        """What each service that knows the account holds of it, by the service's name."""
        found: dict[str, Held] = {}
        for schema in self._schemas:
            account_row = await self._row("account", schema, key.account_id)
            if account_row is None or account_row["state"] is None:
                continue
            states = [each.encode() for each in account_row["cases"]]
            for row in await self._fetch("cases", schema, [key.account_id], [key.invoice_id]):
                states.append(row["state"].encode())
            repository = _REPOSITORIES[schema]
            account = repository.decode_account(key.account_id, account_row["state"].encode(), states)
            found[schema] = Held(account, account.cases.get(key.invoice_id))
        return found

    async def case_story(self, case_id: str) -> list[Published]:
        """Everything that the services said about a case."""
        return await self._story("case_story", case_id)

    async def account_story(self, account_id: str) -> list[Published]:
        """Everything that was said about an account as a whole."""
        return await self._story("account_story", account_id)

    async def _story(self, query: str, subject: str) -> list[Published]:
        return [
            Published(
                topic=topic_name(row["topic"], self._prefix).removeprefix(OBSERVED),
                data=json.loads(row["value"]),
                invoice_id=_subject(row["headers"]),
                published_at=row["published_at"],
            )
            for schema in self._schemas
            for row in await self._fetch(query, schema, subject, STORY_EVENTS_MAX)
        ]

    async def errands(self, key: Key) -> dict[str, OpenErrand]:
        """The notices of an invoice that are on their way out, by their ids."""
        return {
            row["errand_id"]: OpenErrand(row["waits"], row["tries"], row["due_at"])
            for schema in self._schemas
            for row in await self._fetch("errands", schema, key.account_id, key.invoice_id)
        }

    async def policy(self, ref: PolicyRef) -> Policy | None:
        """The version that a case pinned, if it is on file and this code can read it."""
        for schema in self._schemas:
            for row in await self._fetch("policy", schema, ref.id, ref.version):
                return load_policy(row["body"], f"{ref.id} version {ref.version} on file", templates=None).policy
        return None

    async def _fetch(self, query: str, schema: str, *values: Any) -> list[Any]:
        """Of a service that observes, what its shadow says; its mode and its policies are its own."""
        shown = self.modes.get(schema) == Mode.OBSERVE and query not in _OF_THE_SERVICE
        place = observed_schema(schema) if shown else schema
        return await self._connection.fetch(QUERIES[query].replace("{schema}", place), *values)

    async def _row(self, query: str, schema: str, *values: Any) -> Any:
        return next(iter(await self._fetch(query, schema, *values)), None)


def former_case_ids(key: Key, number: int) -> list[str]:
    """The ids of the cases that an invoice had before its n-th (rule 8)."""
    return [ids.case_id(key.account_id, key.invoice_id, before) for before in range(1, number)]


def _track_row(row: Any) -> TrackRow:
    pinned = row["policy_id"]
    return TrackRow(
        case_id=row["case_id"],
        number=row["number"],
        stage=row["stage"],
        due_at=row["due_at"],
        amount_minor=row["amount_minor"],
        currency=row["currency"],
        policy=PolicyRef(pinned, row["policy_version"]) if pinned is not None else None,
        open=bool(json.loads(row["state"])["open"]),
    )


def _subject(headers: bytes) -> str | None:
    """The invoice that an event is about, where its data do not say so."""
    named = dict(decode_headers(headers))
    return named["ce_subject"].decode() if "ce_subject" in named else None
