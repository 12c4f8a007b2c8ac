"""What `dunning simulate` says of a scenario: the stages that each track of each case goes through.

In the simulator a charge is answered at the instant it is asked for (rule 46). No payment platform does that: between
question and answer, what else is due at that instant happens. So here a charge is answered a moment later, by a line of
input, as the world of a run does it. Where a charge is overdue when its case opens, so is the first rung, and a service
may hear of the payment before it gets to its rung: notices and account may then go as the simulator alone says.

Nor does anybody promise which of two events of one instant, on two topics, is read first: either order may be followed.
"""

import json
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import Any

from dunning.contracts.decoded import Readable
from dunning.contracts.encode import encode_data
from dunning.contracts.topics import STAGE_CHANGED
from dunning.domain.events import PaymentFailed, PaymentMethod, RetryRequested
from dunning_cli.simulation.lines import InputLine, OutputLine
from dunning_cli.simulation.processor import Answer
from dunning_cli.simulation.simulate import Simulation
from tests.platform.payments import answer
from tests.platform.scenario import Data, Scenario, loaded

Stages = dict[tuple[str, str], list[str]]  # by case and track
_A_MOMENT = timedelta(seconds=1)


class _Later:
    """Answers no charge at once, and keeps what was asked for."""

    def __init__(self) -> None:
        self.asked: deque[RetryRequested] = deque()

    def answer(self, request: RetryRequested, last: PaymentFailed, method: PaymentMethod | None) -> Answer | None:
        self.asked.append(request)
        return None


class _AtOnce:
    """Answers at the instant, as the simulator's own processors do."""

    def __init__(self, scenario: Scenario) -> None:
        self._scenario = scenario

    def answer(self, request: RetryRequested, last: PaymentFailed, method: PaymentMethod | None) -> Answer | None:
        line = _answer_line(self._scenario, request, request.not_before)
        if line is None:
            return None
        assert isinstance(line.decoded, Readable)
        event = line.decoded.input
        assert isinstance(event, Answer)
        return event


def stages_at_once(scenario: Scenario) -> Stages:
    """With every charge answered at the instant it is asked for."""
    simulation = Simulation(loaded(scenario.policy), _AtOnce(scenario))
    return _stages_told(simulation.run(_lines(scenario), scenario.until).lines)


class Reference:
    """One run of the simulator, from one instant at which something happens to the next.

    What is sent at one instant is read in the order of the scenario's lines, with `last_first` the other way round.
    """

    def __init__(self, scenario: Scenario, *, last_first: bool = False) -> None:
        self._scenario = scenario
        self._processor = _Later()
        self._simulation = Simulation(loaded(scenario.policy), self._processor)
        lines = list(_lines(scenario))
        if last_first:
            lines.reverse()
            lines.sort(key=lambda line: line.at)
        self._lines = deque(lines)

    def stages(self) -> Stages:
        """Those up to the scenario's end."""
        told = []
        while (at := self._next()) is not None and at <= self._scenario.until:
            told = self._simulation.run([*self._sent_at(at), *self._answers_at(at)], at).lines
        return _stages_told(told)

    def _next(self) -> datetime | None:
        found = [timer[0] for timer in self._simulation._world._timers[:1]]
        found += [line.at for line in list(self._lines)[:1]]
        found += [request.not_before + _A_MOMENT for request in self._processor.asked]
        return min(found, default=None)

    def _sent_at(self, at: datetime) -> Iterator[InputLine]:
        while self._lines and self._lines[0].at <= at:
            yield self._lines.popleft()

    def _answers_at(self, at: datetime) -> Iterator[InputLine]:
        asked = self._processor.asked
        while asked and asked[0].not_before + _A_MOMENT <= at:
            line = _answer_line(self._scenario, asked.popleft(), at)
            if line is not None:
                yield line


def _answer_line(scenario: Scenario, request: RetryRequested, at: datetime) -> InputLine | None:
    told = answer(scenario, encode_data(request), at)
    return InputLine(0, at, told.topic, json.dumps(told.body).encode()) if told else None


def _lines(scenario: Scenario) -> Iterator[InputLine]:
    for number, sent in enumerate(scenario.sent, 1):
        if not sent.poison:
            yield InputLine(number, sent.at, sent.topic, sent.value)


def _stages_told(lines: Iterable[OutputLine]) -> Stages:
    moves = (json.loads(line.text) for line in lines)
    return stages_of(line["data"] for line in moves if line["topic"] == STAGE_CHANGED)


def stages_of(moves: Iterable[Data]) -> Stages:
    """From the data of stage changes, in their order."""
    found: dict[tuple[str, str], list[Any]] = defaultdict(list)
    for move in moves:
        found[move["case_id"], move["track"]].append(move["to_stage"])
    return dict(found)
