"""The brake's limit: who counts, since when, and what happens at it (rule 45).

The brake's statements are answered from rows in memory here; that they say so in PostgreSQL, and that several instances
count together, is shown in tests/integration/test_brake.py.
"""

import asyncio
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any, NamedTuple

import pytest

from account_enforcement.brake import Brake, Standing, open_brake
from account_enforcement.case import EnforcedAccount
from account_enforcement.decide import AccountTrack
from dunning.domain.events import NoticeResult, Output, TimerDue
from dunning.runtime.health import Health
from dunning.runtime.metrics import Metrics
from dunning.runtime.store import StoreUnavailable
from tests.builders import PAST_DUE, a_policy, failed, instant, policies

LIMITED = {"rung": "limited", "at": "5d", "account": "restricted"}
WARNING = {"rung": "warning", "at": "1d", "notice": {"template": "suspension_warning", "channels": ["email"]}}
SUSPENDED = {"rung": "suspended", "at": "132h", "account": "suspended", "warned_by": "warning"}  # half a day behind
IN_FORCE = policies(a_policy(ladder=[PAST_DUE, WARNING, LIMITED, SUSPENDED], retries=None))
WHEN_DUE = "03-07 10:00"
NOW = instant(WHEN_DUE)


class Restriction(NamedTuple):
    account_id: str
    at: datetime
    counted: bool


@dataclass
class Rows:
    """The brake's tables, and a connection that knows its statements by the names that they begin with."""

    shut_at: datetime | None = None
    opened_at: datetime | None = None
    accounts: int = 0  # in the table of accounts
    busiest: int = 0  # of the last days
    restrictions: list[Restriction] = field(default_factory=list)
    held: dict[str, datetime] = field(default_factory=dict)  # account, since when
    record: list[tuple[Any, ...]] = field(default_factory=list)
    limit_set: int | None = None
    counted_at: datetime | None = None
    known: tuple[int, int] = (0, 0)  # accounts and busiest day, as they were reckoned last
    now: datetime = NOW
    away: int = 0

    async def fetch(self, query: str, *given: Any) -> Any:
        if query == "select clock_timestamp()":
            return self.now
        return getattr(self, query.splitlines()[0].removeprefix("-- "))(*given)

    fetchrow = fetchval = execute = fetch

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[None]:
        yield

    @asynccontextmanager
    async def connect(self) -> AsyncIterator["Rows"]:
        if self.away:
            self.away -= 1
            raise StoreUnavailable("away")
        yield self

    def lock_brake(self) -> dict[str, Any]:
        accounts_known, busiest_day = self.known
        return {**vars(self), "accounts_known": accounts_known, "busiest_day": busiest_day}

    brake = lock_brake

    def tell_limit(self, limit: int | None) -> None:
        self.limit_set = limit

    def count_days(self, now: datetime) -> None:
        """The days are those that the test says."""

    def reckon_limit(self, now: datetime) -> dict[str, Any]:
        self.counted_at, self.known = now, (self.accounts, self.busiest)
        return self.lock_brake()

    def counted_since(self, since: datetime) -> int:
        return len({each.account_id for each in self.restrictions if each.counted and each.at > since})

    def counted_of(self, since: datetime, account_ids: Collection[str]) -> list[dict[str, str]]:
        counted = {each.account_id for each in self.restrictions if each.counted and each.at > since}
        return [{"account_id": account_id} for account_id in counted & set(account_ids)]

    def note_restrictions(self, at: datetime, account_ids: Sequence[str], counted: Sequence[bool]) -> None:
        self.restrictions += [Restriction(who, at, counts) for who, counts in zip(account_ids, counted, strict=True)]

    def forget_restrictions(self, now: datetime) -> None:
        self.restrictions = [each for each in self.restrictions if each.at >= now - timedelta(days=61)]

    def shut_brake(self, at: datetime, restricted: int, limited_to: int) -> None:
        if self.shut_at is None:
            self.shut_at = at
            self.record.append(("shut", restricted, limited_to))

    def open_brake(self) -> datetime:
        self.shut_at, self.opened_at = None, self.now
        return self.now

    def record_opening(self, at: datetime, by: str, reason: str, held: int) -> None:
        self.record.append(("opened", by, reason, held))

    def count_held(self, limit: int) -> int:
        return min(limit, len(self.held))

    def lock_released(self, limit: int, but_not: Collection[str], horizon: datetime) -> list[dict[str, str]]:
        if self.shut_at is not None or (self.opened_at is not None and self.opened_at > horizon):
            return []
        waiting = sorted(self.held, key=lambda account_id: self.held[account_id])
        return [{"account_id": each} for each in waiting if each not in but_not][:limit]

    def held_cases(self, account_ids: Collection[str], limit: int) -> list[tuple[str, str, datetime]]:
        return [(each, "in_1", self.held[each]) for each in sorted(account_ids)][:limit]


