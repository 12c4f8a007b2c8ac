"""One run of the simulator over an events file: same input, same bytes out."""

from collections.abc import Callable
from datetime import datetime

from dunning.contracts.decode import decode
from dunning.contracts.decoded import PassedOver, Sighting, Unreadable
from dunning.domain.events import Input
from dunning.domain.livemode import acts_here
from dunning.domain.policy import Policies
from dunning_cli.simulation.lines import InputLine, in_order, line_of
from dunning_cli.simulation.processor import Processor
from dunning_cli.simulation.world import World

SERVICES = 3
Warn = Callable[[int, str], None]


class Simulation:
    """A world that is fed from lines, with an inbox of its own (rule 1)."""

    def __init__(self, policies: Policies, processor: Processor, set_aside: Warn, *, test_mode: bool = False) -> None:
        """`set_aside` hears of every dead letter: the line's number and the reason. In test mode `livemode: false`
        acts (rule 4)."""
        self._world = World(policies, processor)
        self._set_aside = set_aside
        self._test_mode = test_mode
        self._seen: dict[int, int] = {}

    def run(self, lines: list[InputLine], until: datetime) -> list[bytes]:
        """Read the lines at their times, let the clock run to `until` inclusive; returns the output lines in order."""
        for line in lines:
            if line.at > until:
                break
            self._world.run_timers(line.at, inclusive=False)
            self._read(line)
        self._world.run_timers(until, inclusive=True)
        return [line_of(published) for published in in_order(self._world.take_published())]

    def _read(self, line: InputLine) -> None:
        decoded = decode(line.topic, None, line.value, (), now=line.at)
        match decoded:
            case Unreadable():
                self._set_aside(line.number, f"dead letter: {decoded.reason}: {decoded.detail}")
            case PassedOver():
                self._set_aside(line.number, f"passed over: {decoded.reason}")
            case _:
                if not acts_here(decoded.input, test_mode=self._test_mode):
                    self._set_aside(line.number, "passed over: livemode is false, and this is no test mode")
                elif self._is_new(line, decoded.sightings):
                    self._apply(line, decoded.input, decoded.sightings)

    def _is_new(self, line: InputLine, sightings: tuple[Sighting, ...]) -> bool:
        known = [self._seen.get(sighting.key) for sighting in sightings]
        for sighting, content in zip(sightings, known, strict=True):
            if content is not None and content != sighting.content:
                self._set_aside(line.number, "dead letter: conflicting_duplicate: the first one stands")
                return False
        for sighting in sightings:
            self._seen.setdefault(sighting.key, sighting.content)
        return all(content is None for content in known)

    def _apply(self, line: InputLine, event: Input, sightings: tuple[Sighting, ...]) -> None:
        refused = self._world.read(event, line.at)
        if len(refused) == SERVICES:  # it had no effect anywhere: sent again, it may
            for sighting in sightings:
                self._seen.pop(sighting.key, None)
        for reason in sorted(set(refused.values())):
            services = ", ".join(name for name, given in refused.items() if given == reason)
            self._set_aside(line.number, f"dead letter: {reason} ({services})")
