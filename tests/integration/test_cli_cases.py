"""`dunning case` and `dunning account` on a real database whose rows the services' own decisions made."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from account_enforcement.service import account_enforcement
from dunning.domain import ids
from dunning.domain.events import Customer, Failure, Input, PaymentFailed, PaymentMethod, PaymentSucceeded, TimerDue
from dunning.domain.policy_file import SHIPPED_TEMPLATES
from dunning.domain.words import Channel
from dunning.runtime.instance import outbox_writer
from dunning.runtime.migrate import migrate
from dunning.runtime.policies import PolicyShelf
from dunning.runtime.postgres import PostgresSettings, PostgresStore
from dunning.runtime.service import Service
from dunning.runtime.settings import Settings, load_settings
from dunning.runtime.shared import take_shared
from dunning.runtime.start import FixedStart
from dunning_cli.asking import ask, looking_into
from dunning_cli.errors import CommandError
from notification_dispatcher.service import notification_dispatcher
from retry_scheduler.service import retry_scheduler
from tests.builders import signal
from tests.cli import Said, dunning

FAILED_AT = datetime(2040, 3, 1, 10, tzinfo=UTC)  # a Thursday that is still to come: nothing is overdue
POLICY = """
id: standard
version: 3
timezone: account
retries: {strategy: ladder, after: [1d, 3d], window: 28d}
ladder:
  - {rung: payment_failed, at: 0d, notice: {template: payment_failed, channels: [email]}, account: past_due}
  - {rung: warning, at: 11d, notice: {template: suspension_warning, channels: [email]}}
  - {rung: suspended, at: 14d, account: suspended, warned_by: warning, lead: 3d}