class Enforcement:
    """Account enforcement's timers with a brake, each account with one case that failed on 03-02 at 10:00."""

    def __init__(self, limit: int | None, **rows: Any) -> None:
        self.rows = Rows(**rows)
        self.brake = Brake(limit)
        self.track = AccountTrack(lambda: IN_FORCE, may_restrict=self.brake.admits)
        self.brake.asks = self.track.asks_to_restrict
        self.accounts: dict[str, EnforcedAccount] = {}
        self.tx: Any = SimpleNamespace(connection=self.rows)

    def opens(self, *account_ids: str) -> None:
        for account_id in account_ids:
            account = self.accounts[account_id] = EnforcedAccount(account_id)
            self.track.decide(account, failed("03-02 10:00", account_id=account_id), instant("03-02 10:00"))

    async def fires(self, when: str, *account_ids: str, released: bool = False) -> dict[str, str]:
        """One transaction of these accounts' timers; says how the accounts stand afterwards."""
        self.opens(*(each for each in account_ids if each not in self.accounts))
        now = self.rows.now = instant(when)
        due = {each: self.rows.held.pop(each, now) if released else now for each in account_ids}
        inputs = [TimerDue("timer", each, "in_1", at, released) for each, at in due.items()]
        await self.brake.admit(self.tx, self.accounts, inputs, now)
        outputs: list[Output] = []
        for timer in inputs:
            outputs += self.track.decide(self.accounts[timer.account_id], timer, now).events
        await self.brake.note(self.tx, outputs, now)
        for each in account_ids:
            if (since := self.accounts[each].cases["in_1"].held_since) is not None:
                self.rows.held[each] = since
        return {each: str(self.accounts[each].published.status) for each in account_ids}

    def was_warned(self, account_id: str, at: str) -> None:
        (case,) = self.accounts[account_id].cases.values()
        result = NoticeResult(
            event_id="r", sequence=1, causation_id="", notice_id="n", case_ids=(case.case_id,), account_id=account_id,
            invoice_id="in_1", rung="warning", channel="email", template="suspension_warning", locale="en",
            outcome="delivered", reason=None, provider=None, provider_message_id=None, at=instant(at),
        )  # fmt: skip
        self.track.decide(self.accounts[account_id], result, self.rows.now)

    async def opens_brake(self, when: str) -> int:
        self.rows.now = instant(when)
        connection: Any = self.rows
        return await open_brake(connection, "ada", "looked at them")

    async def stands(self, when: str) -> Standing:
        self.rows.now = instant(when)
        connection: Any = self.rows
        return await self.brake.standing(connection)


async def test_the_first_are_restricted_up_to_the_limit_and_the_others_shut_the_brake() -> None:
    service = Enforcement(limit=2)

    assert await service.fires(WHEN_DUE, "acc_3", "acc_1", "acc_2") == {
        "acc_3": "restricted",
        "acc_1": "restricted",
        "acc_2": "past_due",
    }
    assert service.rows.shut_at == instant(WHEN_DUE)
    assert service.rows.record == [("shut", 2, 2)]
    assert service.rows.held == {"acc_2": instant(WHEN_DUE)}


