"""Work on the outside world: leased, begun at most once, and reported back to the service that gave it.

It is done outside every transaction and never in an event handler. Nothing is begun before the news up to its time was
read (rule 40), so that what was paid in the meantime is withdrawn first.
"""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any, Generic, TypeVar

from msgspec.structs import replace

from dunning.domain.account import AccountState
from dunning.domain.decision import Errand, Postpone
from dunning.domain.events import ErrandReport
from dunning.domain.ids import id_named
from dunning.runtime.broker_log import KAFKA_TROUBLES
from dunning.runtime.clock import DatabaseClock
from dunning.runtime.crash_points import crash_point
from dunning.runtime.fold import Outcome, Write
from dunning.runtime.health import Health
from dunning.runtime.logs import log_for, told
from dunning.runtime.metrics import Metrics
from dunning.runtime.other_side import OtherSide
from dunning.runtime.pauses import Pauses
from dunning.runtime.problem import Problem
from dunning.runtime.read_through import Horizon
from dunning.runtime.reports import Reports
from dunning.runtime.rounds import Rounds
from dunning.runtime.service import Perform, Service
from dunning.runtime.settings import Settings
from dunning.runtime.store import Fenced, LeasedErrand, Store, StoreUnavailable
from dunning.runtime.turn import concerns_the_input

A = TypeVar("A", bound=AccountState[Any])
_NEWS_LOOKS_MAX = 50
_NOT_NOW = Postpone("it may not be begun at the moment", 0, refused=False)  # by us: its due time stays what it was
_log = log_for("errands")


class _Hold(Exception):
    """The news is not read far enough to begin this now."""


