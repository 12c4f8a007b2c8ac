"""Rule 5: a replay is one more input, applied once by the service that set it aside; rules 1, 3 and 4 hold for it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import pytest

from dunning.contracts.decode import decode
from dunning.domain.decision import CannotDecideYet, Decision
from dunning.domain.events import Input, PaymentFailed
from dunning.runtime.clock import DatabaseClock
from dunning.runtime.fold import Outcome
from dunning.runtime.health import Health
from dunning.runtime.instance import outbox_writer
from dunning.runtime.letter_orders import By, LetterPlace, OrderOnFile, OrderOutcome, ReplayOrder
from dunning.runtime.metrics import Metrics
from dunning.runtime.replays import Replays
from dunning.runtime.settings import Settings, load_settings
from dunning.runtime.store import StoreUnavailable
from dunning.runtime.wanted import pass_over
from dunning.testing.hand_clock import HandClock
from dunning.testing.memory import MemoryStore
from dunning.testing.toy import ToyAccount, decide, toy_service
from tests.kernel import failure

NOON = datetime(2026, 10, 1, 12, tzinfo=UTC)
PLACE = LetterPlace("payment.failed", 0, 7)
ANNA = By("anna", "the sender was mended")
CLOUDEVENT = (("ce_specversion", b"1.0"), ("ce_type", b"payment.failed.v1"), ("ce_source", b"/shop"), ("ce_id", b"e-1"))


def moody_decide(account: ToyAccount, event: Input, now: datetime) -> Decision:
    """The toy's, but for two codes that no decision is possible for."""
    code = event.failure.code if isinstance(event, PaymentFailed) else ""
    if code == "toy_raise":
        raise ZeroDivisionError
    if code == "toy_not_yet":
        raise CannotDecideYet("a policy is not on file")
    return decide(account, event, now)


class CrashingStore(MemoryStore[ToyAccount]):
    """Loses its database at the end of the next transactions."""

    crashes = 0

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Any]:
        async with super().transaction() as tx:
            yield tx
            if self.crashes:
                self.crashes -= 1
                raise StoreUnavailable("away")


@dataclass
class Desk:
    """A service with a store, and an operator who gives it replays."""

    store: CrashingStore
    metrics: Metrics
    clock: DatabaseClock
    outcomes: list[Outcome]
    replays: Replays[ToyAccount]

    @classmethod
    def of(cls, *, test_mode: bool = False, host_ahead_seconds: float = 0) -> "Desk":
        store = CrashingStore(toy_service(), clock=HandClock(NOON), shards=1)
        metrics, outcomes = Metrics("toy"), list[Outcome]()
        host = NOON.timestamp() + host_ahead_seconds
        clock = DatabaseClock(5, host=lambda: datetime.fromtimestamp(host, UTC), monotonic=lambda: 0.0)
        clock.read(NOON)
        service = replace(toy_service(), decide=moody_decide)
        replays: Replays[Any] = Replays(
            service,
            store,
            decode,
            outbox_writer(""),
            pass_over(service, test_mode=test_mode),
            settings=load_settings(Settings, kafka_bootstrap_servers="nowhere:1", database_url="postgresql://nowhere"),
            clock=clock,
            metrics=metrics,
            health=Health(metrics),
            committed=outcomes.append,
        )
        return cls(store, metrics, clock, outcomes, replays)

    async def gives(
        self, body: bytes | None, place: LetterPlace = PLACE, headers: tuple[tuple[str, bytes], ...] = ()
    ) -> int | None:
        return await self.store.give_replay(ReplayOrder(place, "no_policy", b"acc-1", headers, body), ANNA)

    async def told(self, place: LetterPlace = PLACE) -> list[str]:
        """What became of the replays of a dead letter."""
        return [_told(order) for order in await self.store.orders_on_file([place])]

    async def takes_all(self) -> None:
        while await self.replays.take_one():
            pass

    async def published(self) -> list[str]:
        return [pending.row.topic for pending in await self.store.pending(0, 100)]


def _told(order: OrderOnFile) -> str:
    return "waiting" if order.outcome is None else f"{order.outcome} {order.reason}".strip()


async def test_a_replay_acts_as_if_the_message_had_just_come_and_says_so() -> None:
    desk = Desk.of()
    await desk.gives(failure("acc-1"))

    assert await desk.told() == ["waiting"]
    assert await desk.replays.take_one()

    assert await desk.told() == ["applied"]
    assert await desk.published() == ["dunning.stage.changed"]
    (order,) = await desk.store.orders_on_file([PLACE])
    assert (order.by, order.given_at, order.done_at) == (ANNA, NOON, NOON)
    assert len(desk.outcomes[0].rows) == 1
    assert not await desk.replays.take_one()


async def test_what_was_applied_or_waits_is_not_replayed_again_and_what_failed_is() -> None:
    desk = Desk.of()
    assert await desk.gives(failure("acc-1", code="toy_reject")) is not None
    assert await desk.gives(failure("acc-1")) is None
    await desk.takes_all()
    assert await desk.gives(failure("acc-1")) is not None
    await desk.takes_all()
    assert await desk.gives(failure("acc-1", "pay-9")) is None

    assert await desk.told() == ["set_aside toy_reject", "applied"]
    assert await desk.published() == ["dunning.stage.changed"]


