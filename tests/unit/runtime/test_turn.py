"""A turn on the store in memory: what it does with errors that pass, and with errors that do not."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest
from aiokafka import ConsumerRecord

from dunning.contracts.decode import decode
from dunning.domain.decision import CannotDecideYet, Decision
from dunning.domain.events import Input, PaymentSucceeded
from dunning.runtime.clock import DatabaseClock
from dunning.runtime.fold import Outcome, fold
from dunning.runtime.health import Health
from dunning.runtime.instance import outbox_writer
from dunning.runtime.metrics import Metrics
from dunning.runtime.service import Decide, Service, SharedRows
from dunning.runtime.store import Fenced, StoreUnavailable, TopicPartition
from dunning.runtime.turn import Batch, Turn, concerns_the_input
from dunning.runtime.wanted import pass_over
from dunning.testing.hand_clock import HandClock
from dunning.testing.memory import MemoryStore
from dunning.testing.toy import ToyAccount, decide, toy_service
from tests.in_memory import told
from tests.kernel import failure

NOON = datetime(2026, 10, 1, 12, tzinfo=UTC)
TP = TopicPartition("payment.failed", 0)


class MoodyStore(MemoryStore[ToyAccount]):
    """Fails a few times before it works."""

    def __init__(self, *errors: BaseException) -> None:
        super().__init__(toy_service(), clock=HandClock(NOON), shards=1)
        self.errors = list(errors)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Any]:
        async with super().transaction() as tx:
            yield tx
            if self.errors:
                raise self.errors.pop(0)


def stumbling(account: ToyAccount, event: Input, now: datetime) -> Decision:
    """The toy's decisions, but for one account that none can be made of."""
    if account.account_id == "acc-bad":
        raise ZeroDivisionError
    return decide(account, event, now)


class Tally:
    """Counts what was decided about all accounts together."""

    def __init__(self, times: int = 0) -> None:
        self.times, self.changed = times, False


ALL_TOGETHER: SharedRows[ToyAccount] = SharedRows(
    keys=lambda account, event, now: ["all"],
    new=Tally,
    encode=lambda tally: str(tally.times).encode(),
    decode=lambda state: Tally(int(state)),
    kept_until=lambda _: NOON + timedelta(days=1),
)


def tallying(account: ToyAccount, event: Input, now: datetime) -> Decision:
    """The toy's decisions, each of them counted."""
    tally = account.shared["all"]
    tally.times, tally.changed = tally.times + 1, True
    return decide(account, event, now)


class Taken:
    """A turn with everything that it needs."""

    def __init__(
        self,
        store: MemoryStore[ToyAccount],
        service: Service[ToyAccount] | None = None,
        decides: Decide[ToyAccount] = stumbling,
    ) -> None:
        self.store = store
        self.metrics = Metrics("toy")
        self.health = Health(self.metrics)
        self.outcomes: list[Outcome] = []
        self.turn = Turn(
            replace(service or toy_service(), decide=decides),
            store,
            decode,
            outbox_writer(""),
            pass_over(toy_service(), test_mode=False),
            topic_prefix="",
            clock=DatabaseClock(5, host=lambda: NOON),
            metrics=self.metrics,
            health=self.health,
            committed=self.outcomes.append,
        )

    async def take(self, *bodies: bytes, first_offset: int = 0) -> None:
        epoch = (await self.store.take_over([TP]))[TP].epoch
        records = [a_record(body, first_offset + n) for n, body in enumerate(bodies)]
        await self.turn.take(Batch({TP: epoch}, records, {TP: first_offset + len(bodies)}, {TP: first_offset}))

    async def pending(self) -> list[str]:
        return [pending.row.topic for pending in await self.store.pending(0, 100)]


def a_record(body: bytes, offset: int, source: bytes = b"") -> ConsumerRecord[bytes, bytes]:
    headers = (("content-type", b"application/json"), ("ce_source", source)) if source else ()
    return ConsumerRecord("payment.failed", 0, offset, 0, 0, b"acc-1", body, None, 5, len(body), headers)


