"""Waking cases up when their time has come, and never before the news up to then was read (rule 40)."""

from collections.abc import Callable, Collection, Mapping
from datetime import datetime, timedelta
from time import monotonic
from typing import Any, Generic, TypeVar

from dunning.domain.account import AccountState
from dunning.domain.decision import CannotDecideYet
from dunning.domain.events import TimerDue
from dunning.domain.ids import id_named
from dunning.runtime.clock import DatabaseClock
from dunning.runtime.crash_points import crash_point
from dunning.runtime.fold import DecisionsFailed, Outcome, Write, decided
from dunning.runtime.health import Health
from dunning.runtime.logs import log_for, told
from dunning.runtime.metrics import Metrics
from dunning.runtime.outbox_bound import OutboxBound
from dunning.runtime.problem import POLICIES_UNUSABLE, TIMER_FAILED, Problem
from dunning.runtime.read_through import Horizon
from dunning.runtime.rounds import Rounds
from dunning.runtime.service import Service
from dunning.runtime.settings import Settings
from dunning.runtime.store import Store, StoreUnavailable, Transaction
from dunning.runtime.sweep import Sweep
from dunning.runtime.turn import concerns_the_input

A = TypeVar("A", bound=AccountState[Any])
_STUCK_SECONDS = 60.0
_log = log_for("timers")

Due = Mapping[str, Collection[tuple[str, datetime]]]


class Timers(Generic[A]):
    """Fires what is due, oldest first, in batches; any number of instances may do so at once.

    An account whose wake-up cannot be decided or stored is passed over for a while and told about; a timer is never
    dropped, and the others do not wait for it.
    """

    def __init__(
        self,
        service: Service[A],
        store: Store[A],
        horizon: Horizon,
        bound: OutboxBound,
        write: Write,
        *,
        settings: Settings,
        clock: DatabaseClock,
        metrics: Metrics,
        health: Health,
        committed: Callable[[Outcome], None],
    ) -> None:
        self._service = service
        self._store = store
        self._horizon = horizon
        self._bound = bound
        self._write = write
        self._settings = settings
        self._clock = clock
        self._metrics = metrics
        self._health = health
        self._committed = committed
        self._rounds = Rounds("timers", settings.timer_poll_seconds, metrics, health)
        self._sweep = Sweep()
        self._stuck: dict[str, float] = {}  # account id, until when it is passed over

    def due_by(self, due_at: datetime | None) -> None:
        """Something was planned; if its time has come already, look at once."""
        if due_at is not None and due_at <= self._clock.now():
            self._rounds.wake()

    def stop(self) -> None:
        """End after the batch at hand."""
        self._rounds.stop()

    async def run(self) -> None:
        """Look, fire, look again: at once while there was plenty."""
        await self._rounds.run(self.fire)

    async def fire(self) -> bool:
        """Fire one batch of what is due up to the horizon; says whether there may be more."""
        horizon = await self._horizon.get()
        if horizon is None or await self._bound.is_reached():
            return False
        try:
            return await self._fire(horizon, only=None)
        except _AccountsFailed as failed:
            self._pass_over(failed.accounts, failed)
            return True
        except Exception as error:
            if not concerns_the_input(error):
                raise _to_be_waited_for(error) from error
            await self._fire_one_by_one(horizon, error)
            return True

    async def _fire(self, horizon: datetime, only: str | None) -> bool:
        limit = self._settings.timer_batch_accounts
        since = self._sweep.look() if only is None else None
        async with self._store.transaction() as tx:
            if not await tx.may_act(hold=False):
                return False
            now = await tx.now()
            locked = await tx.lock_due_accounts(min(now, horizon), limit, self._stuck_now(), since)
            all_due = _in_order(locked, horizon) + await self._released(tx, horizon, limit, locked)
            inputs = [timer for timer in all_due if only in (None, timer.account_id)]
            if not inputs:
                self._looked_over(since, only)
            if not inputs or not await tx.may_act(hold=True):  # from here on a switch waits for us (rule 42)
                return since is not None  # what lies before it has not been looked at
            accounts = await tx.load(_named(inputs))
            if self._service.guard is not None:
                await self._service.guard.admit(tx, accounts, inputs, now)
            outcome = await self._decided(tx, accounts, inputs, now)
            self._notice_idle_ones(accounts, inputs)
            if self._service.guard is not None:
                await self._service.guard.note(tx, outcome.outputs, now)
            await outcome.record(tx)
        crash_point("timers.committed")
        self._committed(outcome)
        self._count(inputs, now, outcome)
        self._looked_over(since, only)
        if only is None and sum(map(len, locked.values())) >= limit:
            self._sweep.go_on(since, locked)
        again = outcome.earliest_due_at is not None and outcome.earliest_due_at <= horizon
        return again or since is not None or len(inputs) >= limit

    async def _released(
        self, tx: Transaction[A], horizon: datetime, limit: int, locked: Collection[str]
    ) -> list[TimerDue]:
        """What the service's guard had held back and lets go on now; accounts at hand have their turn another time."""
        if self._service.guard is None:
            return []
        passed_over = [*self._stuck_now(), *locked]
        return [
            _wake_up(*each, horizon, released=True)
            for each in await self._service.guard.released(tx, horizon, limit, passed_over)
        ]

    def _stuck_now(self) -> Collection[str]:
        """The accounts to pass over."""
        now = monotonic()
        self._stuck = {account_id: until for account_id, until in self._stuck.items() if until > now}
        return self._stuck.keys()

    def _looked_over(self, since: datetime | None, only: str | None) -> None:
        """Whoever had been passed over was looked at again: it is over when none of them is in the way any more, and
        not before, or it would begin and end each minute."""
        if since is None and only is None and not self._stuck:
            self._health.well("stuck timers")

    async def _decided(
        self, tx: Transaction[A], accounts: Mapping[str, A], inputs: list[TimerDue], now: datetime
    ) -> Outcome:
        try:
            return await decided(tx, self._service, self._write, accounts, inputs, now)
        except DecisionsFailed as failed:
            raise _AccountsFailed({inputs[at].account_id for at in failed.culprits}) from failed

    def _notice_idle_ones(self, accounts: Mapping[str, A], inputs: list[TimerDue]) -> None:
        """A case that still wants the very same wake-up would be fired again and again without a pause."""
        idle = {
            timer.account_id
            for timer in inputs
            if timer.invoice_id in (cases := accounts[timer.account_id].cases)
            and cases[timer.invoice_id].due_at == timer.due_at
        }
        if idle:
            self._pass_over(idle, None)

    async def _fire_one_by_one(self, horizon: datetime, error: Exception) -> None:
        """Something cannot be stored, and nobody says whose it is: each account in a transaction of its own."""
        limit = self._settings.timer_batch_accounts
        async with self._store.transaction() as tx:
            locked = await tx.lock_due_accounts(horizon, limit, self._stuck_now())
            released = [timer.account_id for timer in await self._released(tx, horizon, limit, locked)]
        _log.warning("timers are fired one by one", **told(error))
        for account_id in dict.fromkeys([*locked, *released]):
            if self._rounds.stopping:
                return
            try:
                await self._fire(horizon, only=account_id)
            except _AccountsFailed as failed:
                self._pass_over(failed.accounts, failed)
            except Exception as own_error:
                if not concerns_the_input(own_error):
                    raise _to_be_waited_for(own_error) from own_error
                self._pass_over({account_id}, own_error)

    def _pass_over(self, accounts: Collection[str], error: Exception | None) -> None:
        why = told(error) if error is not None else {"error": "the case still wants the same wake-up"}
        for account_id in accounts:
            self._stuck[account_id] = monotonic() + _STUCK_SECONDS
            _log.error("a timer cannot be acted on; it is tried again later", account=account_id, **why)
        self._metrics.timers_failed.inc(len(accounts))
        message = f"the timers of {len(self._stuck)} accounts cannot be acted on; the log names them"
        self._health.trouble("stuck timers", TIMER_FAILED, message)

    def _count(self, inputs: list[TimerDue], now: datetime, outcome: Outcome) -> None:
        self._metrics.fired.inc(len(inputs))
        for timer in (inputs[0], inputs[-1]):
            self._metrics.fire_delay.observe(max(timedelta(), now - timer.due_at).total_seconds())
        outcome.count(self._metrics)