CASES = {
    "unreadable": (b"{", (), "set_aside invalid_json"),
    "no value": (None, (), "set_aside null_value"),
    "a card number": (b'{"note": "4111 1111 1111 1111"}', (), "set_aside card_number"),
    "read with the headers that it came with": (failure("acc-1"), (*CLOUDEVENT[:2],), "set_aside bad_envelope"),
    "rejected": (failure("acc-1", code="toy_reject"), (), "set_aside toy_reject"),
    "not decidable": (failure("acc-1", code="toy_raise"), (), "set_aside decision_failed"),
    "more than an hour ahead": (
        failure("acc-1", failed_at=datetime(2026, 10, 1, 13, 1, tzinfo=UTC)),
        (),
        "set_aside future_time",
    ),
    "within the hour": (failure("acc-1", failed_at=datetime(2026, 10, 1, 12, 59, tzinfo=UTC)), (), "applied"),
    "not ours": (b"{}", (*CLOUDEVENT[:1], ("ce_type", b"x.y"), *CLOUDEVENT[2:]), "passed_over type_not_ours"),
    "test data": (failure("acc-1")[:-1] + b', "livemode": false}', (), "passed_over test_event"),
}


@pytest.mark.parametrize("name", CASES)
async def test_what_becomes_of_a_replay(name: str) -> None:
    body, headers, expected = CASES[name]
    desk = Desk.of()
    await desk.gives(body, headers=headers)
    await desk.takes_all()

    assert await desk.told() == [expected]
    assert await desk.published() == (["dunning.stage.changed"] if expected == "applied" else [])
    outcome, _, reason = expected.partition(" ")
    assert desk.metrics.replays.labels("payment.failed", outcome, reason)._value.get() == 1


async def test_test_data_act_where_the_service_is_set_to_test_mode() -> None:
    desk = Desk.of(test_mode=True)
    await desk.gives(failure("acc-1")[:-1] + b', "livemode": false}')
    await desk.takes_all()

    assert await desk.told() == ["applied"]


async def test_a_conflicting_duplicate_is_again_one_and_a_corrected_body_that_is_new_is_applied() -> None:
    desk = Desk.of()
    await desk.gives(failure("acc-1"))
    await desk.takes_all()
    other = LetterPlace("payment.failed", 0, 8)

    await desk.gives(failure("acc-1", code="toy_errand"), other)
    await desk.takes_all()
    await desk.gives(failure("acc-1", "pay-2", code="toy_errand"), other)
    await desk.takes_all()

    assert await desk.told(other) == ["set_aside conflicting_duplicate", "applied"]


async def test_what_failed_left_no_trace_so_the_same_event_may_still_act() -> None:
    desk = Desk.of()
    for code in ("toy_reject", "toy_quiet"):
        await desk.gives(failure("acc-1", code=code), headers=CLOUDEVENT)
        await desk.takes_all()

    assert await desk.told() == ["set_aside toy_reject", "applied"]


async def test_what_had_come_in_another_way_acts_once() -> None:
    desk = Desk.of()
    await desk.gives(failure("acc-1"))
    await desk.gives(failure("acc-1"), other := LetterPlace("payment.failed", 1, 3))
    await desk.takes_all()

    assert await desk.told(other) == ["duplicate"]
    assert await desk.gives(failure("acc-1"), other) is None
    assert await desk.published() == ["dunning.stage.changed"]


async def test_a_crash_before_the_commit_costs_nothing_and_doubles_nothing() -> None:
    desk = Desk.of()
    await desk.gives(failure("acc-1"))
    desk.store.crashes = 1

    with pytest.raises(StoreUnavailable):
        await desk.replays.take_one()
    assert await desk.told() == ["waiting"]
    assert await desk.published() == []
    await desk.takes_all()

    assert await desk.told() == ["applied"]
    assert await desk.published() == ["dunning.stage.changed"]


async def test_what_cannot_be_decided_yet_waits_and_the_others_go_on() -> None:
    desk = Desk.of()
    await desk.gives(failure("acc-1", code="toy_not_yet"))
    await desk.gives(failure("acc-2"), other := LetterPlace("payment.failed", 0, 8))
    await desk.takes_all()

    assert await desk.told() == ["waiting"]
    assert await desk.told(other) == ["applied"]


@pytest.mark.parametrize(("ahead_seconds", "taken"), [(5.0, True), (5.1, False), (-5.1, False)])
async def test_replays_wait_while_host_and_database_disagree(ahead_seconds: float, taken: bool) -> None:
    desk = Desk.of(host_ahead_seconds=ahead_seconds)
    await desk.gives(failure("acc-1"))

    assert await desk.replays.take_one() is taken
    assert await desk.told() == (["applied"] if taken else ["waiting"])


async def test_a_discarded_one_may_still_be_replayed_and_a_replayed_one_not_discarded() -> None:
    desk = Desk.of()
    assert await desk.store.give_discard(PLACE, "no_policy", By("bert", "load test")) is not None
    await desk.gives(failure("acc-1"))
    assert await desk.store.give_discard(PLACE, "no_policy", By("bert", "load test")) is None
    await desk.takes_all()
    assert await desk.store.give_discard(PLACE, "no_policy", By("bert", "load test")) is None

    assert [order.outcome for order in await desk.store.orders_on_file([PLACE])] == [
        OrderOutcome.DISCARDED,
        OrderOutcome.APPLIED,
    ]