async def test_to_reach_the_limit_shuts_nothing_and_who_comes_next_does() -> None:
    service = Enforcement(limit=2)

    await service.fires(WHEN_DUE, "acc_1", "acc_2")
    assert service.rows.shut_at is None

    assert await service.fires("03-07 11:00", "acc_3") == {"acc_3": "past_due"}
    assert service.rows.shut_at == instant("03-07 11:00")
    assert service.rows.record == [("shut", 2, 2)]


async def test_once_shut_it_lets_nobody_through_whatever_time_has_passed() -> None:
    service = Enforcement(limit=1)
    await service.fires(WHEN_DUE, "acc_1", "acc_2")

    assert await service.fires("03-09 10:00", "acc_3") == {"acc_3": "past_due"}


@pytest.mark.parametrize(("when", "stands"), [("03-08 09:59", "past_due"), ("03-08 10:00", "restricted")])
async def test_a_restriction_counts_for_twenty_four_hours(when: str, stands: str) -> None:
    service = Enforcement(limit=1)
    await service.fires(WHEN_DUE, "acc_1")

    assert await service.fires(when, "acc_2") == {"acc_2": stands}


async def test_who_counts_already_goes_on_to_the_next_step_and_counts_once() -> None:
    service = Enforcement(limit=1)
    await service.fires(WHEN_DUE, "acc_1")
    service.was_warned("acc_1", "03-03 10:00")

    assert await service.fires("03-07 22:00", "acc_1") == {"acc_1": "suspended"}
    assert service.rows.shut_at is None
    assert (await service.stands("03-07 22:00")).restricted == 1


async def test_to_be_past_due_counts_for_nothing() -> None:
    service = Enforcement(limit=0)

    assert await service.fires("03-02 10:00", "acc_1") == {"acc_1": "past_due"}
    assert (service.rows.restrictions, service.rows.shut_at) == ([], None)


async def test_after_the_opening_all_that_waited_go_on_and_the_count_begins_anew() -> None:
    service = Enforcement(limit=1)
    await service.fires(WHEN_DUE, "acc_1", "acc_2", "acc_3", "acc_4")
    assert await service.opens_brake("03-07 12:00") == 3
    assert service.rows.record[1:] == [("opened", "ada", "looked at them", 3)]

    released = await service.brake.released(service.tx, instant("03-07 12:00"), 2, ["acc_2"])
    assert released == [("acc_3", "in_1", instant(WHEN_DUE)), ("acc_4", "in_1", instant(WHEN_DUE))]
    assert await service.fires("03-07 12:01", "acc_2", "acc_3", "acc_4", released=True) == {
        "acc_2": "restricted",
        "acc_3": "restricted",
        "acc_4": "restricted",
    }
    assert (await service.stands("03-07 12:01")).restricted == 0

    assert await service.fires("03-07 13:00", "acc_5") == {"acc_5": "restricted"}
    assert (await service.stands("03-07 13:00")).restricted == 1
    assert await service.fires("03-07 14:00", "acc_6") == {"acc_6": "past_due"}


async def test_nobody_goes_on_while_it_is_shut_or_before_the_news_up_to_its_opening_is_read() -> None:
    service = Enforcement(limit=1)
    await service.fires(WHEN_DUE, "acc_1", "acc_2")

    assert await service.brake.released(service.tx, instant("03-09 10:00"), 10, []) == []
    await service.opens_brake("03-09 10:00")
    assert await service.brake.released(service.tx, instant("03-09 09:59"), 10, []) == []
    assert len(await service.brake.released(service.tx, instant("03-09 10:00"), 10, [])) == 1


async def test_who_comes_to_wait_after_the_opening_counts_though_it_is_released_like_the_others() -> None:
    service = Enforcement(limit=1)
    await service.fires(WHEN_DUE, "acc_1", "acc_2")
    await service.opens_brake("03-07 12:00")
    service.opens("acc_3")
    service.rows.held["acc_3"] = instant("03-07 12:01")

    await service.fires("03-07 12:02", "acc_3", released=True)

    assert (await service.stands("03-07 12:02")).restricted == 1