class _AccountsFailed(Exception):
    """The wake-ups of these accounts made `decide` raise."""

    def __init__(self, accounts: set[str]) -> None:
        super().__init__(f"{len(accounts)} accounts")
        self.accounts = accounts


def _to_be_waited_for(error: Exception) -> Exception:
    """What a person can do something about: a policy that is not on file here is no fault of the database."""
    if isinstance(error, CannotDecideYet):
        return Problem(POLICIES_UNUSABLE, str(error))
    return StoreUnavailable(type(error).__name__)


def _in_order(due: Due, horizon: datetime) -> list[TimerDue]:
    """Oldest first over all accounts. The id is the same whenever this wake-up is tried."""
    timers = [
        _wake_up(account_id, invoice_id, due_at, horizon)
        for account_id, cases in due.items()
        for invoice_id, due_at in cases
    ]
    return sorted(timers, key=lambda timer: (timer.due_at, timer.account_id, timer.invoice_id))


def _wake_up(
    account_id: str, invoice_id: str, due_at: datetime, horizon: datetime, *, released: bool = False
) -> TimerDue:
    event_id = id_named(f"timer/{account_id}/{invoice_id}/{due_at.isoformat()}")
    return TimerDue(event_id, account_id, invoice_id, due_at, released, horizon)


def _named(inputs: Collection[TimerDue]) -> dict[str, list[str]]:
    """The accounts to load, with the invoices that are woken."""
    wanted: dict[str, list[str]] = {}
    for timer in inputs:
        wanted.setdefault(timer.account_id, []).append(timer.invoice_id)
    return wanted
