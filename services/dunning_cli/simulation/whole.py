"""All lines through the simulator, on as many cores as are worth it: the same bytes on one as on many."""

import gc
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from itertools import chain
from operator import attrgetter

from dunning.domain.policy import Policies
from dunning.domain.track import BEFORE_EVERYTHING
from dunning_cli.simulation.apart import set_apart
from dunning_cli.simulation.lines import InputLine, OutputLine
from dunning_cli.simulation.processor import Processor
from dunning_cli.simulation.simulate import Remark, Simulation, Transcript
from dunning_cli.simulation.workers import cores, in_processes

LINES_WORTH_A_PROCESS = 250  # they take about half a second; to start a process takes a tenth of that


def simulate(
    lines: Sequence[InputLine],
    until: datetime,
    policies: Policies,
    processor: Processor,
    *,
    test_mode: bool = False,
    start: datetime = BEFORE_EVERYTHING,
    down: frozenset[str] = frozenset(),
    processes: int | None = None,
) -> Transcript:
    """What the services publish. Where nobody says how many `processes`, the length of the input does."""
    heard = [line for line in lines if line.at <= until]
    wanted = processes if processes is not None else min(cores(), len(heard) // LINES_WORTH_A_PROCESS)

    def told(part: Sequence[InputLine]) -> Transcript:
        return Simulation(policies, processor, test_mode=test_mode, start=start, down=down).run(part, until)

    with _nothing_to_collect():
        parts = set_apart(heard, wanted) if wanted > 1 else []
        return _joined(in_processes(lambda part: _packed(told(part)), parts)) if len(parts) > 1 else told(heard)


_Packed = tuple[list[str], list[bytes], list[Remark]]


def _packed(told: Transcript) -> _Packed:
    """For the way from one process to another: a list of texts takes a fraction of the time of one of output lines."""
    return [line.place for line in told.lines], [line.text for line in told.lines], told.remarks


def _joined(parts: Sequence[_Packed]) -> Transcript:
    """In the order of one run. What shares a place is of one account, so of one part: sorting leaves it as it is."""
    lines = chain.from_iterable(map(OutputLine, places, texts) for places, texts, _ in parts)
    remarks = chain.from_iterable(remarks for _, _, remarks in parts)
    return Transcript(sorted(lines, key=attrgetter("place")), sorted(remarks, key=attrgetter("at", "number")))


@contextmanager
def _nothing_to_collect() -> Iterator[None]:
    """A simulation drops nothing that only the collector of cycles could find, but it keeps a lot that this would look
    through again and again."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