async def test_a_restriction_by_a_clock_that_was_read_before_the_opening_counts_behind_it() -> None:
    service = Enforcement(limit=1)
    service.rows.opened_at = instant("03-07 10:01")

    await service.fires(WHEN_DUE, "acc_1")

    assert (await service.stands("03-07 10:02")).restricted == 1


@pytest.mark.parametrize(("when", "stands"), [("03-07 10:01", "past_due"), ("03-07 10:02", "restricted")])
async def test_without_a_setting_the_limit_is_reckoned_and_near_it_anew_when_that_was_more_than_a_minute_ago(
    when: str, stands: str
) -> None:
    service = Enforcement(limit=None, accounts=4200)
    await service.fires(WHEN_DUE, *(f"acc_{number}" for number in range(21)))
    assert service.rows.shut_at is None
    service.rows.accounts = 4400  # one more may be restricted, once that is known

    assert await service.fires(when, "acc_99") == {"acc_99": stands}


async def test_who_takes_the_last_place_is_no_reason_to_reckon_it_anew() -> None:
    """It could only have grown, and accounts are counted one by one."""
    service = Enforcement(limit=None, accounts=4200)
    await service.fires(WHEN_DUE, *(f"acc_{number}" for number in range(20)))

    assert await service.fires("03-07 10:59", "acc_99") == {"acc_99": "restricted"}

    assert service.rows.counted_at == instant(WHEN_DUE)


async def test_far_from_the_limit_it_is_reckoned_once_an_hour() -> None:
    service = Enforcement(limit=None, accounts=4200)
    await service.fires(WHEN_DUE, "acc_1")
    service.rows.restrictions.append(Restriction("acc_0", instant("2025-12-01 10:00"), True))

    await service.fires("03-07 11:00", "acc_2")
    assert (service.rows.counted_at, len(service.rows.restrictions)) == (instant(WHEN_DUE), 3)

    await service.fires("03-07 11:01", "acc_3")
    assert (service.rows.counted_at, len(service.rows.restrictions)) == (instant("03-07 11:01"), 3)


@pytest.mark.parametrize(("own", "told", "limit"), [(7, 9, 7), (None, 9, 9), (None, None, 60)])
async def test_who_looks_is_told_the_limit_of_the_settings_or_else_the_reckoned_one(
    own: int | None, told: int | None, limit: int
) -> None:
    service = Enforcement(limit=own, limit_set=told, known=(0, 20))
    service.rows.shut_at = instant("03-07 09:00")
    service.rows.held = {"acc_1": instant("03-07 09:00"), "acc_2": instant("03-07 09:30")}

    assert await service.stands(WHEN_DUE) == Standing(instant("03-07 09:00"), 0, limit, 2)


async def test_while_it_is_shut_there_is_an_alarm_and_a_database_that_is_away_is_asked_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    service = Enforcement(limit=5, shut_at=instant("03-07 09:00"), held={"acc_1": instant("03-07 09:00")}, away=1)
    health = Health(Metrics("account_enforcement"))
    alarms: list[dict[str, str]] = []

    async def next_look(_: float) -> None:
        alarms.append(dict(health.alarms))
        if len(alarms) == 3:
            raise asyncio.CancelledError
        if len(alarms) == 2:
            service.rows.shut_at = None

    monkeypatch.setattr("account_enforcement.brake.asyncio.sleep", next_look)
    connect: Any = service.rows.connect
    with pytest.raises(asyncio.CancelledError):
        await service.brake.watch(connect, health)

    words = "0 accounts were restricted within 24 hours: the brake is shut, 1 wait"
    what_to_do = "`dunning brake open` when they shall go on"
    assert alarms == [{}, {"brake": f"{words}; {what_to_do}  [DUN-R031]"}, {}]
    assert service.rows.limit_set == 5
    sample = health.metrics.registry.get_sample_value
    assert [sample(f"dunning_brake_{name}") for name in ("limit", "held", "shut", "restricted")] == [5, 1, 0, 0]
    assert health.metrics.retries.labels("brake")._value.get() == 1
