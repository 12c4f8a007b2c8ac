"""Steps that one wake-up brings at once: each waits until the news was read up to its own time (rule 40)."""

from dataclasses import replace
from datetime import datetime
from typing import Any

from account_enforcement.case import AccountCase, EnforcedAccount
from account_enforcement.decide import AccountTrack
from dunning.domain.events import StageChanged, TimerDue
from dunning.runtime.clock import DatabaseClock
from dunning.runtime.fold import Outcome
from dunning.runtime.health import Health
from dunning.runtime.instance import outbox_writer
from dunning.runtime.metrics import Metrics
from dunning.runtime.outbox_bound import OutboxBound
from dunning.runtime.repository import StateRepository
from dunning.runtime.settings import Settings, load_settings
from dunning.runtime.timers import Timers
from dunning.testing.hand_clock import HandClock
from dunning.testing.memory import MemoryStore
from dunning.testing.toy import toy_service
from retry_scheduler.case import RetryAccount
from retry_scheduler.decide import RetryTrack
from tests.builders import PAST_DUE, a_policy, failed, instant, only_retries, paid, policies, signal

IN_FORCE = policies(
    a_policy(ladder=[PAST_DUE, {"rung": "restricted", "at": "5s", "account": "restricted"}], retries=None)
)


class ReadUpTo:
    """A horizon that is set by hand."""

    at: datetime

    async def get(self) -> datetime:
        return self.at


class Enforcing:
    """Account enforcement's timers on a store in memory."""

    def __init__(self) -> None:
        self.track = AccountTrack(lambda: IN_FORCE)
        own: dict[str, Any] = {
            "decide": self.track.decide,
            "repository": StateRepository(EnforcedAccount, AccountCase),
        }
        service: Any = replace(toy_service(), **own)
        self.clock, self.horizon, self.outcomes = HandClock(instant("03-02 10:00:00")), ReadUpTo(), list[Outcome]()
        self.store: MemoryStore[Any] = MemoryStore(service, clock=self.clock, shards=1)
        metrics = Metrics("account_enforcement")
        common: dict[str, Any] = {
            "settings": load_settings(
                Settings, kafka_bootstrap_servers="nowhere:1", database_url="postgresql://nowhere"
            ),
            "clock": DatabaseClock(5, host=self.clock, monotonic=lambda: 0.0),
            "metrics": metrics,
            "health": Health(metrics),
        }
        horizon: Any = self.horizon
        bound, write = OutboxBound(self.store, 1000, common["health"]), outbox_writer("")
        self.timers: Timers[Any] = Timers(
            service, self.store, horizon, bound, write, **common, committed=self.outcomes.append
        )

    async def read(self, event: Any) -> None:
        async with self.store.transaction() as tx:
            accounts = await tx.load({"acc_1": ["in_1"]})
            self.track.decide(accounts["acc_1"], event, await tx.now())
            await tx.save(accounts.values())

    async def fire(self, when: str, read_up_to: str) -> list[str]:
        """The stages that the wake-ups of an instant bring, the news being read up to another."""
        self.clock.now = instant(when)
        self.horizon.at = instant(read_up_to)
        self.outcomes.clear()
        while await self.timers.fire():
            pass
        return [
            each.to_stage for outcome in self.outcomes for each in outcome.outputs if isinstance(each, StageChanged)
        ]


async def test_a_step_behind_another_waits_for_the_news_up_to_its_own_time() -> None:
    enforcing = Enforcing()
    await enforcing.read(failed("03-02 10:00:00"))

    assert await enforcing.fire("03-02 10:00:07", read_up_to="03-02 10:00:01") == ["past_due"]
    assert await enforcing.fire("03-02 10:00:08", read_up_to="03-02 10:00:08") == ["restricted"]


async def test_what_was_paid_before_a_step_is_left_alone_though_the_step_before_it_came_late() -> None:
    enforcing = Enforcing()
    await enforcing.read(failed("03-02 10:00:00"))

    assert await enforcing.fire("03-02 10:00:07", read_up_to="03-02 10:00:01") == ["past_due"]
    await enforcing.read(paid("03-02 10:00:03"))
    assert await enforcing.fire("03-02 10:00:08", read_up_to="03-02 10:00:08") == []


def test_a_charge_that_the_end_of_a_pause_finds_due_waits_for_the_news_up_to_its_own_time() -> None:
    account, known = RetryAccount("acc_1"), policies(only_retries(after=["10s"]))
    track = RetryTrack(lambda: known)
    track.decide(account, failed("03-02 10:00:00", payment_method=None), instant("03-02 10:00:00"))
    rests = signal("case.paused", "03-02 10:00:01", until=instant("03-02 10:00:03"), reason="")
    track.decide(account, rests, instant("03-02 10:00:01"))

    def wakes(due_at: str, read_up_to: str) -> list[str]:
        timer = TimerDue("", "acc_1", "in_1", instant(due_at), news_until=instant(read_up_to))
        events = track.decide(account, timer, instant("03-02 10:00:14")).events
        return [each.to_stage for each in events if isinstance(each, StageChanged)]

    assert wakes("03-02 10:00:03", read_up_to="03-02 10:00:05") == ["scheduled"]
    assert wakes("03-02 10:00:14", read_up_to="03-02 10:00:14") == ["requested"]
