"""Rule 9: how long closings and first sightings are remembered, and what is never forgotten."""

from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from account_enforcement.case import AccountCase, EnforcedAccount
from dunning.domain.case import Account
from dunning.domain.facts import Known
from dunning.domain.ids import case_id
from dunning.runtime.clock import DatabaseClock
from dunning.runtime.forgetting import Forgetting
from dunning.runtime.health import Health
from dunning.runtime.metrics import Metrics
from dunning.runtime.postgres.forgetting import is_empty
from dunning.runtime.read_through import Horizon
from dunning.runtime.repository import StateRepository
from dunning.runtime.settings import Settings, load_settings
from dunning.runtime.store import ReadUpTo, TopicPartition
from dunning.testing.hand_clock import HandClock
from dunning.testing.memory import MemoryStore
from dunning.testing.toy import RECOVERED, ToyAccount, ToyCase, case_id_of, toy_service
from notification_dispatcher.case import NoticeAccount, NoticeCase
from retry_scheduler.case import RetryAccount, RetryCase
from tests.builders import Story, a_policy, failed, paid, signal

NOON = datetime(2026, 10, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)
TP = TopicPartition("payment.failed", 0)
SERVICES: list[tuple[type[Any], type[Any]]] = [
    (RetryAccount, RetryCase),
    (NoticeAccount, NoticeCase),
    (EnforcedAccount, AccountCase),
]


class OnePartition:
    """A broker of one partition."""

    async def partitions(self) -> Collection[TopicPartition]:
        return {TP}


class Remembering:
    """A service with a store that a story was written into, and the part that forgets."""

    def __init__(self, **settings: Any) -> None:
        self.clock = HandClock(NOON)
        self.store: MemoryStore[ToyAccount] = MemoryStore(toy_service(), clock=self.clock, shards=1)
        self.database_clock = DatabaseClock(5, host=self.clock, monotonic=lambda: 0.0)
        self.metrics = Metrics("toy")
        common: dict[str, Any] = {
            "settings": load_settings(
                Settings, kafka_bootstrap_servers="nowhere:1", database_url="postgresql://nowhere", **settings
            ),
            "metrics": self.metrics,
        }
        horizon = Horizon(
            self.store,
            OnePartition(),  # type: ignore[arg-type]
            clock=self.database_clock,
            health=Health(self.metrics),
            **common,
        )
        self.forgetting = Forgetting(self.store, horizon, **common)

    async def closed(self, invoice_id: str, *, days_ago: int, had_a_case: bool) -> None:
        self.clock.now = NOON - days_ago * DAY
        async with self.store.transaction() as tx:
            account = (await tx.load({"acct-1": [invoice_id]}))["acct-1"]
            case = ToyCase(invoice_id, case_id_of("acct-1", invoice_id), stage=RECOVERED, kept_longer=had_a_case)
            account.cases[invoice_id] = case
            account.touched.add(invoice_id)
            await tx.first_sightings([(hash(invoice_id), 1)])
            await tx.save([account])

    async def reads_all_news(self) -> None:
        self.clock.now = NOON
        self.database_clock.read(NOON)
        epoch = (await self.store.take_over([TP]))[TP].epoch
        await self.store.note_read_through({TP: ReadUpTo(epoch, NOON)})

    def forgotten(self) -> dict[str, int]:
        words = ("cases", "invoices", "accounts", "first_sightings")
        return {word: int(self.metrics.forgotten.labels(word)._value.get()) for word in words}


async def a_year_of_closings(**settings: Any) -> Remembering:
    service = Remembering(**settings)
    for days_ago, had_a_case in [(401, True), (399, True), (36, True), (36, False), (34, False), (31, False)]:
        await service.closed(f"inv-{days_ago}-{had_a_case}", days_ago=days_ago, had_a_case=had_a_case)
    return service


