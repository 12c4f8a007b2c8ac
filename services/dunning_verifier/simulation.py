"""Reads what went into `dunning simulate` and what came out, so that simulations are judged like the real thing.

The simulated processor's answers are in neither file. They are inferred from what the scheduler made of them: a request
that moved on at the very instant it was made was answered then.
"""

import json
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Mapping
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

from dunning_verifier.clock import instant
from dunning_verifier.history import History
from dunning_verifier.policy_file import Policies
from dunning_verifier.records import record_of
from dunning_verifier.values import FAILED, RETRY_REQUESTED, STAGE_CHANGED, SUCCEEDED, Tolerance

EXACT = Tolerance(skew=timedelta(0), lag=timedelta(0))
_FAILED_ANSWERS = {"scheduled", "exhausted", "waiting_for_customer"}
Line = Mapping[str, Any]


class BadLines(Exception):
    """A file that is not NDJSON of events."""


def read_simulation(inputs: Path, outputs: Path, policies: Policies) -> History:
    """The history of a simulation from its two files. Raises BadLines."""
    return simulated(_lines(inputs), _lines(outputs), policies)


def simulated(inputs: Iterable[Line], outputs: Iterable[Line], policies: Policies) -> History:
    """The history of a simulation. Offsets are line numbers; answers that were inferred count on behind the inputs."""
    given, made = list(inputs), list(outputs)
    records = [record_of(line, number) for number, line in enumerate(given, 1)]
    records += [record_of(line, number) for number, line in enumerate(_answers(given, made), len(given) + 1)]
    records += [record_of(line, number) for number, line in enumerate(made, 1)]
    return History.of(records, policies=policies, tolerance=EXACT, settled=True, simulated=True)


def _answers(given: list[Line], made: list[Line]) -> Iterator[Line]:
    told = {line["data"].get("retry_id") for line in given if isinstance(line.get("data"), dict)}
    asked: dict[tuple[str, str], deque[Line]] = defaultdict(deque)
    moves: dict[str, list[Line]] = defaultdict(list)
    for line in made:
        if line["topic"] == RETRY_REQUESTED and line["data"]["retry_id"] not in told:
            asked[line["data"]["case_id"], line["at"]].append(line["data"])
        elif line["topic"] == STAGE_CHANGED and line["data"]["track"] == "retry":
            moves[line["data"]["case_id"]].append(line)
    for case_id, track in moves.items():
        for entered, left in pairwise(sorted(track, key=lambda move: int(move["sequence"]))):
            requests = asked.get((case_id, entered["at"]))
            if requests and entered["data"]["to_stage"] == "requested" and left["at"] == entered["at"]:
                yield from _answer(left, requests.popleft())


def _answer(left: Line, request: Line) -> Iterator[Line]:
    """What the processor must have said for the case to go on so."""
    said = {name: request[name] for name in ("account_id", "payment_id", "amount_minor", "currency", "retry_id")}
    said["attempt_number"] = request["attempt_number"]
    invoice = {"id": request["invoice_id"]}
    if left["data"]["to_stage"] in _FAILED_ANSWERS:
        invoice["amount_due_minor"] = request["amount_minor"]
        failure = {"failed_at": left["at"], "failure": {"code": "simulated_answer"}}
        yield {"at": left["at"], "topic": FAILED, "data": {**said, **failure, "invoice": invoice}}
    elif (left["data"]["to_stage"], left["data"]["reason"]) == ("recovered", "paid"):
        invoice["amount_remaining_minor"] = 0
        yield {
            "at": left["at"],
            "topic": SUCCEEDED,
            "data": {**said, "succeeded_at": left["at"], "invoice": invoice},
        }


def _lines(path: Path) -> Iterator[Line]:
    try:
        with path.open(encoding="utf-8") as file:
            for number, text in enumerate(file, 1):
                if text.strip():
                    yield _event(f"{path}:{number}", text)
    except (OSError, UnicodeDecodeError) as error:
        raise BadLines(f"{path}: {error}") from None


def _event(place: str, text: str) -> Line:
    try:
        line = json.loads(text)
        instant(line["at"])
        if isinstance(line["topic"], str) and isinstance(line["data"], dict):
            return dict(line)
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
        raise BadLines(f"{place}: not an event: {error!r}") from None
    raise BadLines(f"{place}: not an event: it needs at, topic and data")