class Errands(Generic[A]):
    """Does the errands of one service, several at a time."""

    def __init__(
        self,
        service: Service[A],
        store: Store[A],
        perform: Perform,
        horizon: Horizon,
        write: Write,
        *,
        settings: Settings,
        clock: DatabaseClock,
        metrics: Metrics,
        health: Health,
        committed: Callable[[Outcome], None],
    ) -> None:
        self._store = store
        self._reports = Reports(service, store, write, committed, metrics)
        self._perform = perform
        self.horizon = horizon
        self._settings = settings
        self._clock = clock
        self._metrics = metrics
        self._rounds = Rounds("errands", settings.errand_poll_seconds, metrics, health)
        forgotten_seconds = settings.errand_lease_seconds + 2 * settings.errand_pause_seconds_max
        self._other_side = OtherSide(health, forgotten_seconds)
        self._at_work: set[asyncio.Task[None]] = set()
        self._not_begun: set[asyncio.Timeout] = set()

    def wake(self) -> None:
        """There may be a new errand."""
        self._rounds.wake()

    def stop(self) -> None:
        """Lease and begin nothing more; what is begun goes on to its end.

        What is leased only is given back at once: no news is read any more that it could wait for, and a lease that
        nobody holds would keep it from the next start until it runs out.
        """
        self._rounds.stop()
        for limit in self._not_begun:
            if not limit.expired():  # else it ends already
                limit.reschedule(asyncio.get_running_loop().time())

    async def run(self) -> None:
        """Lease as many as there are free hands; at the end, what is begun is waited for."""
        await self._rounds.run(self._begin_some)
        if self._at_work:
            await asyncio.wait(self._at_work)

    async def _begin_some(self) -> bool:
        self._other_side.forget()
        leased = await self.lease()
        for each in leased:
            task = asyncio.create_task(self._do(each))
            self._at_work.add(task)
            task.add_done_callback(self._at_work.discard)
        return bool(leased)

    async def lease(self) -> list[LeasedErrand]:
        """As many errands as there are free hands, and none while the news is not read."""
        free = self._settings.errand_concurrency - len(self._at_work)
        if free <= 0 or await self.horizon.get() is None:
            return []
        return await self._store.lease_errands(free, self._settings.errand_lease_seconds)

    async def _do(self, leased: LeasedErrand) -> None:
        """One errand from the lease to the report; whatever goes wrong concerns this one only."""
        crash_point("errand.leased")
        try:
            answer = await self._answer(leased)
            if isinstance(answer, Postpone):
                await self._postpone(leased, answer)
            else:
                await self._report_until_stored(leased, answer)
        except Fenced:
            self._metrics.fenced.labels("errand").inc()
            _log.warning("the errand is in other hands now", errand=leased.errand.errand_id)
        except Exception as error:  # noqa: BLE001 - the lease runs out, and the next worker goes on from what is stored
            _log.error("an errand failed; it is leased again", errand=leased.errand.errand_id, **told(error))

    async def _answer(self, leased: LeasedErrand) -> ErrandReport | Postpone:
        if leased.begun:
            return self._report(leased.errand, "unknown", "the worker vanished")
        if leased.withdrawn:
            return self._report(leased.errand, "withdrawn", None)
        return await self._performed(leased)

    async def _performed(self, leased: LeasedErrand) -> ErrandReport | Postpone:
        """Let the service do it, within the time of the lease."""
        begun: bool | None = None
        limit = asyncio.timeout(self._settings.errand_lease_seconds * 0.9)

        async def begin() -> bool:
            nonlocal begun
            await self._wait_for_the_news(leased.errand)
            begun = await self._store.begin_errand(leased)
            self._not_begun.discard(limit)
            crash_point("errand.begun")
            return begun

        try:
            async with limit:
                self._not_begun.add(limit)
                answer = await self._perform(leased.errand, begin)
            self._other_side.note(leased.errand.kind, answer)
        except _Hold:
            return _NOT_NOW
        except Exception as error:  # noqa: BLE001 - whatever the service's worker raises is an answer too
            if self._rounds.stopping and begun is None:  # nothing reached anybody: `begin` did not return
                return _NOT_NOW
            _log.error("an errand raised", errand=leased.errand.errand_id, begun=begun, **told(error))
            if begun:
                return self._report(leased.errand, "unknown", type(error).__name__)
            own_fault = not isinstance(error, (StoreUnavailable, Problem, *KAFKA_TROUBLES))
            answer = Postpone(type(error).__name__, self._settings.errand_pause_seconds, refused=own_fault)
        finally:
            self._not_begun.discard(limit)
        crash_point("errand.performed")
        if begun is False:  # withdrawn, which the next lease says; or we were frozen for longer than the lease
            return _NOT_NOW
        # The database's clock dates what warnings are counted from, whatever clock the channel has.
        return replace(answer, at=self._clock.now()) if isinstance(answer, ErrandReport) else answer

    async def _wait_for_the_news(self, errand: Errand) -> None:
        """Usually it is there already. Waiting is bounded: the lease would run out."""
        for _ in range(_NEWS_LOOKS_MAX):
            if self._rounds.stopping:
                break
            horizon = await self.horizon.get()
            if horizon is not None and horizon >= errand.not_before:
                return
            await asyncio.sleep(self._settings.read_through_seconds)
        raise _Hold

    async def _postpone(self, leased: LeasedErrand, answer: Postpone) -> None:
        """Later, and longer every time; after many refusals it has failed. While nobody can be asked it waits."""
        if answer.refused and leased.refusals + 1 >= self._settings.errand_tries_max:
            return await self._report_until_stored(leased, self._report(leased.errand, "failed", answer.reason))
        self._metrics.errands_postponed.labels(leased.errand.kind).inc()
        if answer.refused:  # one that answers nobody is told once, by `OtherSide`
            _log.info("an errand is refused for now", errand=leased.errand.errand_id, reason=answer.reason)
        now = self._clock.now()
        if answer is _NOT_NOW:
            soon = now + timedelta(seconds=1)
            return await self._until_stored(lambda: self._store.postpone_errand(leased, soon))
        before = leased.refusals if answer.refused else leased.tries - 1
        grown = self._settings.errand_pause_seconds * 2.0 ** min(before, 20)
        later = now + timedelta(seconds=max(answer.seconds_min, min(grown, self._settings.errand_pause_seconds_max)))
        return await self._until_stored(
            lambda: self._store.postpone_errand(leased, later, not_before=later, refused=answer.refused)
        )

    async def _report_until_stored(self, leased: LeasedErrand, report: ErrandReport) -> None:
        await self._until_stored(lambda: self._reports.store(leased, report))

    async def _until_stored(self, store: Callable[[], Awaitable[None]]) -> None:
        """What happened in the world, or that nothing did, is known only here until it is stored, so a database that is
        away is waited for. If the lease runs out first, the next worker reports `unknown` of what was begun, and we
        learn that we came too late."""
        pauses = Pauses()
        while True:
            try:
                return await store()
            except Exception as error:
                if isinstance(error, Fenced) or concerns_the_input(error):
                    raise
                self._metrics.retries.labels("errands").inc()
                await asyncio.sleep(pauses.next_seconds())

    def _report(self, errand: Errand, outcome: str, reason: str | None) -> ErrandReport:
        return ErrandReport(
            event_id=id_named(f"errand/{errand.errand_id}/{outcome}"),
            account_id=errand.account_id,
            invoice_id=errand.invoice_id,
            errand_id=errand.errand_id,
            outcome=outcome,
            at=self._clock.now(),
            reason=reason,
        )