@pytest.mark.parametrize(
    ("settings", "forgotten"),
    [
        ({}, {"cases": 1, "invoices": 1, "accounts": 0, "first_sightings": 6}),
        (
            {"closed_cases_kept_days": 30, "closed_invoices_kept_days": 33, "first_sightings_kept_days": 35},
            {"cases": 3, "invoices": 2, "accounts": 0, "first_sightings": 4},
        ),
    ],
)
async def test_what_is_forgotten_by_default_and_by_the_settings(
    settings: dict[str, Any], forgotten: dict[str, int]
) -> None:
    service = await a_year_of_closings(**settings)
    await service.reads_all_news()
    await service.forgetting.step()

    assert service.forgotten() == forgotten


async def test_nothing_is_forgotten_while_the_news_is_not_read() -> None:
    service = await a_year_of_closings()
    service.clock.now = NOON
    service.database_clock.read(NOON)
    await service.store.take_over([TP])

    assert await service.forgetting.step() is False
    assert service.forgotten() == {"cases": 0, "invoices": 0, "accounts": 0, "first_sightings": 0}


async def test_nothing_is_forgotten_by_a_host_that_lives_in_another_year() -> None:
    service = await a_year_of_closings()
    await service.reads_all_news()
    service.clock.now = NOON + 400 * DAY
    service.database_clock.host = service.clock
    service.database_clock.read(NOON)

    assert await service.forgetting.step() is False
    assert service.forgotten()["cases"] == 0


FAILED, PAID = failed("03-02 10:00"), paid("03-03 10:00")
VOIDED = signal("invoice.voided", "03-03 10:00", invoice_id="in_1")
REINSTATED = signal("account.reinstated", "06-01 10:00")
ENDINGS: dict[str, tuple[list[Any], tuple[bool, bool]]] = {
    "paid without a failure": ([PAID], (False, False)),
    "paid after a failure": ([FAILED, PAID], (False, True)),
    "a failure that was paid before": ([PAID, failed("03-02 09:00")], (False, False)),
    "voided after a failure": ([FAILED, VOIDED], (False, True)),
    "voided without a case, for its failures change nothing (rule 10)": ([VOIDED], (False, True)),
    "open": ([FAILED], (True, True)),
    "returned after it was paid": ([FAILED, PAID, failed("03-05 10:00", attempt_number=2)], (True, True)),
}


@pytest.mark.parametrize("name", ENDINGS)
def test_which_invoices_are_open_and_which_are_remembered_for_longer(name: str) -> None:
    events, expected = ENDINGS[name]
    story = Story(a_policy()).reads(*events).until("03-06 10:00")

    for room in story.world.rooms:
        case = room.accounts["acc_1"].cases["in_1"]
        assert (case.is_open, case.kept_longer) == expected, room.name


def test_a_terminated_invoice_stays_until_the_account_is_reinstated() -> None:
    def is_open(*events: Any) -> set[bool]:
        story = Story(a_policy()).reads(*events).until("06-02 10:00")
        return {room.accounts["acc_1"].cases["in_1"].is_open for room in story.world.rooms}

    assert is_open(FAILED) == {True}
    assert is_open(FAILED, REINSTATED) == {False}


@pytest.mark.parametrize(("account_type", "case_type"), SERVICES)
def test_an_account_is_empty_where_nothing_is_known_of_it(account_type: type[Any], case_type: type[Any]) -> None:
    repository: StateRepository[Any, Any] = StateRepository(account_type, case_type)
    new: Account[Any] = account_type("acct-1")
    known: Account[Any] = account_type("acct-1")
    known.facts.customer["country"] = Known("DE", NOON)

    assert is_empty(repository, "acct-1", None)
    assert is_empty(repository, "acct-1", repository.encode_account(new))
    assert not is_empty(repository, "acct-1", repository.encode_account(known))


@pytest.mark.parametrize(("account_type", "case_type"), SERVICES)
def test_the_stories_that_go_with_a_row_are_those_of_all_its_cases(
    account_type: type[Any], case_type: type[Any]
) -> None:
    repository: StateRepository[Any, Any] = StateRepository(account_type, case_type)
    account: Account[Any] = account_type("acct-1")
    account.cases["inv-1"] = case_type("inv-1", number=2, former_ids=["renumbered"])

    ids = repository.case_ids("acct-1", repository.encode_case(account, "inv-1"))
    assert ids == [case_id("acct-1", "inv-1", 1), case_id("acct-1", "inv-1", 2), "renumbered"]
