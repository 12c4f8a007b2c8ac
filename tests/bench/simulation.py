"""`dunning simulate` as a command: case-lifetimes a minute, with one process and with as many as there are cores.

A case-lifetime is a case that opened in the output, simulated until long after its ladder has ended. A rate is printed
only where as many cases opened, and as many recovered, as the input implies, and where both ways wrote the same bytes.
"""

import hashlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from dunning.domain.calendar import rfc3339
from dunning_cli.simulation.workers import cores
from tests.bench.figures import Figure, Part, ratio
from tests.bench.histories import UNTIL, History, nothing_works, realistic, text
from tests.bench.measure import Wrong

POLICY = Path(__file__).parents[2] / "deploy" / "policies" / "standard.yaml"


@dataclass(frozen=True, slots=True)
class Lifetimes:
    """What one run of the command came to."""

    cases: int
    lines: int
    seconds: float
    cpu_seconds: float
    sha256: str

    @property
    def per_minute(self) -> float:
        return self.cases / self.seconds * 60


def measure_simulation(lifetimes: int, runs: int) -> dict[str, list[Lifetimes]]:
    """Interleaved runs by name, of both histories in both ways, the way with one process first. Raises Wrong."""
    results: dict[str, list[Lifetimes]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for history in (realistic(lifetimes), nothing_works(lifetimes)):
            command = _command(history, Path(folder))
            for number in range(runs):
                for processes in dict.fromkeys((1, cores())):
                    name = f"{history.name}, {processes} {'process' if processes == 1 else 'processes'}"
                    measured = _one(history, [*command, "--processes", str(processes)])
                    results.setdefault(name, []).append(measured)
                    print(f"  run {number + 1}  {described(name, [measured])}", flush=True)
            _require_same(history, results)
    return results


def _command(history: History, folder: Path) -> list[str]:
    files = folder / history.name.replace(" ", "-")
    files.mkdir()
    (files / "events.ndjson").write_text(text(history.lines))
    charges = "fail"
    if history.told is not None:
        charges = str(files / "charges.ndjson")
        Path(charges).write_text(text(history.told))
    given = {"policy": str(POLICY), "events": str(files / "events.ndjson"), "until": rfc3339(UNTIL), "charges": charges}
    return [sys.executable, "-m", "dunning_cli", "simulate", *(f"--{name}={value}" for name, value in given.items())]


def _one(history: History, command: Sequence[str]) -> Lifetimes:
    with tempfile.TemporaryFile() as output:
        began = time.monotonic()
        process = subprocess.Popen(command, stdout=output)
        _, status, used = os.wait4(process.pid, 0)  # with the time of those that it started and waited for
        seconds = time.monotonic() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != 0:
            raise Wrong(f"{history.name}: dunning simulate ended with exit code {process.returncode}")
        output.seek(0)
        written = output.read()
    cases, lines = _checked(history, written)
    return Lifetimes(cases, lines, seconds, used.ru_utime + used.ru_stime, hashlib.sha256(written).hexdigest())


def _checked(history: History, written: bytes) -> tuple[int, int]:
    """Cases that opened, and lines. Raises Wrong where the outcome is not what the input implies."""
    rows = [json.loads(row) for row in written.splitlines()]
    changes = [row["data"] for row in rows if row["topic"] == "dunning.stage.changed"]
    opened = {data["case_id"] for data in changes}
    recovered = {data["case_id"] for data in changes if data["track"] == "notice" and data["to_stage"] == "recovered"}
    won = {(told["invoice_id"], told["attempt_number"]) for told in history.told or () if told["answer"] == "succeed"}
    asked = [row["data"] for row in rows if row["topic"] == "dunning.retry.requested"]
    charged = sum((data["invoice_id"], data["attempt_number"]) in won for data in asked)
    if (len(opened), len(recovered)) != (history.cases, history.paid_by_people + charged):
        implied = f"{history.cases} and {history.paid_by_people} + {charged}"
        raise Wrong(f"{history.name}: {len(opened)} cases opened and {len(recovered)} recovered, not {implied}")
    return len(opened), len(rows)


def _require_same(history: History, results: Mapping[str, Sequence[Lifetimes]]) -> None:
    written = {each.sha256 for name, runs in results.items() if name.startswith(history.name) for each in runs}
    if len(written) != 1:
        raise Wrong(f"{history.name}: not every run wrote the same bytes")


def measure_lifetimes(lifetimes: int, runs: int) -> Part:
    """The part of `make bench`: rates and CPU, and what more processes are worth."""
    results = measure_simulation(lifetimes, runs)
    figures = []
    for name, measured in results.items():
        figures.append(Figure(name, "case-lifetimes/min", [each.per_minute for each in measured]))
        cpu = [each.cpu_seconds / each.cases * 1000 for each in measured]
        figures.append(Figure(f"{name}: CPU a lifetime", "ms", cpu))
    for one, many in pairwise(results):
        if one.split(",")[0] == many.split(",")[0]:
            rate_of_one, rate = ([each.per_minute for each in results[name]] for name in (one, many))
            figures.append(ratio(f"{many} to 1 process", rate, rate_of_one))
    return Part(figures, as_json(results))


def described(name: str, measured: Sequence[Lifetimes]) -> str:
    cpu = statistics.median(each.cpu_seconds / each.cases for each in measured)
    lines = measured[0].lines / measured[0].cases
    rate = f"{_rate(measured):>9.0f} case-lifetimes/min"
    return f"{name:<42} {rate}  {cpu * 1000:>5.2f} ms CPU and {lines:.0f} lines each, {measured[0].cases} of them"


def _rate(measured: Sequence[Lifetimes]) -> float:
    return statistics.median(each.per_minute for each in measured)


def as_json(results: Mapping[str, Sequence[Lifetimes]]) -> dict[str, object]:
    return {
        name: [
            {"cases": each.cases, "lines": each.lines, "seconds": each.seconds, "cpu_seconds": each.cpu_seconds}
            for each in measured
        ]
        for name, measured in results.items()
    }