"""
CASE = ids.case_id("acct-1", "inv-1", 1)
MakeService = Callable[[PolicyShelf, FixedStart], Service[Any]]
SERVICES: tuple[MakeService, ...] = (
    retry_scheduler,
    lambda policies, start: notification_dispatcher(policies, start, frozenset({Channel.EMAIL})),
    account_enforcement,
)


def failed(
    account: str = "acct-1", invoice: str = "inv-1", *, number: int = 1, at: datetime = FAILED_AT
) -> PaymentFailed:
    return PaymentFailed(
        event_id=f"failed-{invoice}-{number}",
        account_id=account,
        invoice_id=invoice,
        payment_id=f"pay-{invoice}",
        attempt_number=number,
        amount_due_minor=4900,
        amount_minor=4900,
        currency="EUR",
        failed_at=at,
        failure=Failure("insufficient_funds"),
        customer=Customer(name="Anna Muster", email="anna@example.com", timezone="Europe/Berlin", country="DE"),
        payment_method=PaymentMethod(id="pm-1", type="card", brand="visa", last4="4242"),
    )


def paid(account: str, invoice: str, at: datetime) -> PaymentSucceeded:
    return PaymentSucceeded(f"paid-{invoice}", account, invoice, "pay-x", 0, 4900, "EUR", at)


def woken(account: str, invoice: str, at: datetime) -> TimerDue:
    return TimerDue(f"timer-{invoice}", account, invoice, at)


@dataclass(frozen=True)
class Installation:
    """A database with the tables of all three services."""

    database_url: str
    policy_dir: Path

    def reads(
        self, *inputs: tuple[Input, datetime], published: bool = True, services: Sequence[int] = (0, 1, 2)
    ) -> None:
        """The services decide these inputs at these times."""
        asyncio.run(self._read(inputs, published, services))

    async def _read(self, inputs: Sequence[tuple[Input, datetime]], published: bool, services: Sequence[int]) -> None:
        for number in services:
            shelf = PolicyShelf(self.policy_dir, SHIPPED_TEMPLATES)
            start = FixedStart(None)
            service = SERVICES[number](shelf, start)
            async with PostgresStore.open(PostgresSettings(url=self.database_url), service) as store:
                await shelf.start(store.connection)
                await start.start(store.connection)
                for event, now in inputs:
                    await _decide(store, service, event, now)
                if published:
                    for shard in range(store.shards):
                        await store.finish(shard, [row.id for row in await store.pending(shard, 1000)])

    def asked(self, *arguments: str) -> Said:
        """What the command says about it."""
        settings = {"DUNNING_DATABASE_URL": self.database_url, "DUNNING_KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1"}
        return dunning(*arguments, settings=settings)


async def _decide(store: PostgresStore[Any], service: Service[Any], event: Input, now: datetime) -> None:
    write = outbox_writer("")
    async with store.transaction() as tx:
        account = (await tx.load({event.account_id: [event.invoice_id or ""]}))[event.account_id]
        shared = await take_shared(tx, service.shared, {account.account_id: account}, [event], now)
        decision = service.decide(account, event, now)
        await tx.save([account])
        await shared.save(tx)
        await tx.publish([write(output) for output in decision.events])
        await tx.give_errands(decision.errands)


@pytest.fixture
def installation(database_url: str, tmp_path: Path) -> Installation:
    (tmp_path / "standard.yaml").write_text(POLICY)

    async def make() -> None:
        for service in ("retry_scheduler", "notification_dispatcher", "account_enforcement"):
            await migrate(database_url, service)

    asyncio.run(make())
    return Installation(database_url, tmp_path)


def second(number: int) -> datetime:
    return FAILED_AT + timedelta(seconds=number)


def test_a_fresh_case_has_its_story_and_what_comes_next_on_each_track(installation: Installation) -> None:
    installation.reads((failed(), second(1)), (woken("acct-1", "inv-1", second(1)), second(2)))

    said = installation.asked("case", "show", CASE)

    assert said.exit_code == 0
    assert said.lines == [
        f"case {CASE}: invoice inv-1, account acct-1",
        "open since 2040-03-01 10:00:01Z, 49.00 EUR owed, policy standard version 3, zone Europe/Berlin",
        "stages: retry scheduled, notice payment_failed, account past_due",
        "",
        "what happened (times are UTC, then local in Europe/Berlin)",
        "  2040-03-01 10:00:00Z  Thu 11:00:00  payment  Attempt 1 to charge 49.00 EUR failed: insufficient_funds.",
        "  2040-03-01 10:00:01Z  Thu 11:00:01  retry    scheduled, because the refusal was a temporary one; "
        "next charge at 2040-03-02 10:00.",
        "  2040-03-01 10:00:02Z  Thu 11:00:02  notice   Rung payment_failed is reached; next is warning at "
        "2040-03-12 10:00.",
        "  2040-03-01 10:00:02Z  Thu 11:00:02  account  active to past_due, because a payment failed; next is "
        "suspended at 2040-03-15 10:00.",
        "",
        "what comes next",
        "  2040-03-01 10:00:02Z  Thu 11:00:02  notice   send payment_failed by email",
        "  2040-03-02 10:00:00Z  Fri 11:00:00  retry    charge again, attempt 2 (planned retry 1 of 2)",
        "  2040-03-12 10:00:00Z  Mon 11:00:00  notice   send warning by email",
        "  2040-03-15 10:00:00Z  Thu 11:00:00  account  account is suspended (at the earliest: warning has to be "
        "delivered 3d before, and is not yet)",
    ]


def test_a_charge_that_a_network_does_not_allow_yet_says_until_when_and_why(installation: Installation) -> None:
    before, due = FAILED_AT - timedelta(days=5), FAILED_AT + timedelta(days=1)
    others = [(failed(f"acct-{number}", f"inv-{number}", at=before), before) for number in range(2, 23)]

    installation.reads(*others, (failed(), second(1)), (woken("acct-1", "inv-1", due), due), services=[0])

    said = installation.asked("case", "show", CASE, "--format", "json").json
    assert said["stages"] == {"retry": "scheduled"}
    assert said["next"] == [
        {
            "track": "retry",
            "at": "2040-03-26T10:00:00Z",
            "what": "charge again, attempt 2",
            "condition": "planned retry 1 of 2; put off by a limit, visa: at most 20 reattempts in 30 days",
        }
    ]


def test_a_case_is_found_by_its_invoice_and_tells_what_is_not_published_or_not_read_yet(
    installation: Installation,
) -> None:
    installation.reads((failed(), second(1)), published=False, services=(0, 1))

    said = installation.asked("case", "show", "--account", "acct-1", "--invoice", "inv-1", "--format", "json").json

    assert said["case_id"] == CASE
    assert said["unpublished"] == 1
    assert said["unread_by"] == ["account_enforcement"]
    assert said["stages"] == {"retry": "scheduled", "notice": "none"}
    assert said["next"][0] == {
        "track": "retry",
        "at": "2040-03-02T10:00:00Z",
        "what": "charge again, attempt 2",
        "condition": "planned retry 1 of 2",
    }


def test_an_open_request_says_until_when_an_answer_counts(installation: Installation) -> None:
    day_later = FAILED_AT + timedelta(days=1)
    installation.reads((failed(), second(1)), (woken("acct-1", "inv-1", day_later), day_later))

    (expected,) = [
        step
        for step in installation.asked("case", "show", CASE, "--format", "json").json["next"]
        if step["track"] == "retry"
    ]

    assert expected == {
        "track": "retry",
        "at": "2040-03-03T10:00:00Z",
        "what": "attempt 2 was asked for; without an answer it counts as failed",
        "condition": f"retry_id {CASE}:2",
    }


def test_a_returned_payment_opens_the_next_case_and_the_former_one_keeps_its_story(installation: Installation) -> None:
    returned = failed(number=2, at=FAILED_AT + timedelta(days=2))
    installation.reads(
        (failed(), second(1)),
        (paid("acct-1", "inv-1", second(60)), second(61)),
        (returned, FAILED_AT + timedelta(days=3)),
    )
    following = ids.case_id("acct-1", "inv-1", 2)

    former = installation.asked("case", "show", CASE)
    present = installation.asked("case", "show", "--account", "acct-1", "--invoice", "inv-1")

    assert former.lines[:2] == [
        f"case {CASE}: invoice inv-1, account acct-1",
        "an earlier case of this invoice; it is over",
    ]
    assert "because it was paid" in former.text
    assert former.lines[-1] == f"other cases of this invoice: {following}"
    assert present.lines[0].startswith(f"case {following}: ")
    assert present.lines[-1] == f"other cases of this invoice: {CASE}"


def test_the_list_filters_by_account_stage_and_openness(installation: Installation) -> None:
    installation.reads(
        (failed(), second(1)),
        (failed("acct-1", "inv-2"), second(1)),
        (failed("acct-2", "inv-3"), second(1)),
        (paid("acct-1", "inv-2", second(60)), second(61)),
        (paid("acct-3", "inv-4", second(60)), second(61)),  # an invoice that never had a case
    )

    def invoices(*options: str) -> list[str]:
        return [each["invoice_id"] for each in installation.asked("case", "list", *options, "--format", "json").json]

    assert invoices() == ["inv-1", "inv-2", "inv-3"]
    assert invoices("--account", "acct-1") == ["inv-1", "inv-2"]
    assert invoices("--stage", "recovered") == ["inv-2"]
    assert invoices("--open") == ["inv-1", "inv-3"]
    assert invoices("--closed") == ["inv-2"]
    assert invoices("--invoice", "inv-3") == ["inv-3"]
    assert installation.asked("case", "list", "--stage", "suspended").text == "no case matches\n"
    assert installation.asked("case", "list", "--limit", "2").lines[-1].startswith("more than 2 match:")


def test_an_account_shows_its_status_without_naming_its_person(installation: Installation) -> None:
    installation.reads((failed(), second(1)), (woken("acct-1", "inv-1", second(1)), second(2)))

    said = installation.asked("account", "show", "acct-1")

    assert said.lines[:5] == [
        "account acct-1",
        "status: past_due since 2040-03-01 10:00:02Z",
        "to be active again: 49.00 EUR",
        "reached by: email a***@example.com (timezone Europe/Berlin, country DE)",
        "pays with: visa ending in 4242",
    ]
    assert said.lines[-1] == (
        "  past_due since 2040-03-01 10:00:02Z, because a payment failed; open cases: 1, 49.00 EUR to be active again"
    )
    assert "anna" not in said.text.lower()

    entered = PaymentMethod(id="pm-2", type="card", brand="mastercard", last4="4444")
    card = signal("payment_method.updated", "2040-03-02 10:00", payment_method=entered, account_id="acct-1")
    installation.reads((card, card.at))
    assert "pays with: mastercard ending in 4444" in installation.asked("account", "show", "acct-1").lines
    assert "anna" not in installation.asked("account", "show", "acct-1", "--format", "json").text.lower()


def test_what_nobody_knows_is_an_error_that_says_where_to_look(installation: Installation) -> None:
    installation.reads((failed(), second(1)))

    assert installation.asked("case", "show", "nothing") == Said(
        1, "there is no case nothing: `dunning case list` shows those there are [DUN-C010]"
    )
    assert installation.asked("account", "show", "acct-9").exit_code == 1
    assert installation.asked("case", "show", CASE, "--account", "acct-1", "--invoice", "x").exit_code == 2


def test_without_tables_it_says_who_makes_them(database_url: str, tmp_path: Path) -> None:
    said = Installation(database_url, tmp_path).asked("case", "list")

    assert said == Said(1, "the services have no tables in this database: `dunning migrate` makes them [DUN-R014]")


def test_a_question_that_takes_too_long_is_not_a_database_that_is_away(database_url: str) -> None:
    async def wait() -> None:
        settings = load_settings(Settings, database_url=database_url, kafka_bootstrap_servers="127.0.0.1:1")
        async with looking_into(settings) as connection:
            await connection.execute("set local statement_timeout = 1")
            await connection.execute("select pg_sleep(60)")

    with pytest.raises(CommandError, match=r"no answer in 30 s: ask for less, such as one account \[DUN-C004\]"):
        ask(wait())


def test_looking_changes_nothing(database_url: str) -> None:
    async def write() -> None:
        settings = load_settings(Settings, database_url=database_url, kafka_bootstrap_servers="127.0.0.1:1")
        async with looking_into(settings) as connection:
            await connection.execute("create table anything (id integer)")

    with pytest.raises(CommandError, match="read-only transaction"):
        ask(write())
