"""One run of the simulator over input lines: same input, same bytes out."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from dunning.contracts.decoded import PassedOver, Sighting, Unreadable
from dunning.contracts.fields import OTHER
from dunning.contracts.sightings import sighting_of
from dunning.domain.events import Input, Signal
from dunning.domain.livemode import acts_here
from dunning.domain.policy import Policies
from dunning.domain.track import BEFORE_EVERYTHING
from dunning_cli.simulation.lines import InputLine, OutputLine, line_of
from dunning_cli.simulation.processor import Answer, Noted, Processor
from dunning_cli.simulation.world import World


class Remark(NamedTuple):
    """What is to be said of an input line: that it is a dead letter or was passed over, and why."""

    at: datetime
    number: int  # of the line
    what: str


@dataclass(slots=True)
class Transcript:
    """What came out: the output lines in their order, and the remarks in that of reading."""

    lines: list[OutputLine] = field(default_factory=list)
    remarks: list[Remark] = field(default_factory=list)


class Simulation:
    """A world that is fed from lines, with an inbox of its own (rule 1)."""

    def __init__(
        self,
        policies: Policies,
        processor: Processor,
        *,
        test_mode: bool = False,
        start: datetime = BEFORE_EVERYTHING,
        down: frozenset[str] = frozenset(),
    ) -> None:
        """In test mode `livemode: false` acts (rule 4); `start` and `down` are those of the world."""
        self._seen: dict[int, int] = {}
        self._world = World(policies, Noted(processor, self._note), start, down)
        self._test_mode = test_mode
        self._told = Transcript()

    def run(self, lines: Iterable[InputLine], until: datetime) -> Transcript:
        """Read the lines at their times, in the order given, and let the clock run to `until` inclusive."""
        for line in lines:
            if line.at > until:
                break
            self._world.run_timers(line.at, inclusive=False)
            self._read(line)
            self._write_down()
        self._world.run_timers(until, inclusive=True)
        self._write_down()
        self._told.lines.sort()
        return self._told

    def _write_down(self) -> None:
        """At once and not at the end: a line takes less room than what it tells of."""
        self._told.lines += map(line_of, self._world.take_published())

    def _read(self, line: InputLine) -> None:
        decoded = line.decoded
        match decoded:
            case Unreadable():
                self._set_aside(line, f"dead letter: {decoded.reason}: {decoded.detail}")
            case PassedOver():
                self._set_aside(line, f"passed over: {decoded.reason}")
            case _:
                if not acts_here(decoded.input, test_mode=self._test_mode):
                    self._set_aside(line, "passed over: livemode is false, and this is no test mode")
                elif self._is_new(line, decoded.sightings):
                    self._apply(line, decoded.input, decoded.sightings)

    def _is_new(self, line: InputLine, sightings: tuple[Sighting, ...]) -> bool:
        known = [self._seen.get(sighting.key) for sighting in sightings]
        for sighting, content in zip(sightings, known, strict=True):
            if content is not None and content != sighting.content:
                self._set_aside(line, "dead letter: conflicting_duplicate: the first one stands")
                return False
        for sighting in sightings:
            self._seen.setdefault(sighting.key, sighting.content)
        return all(content is None for content in known)

    def _note(self, answer: Answer) -> None:
        """What the simulated processor says is an event too: a line that says the same is a duplicate (rule 1)."""
        sighting = sighting_of(answer)
        self._seen.setdefault(sighting.key, sighting.content)

    def _apply(self, line: InputLine, event: Input, sightings: tuple[Sighting, ...]) -> None:
        if isinstance(event, Signal) and event.kind == OTHER:  # it may be a slip: say so, as nothing will come of it
            self._set_aside(line, "passed over: a kind of signal, or a channel, that this version does not know")
        refused = self._world.read(event, line.at)
        if len(refused) == len(self._world.running):  # it had no effect anywhere: sent again, it may
            for sighting in sightings:
                self._seen.pop(sighting.key, None)
        for reason in sorted(set(refused.values())):
            services = ", ".join(name for name, given in refused.items() if given == reason)
            self._set_aside(line, f"dead letter: {reason} ({services})")

    def _set_aside(self, line: InputLine, what: str) -> None:
        self._told.remarks.append(Remark(line.at, line.number, what))
