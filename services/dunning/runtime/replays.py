"""Taking replays: dead letters that an operator gave back to the service that set them aside (rule 5).

A replay is one more input: read by the same code as a message from Kafka, with the headers that it came with, and
acted upon in the transaction that notes what became of it. So it acts once, whichever instance takes it and wherever
that one dies. What fails again is noted with its new reason, and may be replayed again, corrected.
"""

from collections.abc import Callable
from time import monotonic
from typing import Any, Generic, TypeVar

from dunning.contracts.decoded import PassedOver, Readable, Unreadable
from dunning.domain.account import AccountState
from dunning.domain.decision import CannotDecideYet
from dunning.runtime.clock import DatabaseClock
from dunning.runtime.crash_points import crash_point
from dunning.runtime.dead_letters import CONFLICTING_DUPLICATE, DECISION_FAILED, conflict_detail
from dunning.runtime.fold import DecisionsFailed, Outcome, Write, decided
from dunning.runtime.health import Health
from dunning.runtime.letter_orders import Ending, OrderOutcome, Replay
from dunning.runtime.logs import log_for, told
from dunning.runtime.meant import cases_meant
from dunning.runtime.metrics import Metrics
from dunning.runtime.rounds import Rounds
from dunning.runtime.service import Service
from dunning.runtime.settings import Settings
from dunning.runtime.store import Store, StoreUnavailable, Transaction, Verdict
from dunning.runtime.turn import Decode, concerns_the_input
from dunning.runtime.wanted import PassOver

A = TypeVar("A", bound=AccountState[Any])
_LATER_SECONDS = 5.0
_log = log_for("replays")


class Replays(Generic[A]):
    """Takes what waits, oldest first and one at a time; any number of instances may do so at once."""

    def __init__(
        self,
        service: Service[A],
        store: Store[A],
        decode: Decode,
        write: Write,
        pass_over: PassOver,
        *,
        settings: Settings,
        clock: DatabaseClock,
        metrics: Metrics,
        health: Health,
        committed: Callable[[Outcome], None],
    ) -> None:
        self._service = service
        self._store = store
        self._decode = decode
        self._write = write
        self._pass_over = pass_over
        self._clock = clock
        self._metrics = metrics
        self._committed = committed
        self._rounds = Rounds("replays", settings.replay_poll_seconds, metrics, health)
        self._later: dict[int, float] = {}  # orders that cannot be decided yet, until when they are left

    def stop(self) -> None:
        """End after the replay at hand."""
        self._rounds.stop()

    async def run(self) -> None:
        """Look, take, look again: at once while there was one."""
        await self._rounds.run(self.take_one)

    async def take_one(self) -> bool:
        """Take the oldest replay that waits; says whether there was one. None while the clocks disagree (rule 3)."""
        if not self._clock.agrees:
            return False
        in_hand: list[Replay] = []
        try:
            return await self._take(in_hand)
        except CannotDecideYet:  # such as a policy that another instance just put on file
            self._later |= {replay.order_id: monotonic() + _LATER_SECONDS for replay in in_hand}
            return True
        except StoreUnavailable:
            raise
        except Exception as error:
            if not concerns_the_input(error) or not in_hand:
                raise StoreUnavailable(type(error).__name__) from error
            await self._note_failure(in_hand[0], error)
            return True

    async def _take(self, in_hand: list[Replay]) -> bool:
        async with self._store.transaction() as tx:
            replay = await tx.take_replay(self._left_for_now())
            if replay is None:
                return False
            in_hand.append(replay)
            ending, outcome = await self._work_in(tx, replay)
            await tx.note_replay(replay, ending)
            crash_point("replay.saved")
        crash_point("replay.committed")
        self._committed(outcome)
        outcome.count(self._metrics)
        self._tell(replay, ending)
        return True

    def _left_for_now(self) -> list[int]:
        now = monotonic()
        self._later = {order_id: until for order_id, until in self._later.items() if until > now}
        return list(self._later)

    async def _work_in(self, tx: Transaction[A], replay: Replay) -> tuple[Ending, Outcome]:
        """Read it as if it had come from its topic; says what became of it, and what follows."""
        decoded = self._decode(replay.place.topic, replay.key, replay.body, replay.headers, self._clock.now())
        match decoded:
            case Unreadable():
                return _without_effect(OrderOutcome.SET_ASIDE, decoded.reason, decoded.detail)
            case PassedOver():
                return _without_effect(OrderOutcome.PASSED_OVER, decoded.reason)
            case Readable():
                reason = self._pass_over(decoded.input)
                if reason is not None:
                    return _without_effect(OrderOutcome.PASSED_OVER, reason)
                return await self._act(tx, decoded)

    async def _act(self, tx: Transaction[A], readable: Readable) -> tuple[Ending, Outcome]:
        verdicts = await tx.first_sightings([(each.key, each.content) for each in readable.sightings])
        if Verdict.CONFLICT in verdicts:
            named = zip(readable.sightings, verdicts, strict=True)
            await tx.forget_sightings([each.key for each, verdict in named if verdict is Verdict.FIRST])
            what = readable.sightings[verdicts.index(Verdict.CONFLICT)].what
            return _without_effect(OrderOutcome.SET_ASIDE, CONFLICTING_DUPLICATE, conflict_detail(what))
        if Verdict.DUPLICATE in verdicts:
            return _without_effect(OrderOutcome.DUPLICATE)
        event = readable.input
        accounts = await tx.load(await cases_meant(tx, self._service, [event]))
        now = await tx.now()
        outcome = await decided(tx, self._service, self._write, accounts, [event], now)
        if outcome.rejected:
            await tx.forget_sightings([each.key for each in readable.sightings])
            return _without_effect(OrderOutcome.SET_ASIDE, outcome.rejected[0][1])
        await outcome.record(tx)
        return Ending(OrderOutcome.APPLIED), outcome

    async def _note_failure(self, replay: Replay, error: Exception) -> None:
        """It cannot be decided or stored: its transaction is undone, and only that is noted."""
        culprit = next(iter(error.culprits.values())) if isinstance(error, DecisionsFailed) else error
        what = "deciding" if isinstance(error, DecisionsFailed) else "storing"
        _log.error("a replay failed", order=replay.order_id, **told(culprit))
        ending = Ending(OrderOutcome.SET_ASIDE, DECISION_FAILED, f"{what} failed: {type(culprit).__name__}")
        others = self._left_for_now()
        async with self._store.transaction() as tx:
            again = await tx.take_replay(others)
            if again is None or again.order_id != replay.order_id:  # in the hands of another instance by now
                return
            await tx.note_replay(replay, ending)
        self._tell(replay, ending)

    def _tell(self, replay: Replay, ending: Ending) -> None:
        place = replay.place
        self._metrics.replays.labels(place.topic, ending.outcome, ending.reason).inc()
        say = _log.warning if ending.outcome is OrderOutcome.SET_ASIDE else _log.info
        say(
            "replayed",
            order=replay.order_id,
            topic=place.topic,
            dlq_partition=place.partition,
            dlq_offset=place.offset,
            outcome=ending.outcome,
            reason=ending.reason,
        )


def _without_effect(outcome: OrderOutcome, reason: str = "", detail: str = "") -> tuple[Ending, Outcome]:
    return Ending(outcome, reason, detail), Outcome()