@pytest.fixture(autouse=True)
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds that a turn would have waited, in place of waiting. To let others go on is no pause."""
    waited: list[float] = []

    async def at_once(seconds: float) -> None:
        if seconds > 0:
            waited.append(seconds)

    monkeypatch.setattr("dunning.runtime.turn.asyncio.sleep", at_once)
    return waited


async def test_an_error_that_passes_is_waited_for_and_costs_no_event(pauses: list[float]) -> None:
    taken = Taken(MoodyStore(*[StoreUnavailable("away")] * 5))

    await taken.take(failure("acc-1"))

    assert await taken.pending() == ["dunning.stage.changed"]
    assert not taken.health.troubles
    assert len(pauses) == 5


@pytest.mark.parametrize(("failures", "alarms"), [(2, 0), (3, 1)])
async def test_what_fails_for_the_third_time_is_a_trouble_and_not_before(failures: int, alarms: int) -> None:
    taken = Taken(MoodyStore(*[StoreUnavailable("away")] * failures))

    await taken.take(failure("acc-1"))

    assert taken.metrics.alarms.labels("DUN-R003")._value.get() == alarms


async def test_a_policy_that_is_not_on_file_is_told_as_that_and_not_as_a_database_that_is_away() -> None:
    tries: list[str] = []

    def deciding(account: ToyAccount, event: Input, now: datetime) -> Decision:
        tries.append(next(iter(taken.health.troubles.values()), ""))
        if len(tries) < 5:
            raise CannotDecideYet("policy small version 3 is not on file here")
        return decide(account, event, now)

    taken = Taken(MoodyStore(), decides=deciding)
    await taken.take(failure("acc-1"))

    assert tries[-1] == "what was read waits: policy small version 3 is not on file here  [DUN-R020]"
    assert not taken.health.troubles


@pytest.mark.parametrize("ending", [asyncio.CancelledError(), Fenced()])
async def test_a_turn_that_ends_with_its_partitions_leaves_no_trouble_behind(ending: BaseException) -> None:
    taken = Taken(MoodyStore(*[StoreUnavailable("away")] * 3, ending))

    with pytest.raises(type(ending)):
        await taken.take(failure("acc-1"))

    assert taken.metrics.alarms.labels("DUN-R003")._value.get() == 1
    assert taken.health.troubles == {}


async def test_records_that_are_stored_already_are_dropped() -> None:
    taken = Taken(MoodyStore())
    await taken.take(failure("acc-1", "pay-1"), failure("acc-1", "pay-2"))

    await taken.take(failure("acc-1", "pay-1"), failure("acc-1", "pay-2"), failure("acc-1", "pay-3"))

    assert await taken.pending() == ["dunning.stage.changed"] * 3


async def test_what_accounts_share_is_stored_with_what_changed_it() -> None:
    taken = Taken(MoodyStore(), replace(toy_service(), shared=ALL_TOGETHER), tallying)

    await taken.take(failure("acc-1"), failure("acc-2"))
    await taken.take(failure("acc-3"), first_offset=2)

    async with taken.store.transaction() as tx:
        assert await tx.load_shared(["all"]) == {"all": b"3"}


async def test_what_was_committed_is_told_once_and_what_was_not_never_is() -> None:
    """So that it is published at once, and a timer that is due already is looked at."""
    taken = Taken(MoodyStore(StoreUnavailable("away")))

    await taken.take(failure("acc-1"), failure("acc-2"))

    assert [len(outcome.rows) for outcome in taken.outcomes] == [2]


async def test_whoever_was_replaced_stores_nothing() -> None:
    taken = Taken(MoodyStore())
    stale = (await taken.store.take_over([TP]))[TP].epoch
    await taken.store.take_over([TP])

    with pytest.raises(Fenced):
        await taken.turn.take(Batch({TP: stale}, [a_record(failure("acc-1"), 0)], {TP: 1}))

    assert await taken.pending() == []


async def test_records_that_begin_behind_what_is_stored_are_not_taken_for_those_between_would_be_lost() -> None:
    """The database was restored while the instance ran."""
    taken = Taken(MoodyStore())
    await taken.take(failure("acc-1", "pay-1"))
    epoch = (await taken.store.take_over([TP]))[TP].epoch
    ahead = Batch({TP: epoch}, [a_record(failure("acc-1", "pay-3"), 2)], {TP: 3}, begins={TP: 2})

    with pytest.raises(Fenced, match=r"payment.failed\[0\] was stored up to 2, but the database has 1"):
        await taken.turn.take(ahead)

    assert await taken.pending() == ["dunning.stage.changed"]


async def test_what_a_source_says_that_is_never_wanted_is_passed_over_without_a_look_at_it() -> None:
    taken = Taken(MoodyStore(), replace(toy_service(), unheard={"payment.failed": frozenset({b"/dunning/other"})}))
    epoch = (await taken.store.take_over([TP]))[TP].epoch
    records = [a_record(b"?", 0, b"/dunning/other"), a_record(b"??", 1, b"/dunning/another"), a_record(b"???", 2)]

    await taken.turn.take(Batch({TP: epoch}, records, {TP: 3}))

    assert [row.row.value for row in await taken.store.pending(0, 9)] == [b"??", b"???"]
    assert taken.metrics.passed_over.labels("payment.failed", "not_wanted")._value.get() == 1
    assert taken.metrics.consumed.labels("payment.failed")._value.get() == 3
    assert (await taken.store.take_over([TP]))[TP].next_offset == 3


async def test_what_was_rejected_had_no_effect_so_it_is_no_duplicate_when_it_is_sent_again() -> None:
    taken = Taken(MoodyStore())

    await taken.take(failure("acc-1", code="toy_reject"))
    await taken.take(failure("acc-1", code="toy_reject"), first_offset=1)

    assert await taken.pending() == ["payment.failed.toy.dlq"] * 2


def an_event(event_id: str, payment: str) -> bytes:
    """A failure in an envelope of its own."""
    attributes = f'"specversion": "1.0", "type": "payment.failed.v1", "source": "/shop", "id": "{event_id}"'
    return b"{" + attributes.encode() + b', "data": ' + failure("acc-1", payment) + b"}"


@pytest.mark.parametrize("cut", [0, 1, 2, 3])
async def test_what_comes_again_with_an_id_of_its_own_acts_whatever_turn_the_conflict_is_read_in(cut: int) -> None:
    """Rule 1: what was set aside did not act, so the same thing with an id of its own is no duplicate of it."""
    taken = Taken(MoodyStore())
    said = (("e-1", "pay-1"), ("e-1", "pay-2"), ("e-2", "pay-2"), ("e-3", "pay-2"))
    bodies = [an_event(*each) for each in said]

    await taken.take(*bodies[:cut])
    await taken.take(*bodies[cut:], first_offset=cut)

    acted, letter = "dunning.stage.changed", "payment.failed.toy.dlq"
    assert sorted(await taken.pending()) == [acted, acted, letter]
    assert told(taken.metrics, "duplicates_total", topic="payment.failed") == 1


async def test_test_data_are_passed_over_and_their_key_is_free_for_the_same_event_when_it_is_live() -> None:
    taken = Taken(MoodyStore())
    test_data = failure("acc-1")[:-1] + b', "livemode": false}'

    await taken.take(test_data, failure("acc-1"))

    assert await taken.pending() == ["dunning.stage.changed"]
    assert taken.metrics.passed_over.labels("payment.failed", "test_event")._value.get() == 1


async def test_what_is_of_no_type_of_ours_is_passed_over_and_counted() -> None:
    taken = Taken(MoodyStore())
    epoch = (await taken.store.take_over([TP]))[TP].epoch
    header = {"ce_specversion": b"1.0", "ce_type": b"x.y", "ce_source": b"/shop", "ce_id": b"e-1"}
    foreign = replace(a_record(b"{}", 0), headers=tuple(header.items()))

    await taken.turn.take(Batch({TP: epoch}, [foreign], {TP: 1}))

    assert await taken.pending() == []
    assert taken.metrics.passed_over.labels("payment.failed", "type_not_ours")._value.get() == 1


async def test_a_body_that_was_masked_says_so() -> None:
    taken = Taken(MoodyStore())

    await taken.take(b"{", b'{"note": "4111 1111 1111 1111"}')

    letters = [dict(pending.row.headers) for pending in await taken.store.pending(0, 10)]
    assert [letter.get("dlq-masked") for letter in letters] == [None, b"true"]


class ImpatientStore(MoodyStore):
    """Gives up on transactions that write more rows than a few."""

    def __init__(self, rows_max: int) -> None:
        super().__init__()
        self.rows_max, self.tries = rows_max, 0

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Any]:
        async with super().transaction() as tx:
            yield tx
            self.tries += 1
            if self.tries > 100:
                pytest.fail("tried for ever")  # no error of the store: a turn would try again
            if len(tx.written.outbox) > self.rows_max:
                raise StoreUnavailable("cancelled by the time-out")


@pytest.mark.parametrize(("records", "rows_max"), [(7, 2), (2, 1), (3, 1)])
async def test_what_takes_longer_than_the_database_waits_is_stored_in_parts(
    monkeypatch: pytest.MonkeyPatch, records: int, rows_max: int
) -> None:
    monkeypatch.setattr("dunning.runtime.turn._LONG_SECONDS", -1)
    taken = Taken(ImpatientStore(rows_max))

    await taken.take(*(failure(f"acc-{n}") for n in range(records)))

    assert await taken.pending() == ["dunning.stage.changed"] * records
    assert not taken.health.troubles


async def test_a_record_that_cannot_be_decided_is_set_aside_and_the_others_are_not() -> None:
    taken = Taken(MoodyStore())

    await taken.take(failure("acc-1"), failure("acc-bad"), failure("acc-2"))

    assert sorted(await taken.pending()) == ["dunning.stage.changed"] * 2 + ["payment.failed.toy.dlq"]
    assert taken.metrics.dead_letters.labels("payment.failed", "decision_failed")._value.get() == 1


async def test_nothing_more_is_tried_on_an_account_that_a_failed_decision_left_half_changed() -> None:
    tried: list[str] = []

    def decides(account: ToyAccount, event: Input, now: datetime) -> Decision:
        tried.append(account.account_id)
        return stumbling(account, event, now)

    taken = Taken(MoodyStore(), decides=decides)
    await taken.take(failure("acc-bad", "pay-1"), failure("acc-bad", "pay-2"), failure("acc-1"))

    assert tried[:2] == ["acc-bad", "acc-1"]


async def test_what_a_later_input_takes_back_is_withdrawn_from_whoever_does_it() -> None:
    taken = Taken(MoodyStore())
    await taken.take(failure("acc-1", code="toy_errand"))

    async with taken.store.transaction() as tx:
        accounts = await tx.load({"acc-1": ["inv-acc-1"]})
        payment = PaymentSucceeded("e", "acc-1", "inv-acc-1", "pay-9", 0, 1200, "EUR", NOON)
        outcome = await fold(stumbling, outbox_writer(""), accounts, [payment], NOON)
        await outcome.record(tx)

    assert [lease.withdrawn for lease in await taken.store.lease_errands(10, 60)] == [True]


async def test_a_turn_tells_what_it_read_and_decided_and_how_long_that_took(monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = iter(range(1000, 2000, 3))
    monkeypatch.setattr("dunning.runtime.turn.monotonic", lambda: next(seconds))
    taken = Taken(MoodyStore())

    await taken.take(failure("acc-1"), failure("acc-2"), failure("acc-1"))

    metrics = taken.metrics
    assert told(metrics, "events_consumed_total", topic="payment.failed") == 3
    assert told(metrics, "duplicates_total", topic="payment.failed") == 1
    assert told(metrics, "transitions_total", track="retry", stage="scheduled") == 2
    assert (told(metrics, "handling_seconds_count"), told(metrics, "handling_seconds_sum")) == (1, 3)
    assert told(metrics, "batch_records_sum") == 3


class RefusingStore(MoodyStore):
    """Takes no transaction that writes an invoice of acc-3."""

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Any]:
        async with super().transaction() as tx:
            yield tx
            if any(row.account_id == "acc-3" for row in tx.written.outbox):
                raise ValueError("cannot be stored")


async def test_a_record_that_cannot_be_stored_is_found_by_halving() -> None:
    taken = Taken(RefusingStore())

    await taken.take(*(failure(f"acc-{n}") for n in range(6)))

    assert sorted(await taken.pending()) == ["dunning.stage.changed"] * 5 + ["payment.failed.toy.dlq"]
    assert taken.metrics.dead_letters.labels("payment.failed", "decision_failed")._value.get() == 1


@pytest.mark.parametrize(
    "error",
    [
        StoreUnavailable("away"),
        ConnectionResetError(),
        TimeoutError(),
        asyncpg.UndefinedTableError("no such table"),
        asyncpg.InterfaceError("closed"),
        CannotDecideYet("a policy is not on file"),
        MemoryError(),
    ],
)
def test_what_may_pass_or_must_be_mended_never_costs_an_event(error: Exception) -> None:
    assert not concerns_the_input(error)


@pytest.mark.parametrize(
    "error", [ValueError(), KeyError("x"), asyncpg.CheckViolationError("no"), asyncpg.NumericValueOutOfRangeError("no")]
)
def test_what_would_fail_again_concerns_the_input(error: Exception) -> None:
    assert concerns_the_input(error)
