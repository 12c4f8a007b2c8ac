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
from dunning_cli.simulation.lines import InputLine
from dunning_cli.simulation.processor import Processor
from dunning_cli.simulation.simulate import Simulation, Told
from dunning_cli.simulation.workers import cores, in_processes

LINES_WORTH_A_PROCESS = 250  # they take about half a second; to start a process takes a tenth of that
_COLLECT_AFTER = 100_000  # objects more than before


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
) -> Told:
    """What the services publish. Where nobody says how many `processes`, the length of the input does."""
    heard = [line for line in lines if line.at <= until]
    wanted = processes if processes is not None else min(cores(), len(heard) // LINES_WORTH_A_PROCESS)

    def told(part: Sequence[InputLine]) -> Told:
        return Simulation(policies, processor, test_mode=test_mode, start=start, down=down).run(part, until)

    with _little_to_collect():
        parts = set_apart(heard, wanted) if wanted > 1 else []
        return _joined(in_processes(told, parts)) if len(parts) > 1 else told(heard)


def _joined(parts: Sequence[Told]) -> Told:
    """In the order of one run. What shares a place is of one account, so of one part: sorting leaves it as it is."""
    lines = sorted(chain.from_iterable(part.lines for part in parts), key=attrgetter("place"))
    remarks = sorted(chain.from_iterable(part.remarks for part in parts), key=attrgetter("at", "number"))
    return Told(lines, remarks)


@contextmanager
def _little_to_collect() -> Iterator[None]:
    """While it runs, a simulation drops hardly anything that only the collector of cycles could find, but it keeps a
    lot that this would look through again and again."""
    before = gc.get_threshold()
    gc.freeze()
    gc.set_threshold(_COLLECT_AFTER, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()
