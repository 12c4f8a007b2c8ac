"""Promise 3: per account, what a service publishes is in order, without gaps, and nothing follows a newer word.

A record may come again after a relay died between publishing and marking; then all that followed it comes again too, up
to the newest. A lone old record is the late word of a stale instance.
"""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, pairwise

from dunning_verifier.history import History, once
from dunning_verifier.values import (
    ACCOUNT_STATUS,
    INITIAL_STAGE,
    SEVERITY,
    Output,
    Request,
    Result,
    Status,
    Transition,
    Violation,
)

PROMISE = 3
_REPORTED = frozenset({"delivered", "bounced"})


@dataclass(slots=True)
class _Stream:
    """What one `sequence` counts: a track of a case, a case's requests or results, an account's statuses."""

    name: str
    account_id: str
    case_id: str | None
    outputs: list[Output]

    def violation(self, what: str, output: Output) -> Violation:
        return Violation(PROMISE, f"{self.name}: {what}", output.where, self.account_id, self.case_id)


def check(history: History) -> Iterator[Violation]:
    """Sequences, partitions, keys and the chains of stages and statuses."""
    for stream in _streams(history):
        yield from _keyed(stream)
        yield from _in_one_partition(stream)
        compacted = history.statuses_compacted and stream.outputs[0].where.topic == ACCOUNT_STATUS
        yield from _in_sequence(stream, compacted=compacted)
        yield from _chained(stream)
        yield from _back_to_active_only(stream)
        yield from _forward_in_time(stream, history)


def _streams(history: History) -> Iterator[_Stream]:
    found: dict[tuple[str, ...], _Stream] = {}
    for output in chain[Output](history.transitions, history.requests, history.results, history.statuses):
        name, case_id = _counted_by(output)
        key = (name, case_id or output.account_id)
        if key not in found:
            found[key] = _Stream(name, output.account_id, case_id, [])
        found[key].outputs.append(output)
    yield from found.values()


def _counted_by(output: Output) -> tuple[str, str | None]:
    match output:
        case Transition():
            return f"{output.track} track", output.case_id
        case Request():
            return "charge requests", output.case_id
        case Result():
            return "notice results", output.case_ids[0]
        case _:
            return "account status", None


def _keyed(stream: _Stream) -> Iterator[Violation]:
    for output in stream.outputs:
        if output.key != output.account_id:
            yield stream.violation(f"the record's key is {output.key!r}, not the account", output)


def _in_one_partition(stream: _Stream) -> Iterator[Violation]:
    """Order exists within a partition only. After partitions were added, an account may move to another one, once."""
    parts: dict[int, list[Output]] = defaultdict(list)
    for output in stream.outputs:
        parts[output.where.partition].append(output)
    if len(parts) == 1:
        return
    by_time = sorted(parts.values(), key=lambda part: part[0].logged_at)
    stream.outputs = list(chain.from_iterable(by_time))
    for earlier, later in pairwise(by_time):
        if later[0].logged_at < earlier[-1].logged_at:
            yield stream.violation(f"scattered over partitions, also {earlier[-1].where}", later[0])


def _in_sequence(stream: _Stream, *, compacted: bool) -> Iterator[Violation]:
    position = newest = 0  # of the last record, and of the newest so far
    seen: dict[int, Output] = {}
    for output in stream.outputs:
        number = output.sequence
        if number is None or number < 1:
            yield stream.violation(f"sequence is {number}", output)
            continue
        if number in seen:
            if number > position + 1:
                yield stream.violation(f"an old word came late: {position} stands between newer ones", output)
        elif number != newest + 1 and not (compacted and number > newest):
            yield stream.violation(f"sequence {number} follows {newest}", output)
        elif position != newest and position + 1 != number:
            yield stream.violation(f"an old word came late: {position} after {newest}", output)
        seen.setdefault(number, output)
        position, newest = number, max(newest, number)
    if position != newest:
        what = f"an old word came last: {position}, though {newest} was published before"
        yield stream.violation(what, stream.outputs[-1])


def _chained(stream: _Stream) -> Iterator[Violation]:
    """Every transition starts where the former one ended; the same for statuses."""
    ordered = sorted(once(stream.outputs), key=lambda output: output.sequence or 0)
    before: tuple[int, str] | None = None
    for output in ordered:
        if isinstance(output, Transition):
            start, end, initial = output.from_stage, output.to_stage, INITIAL_STAGE.get(output.track, "none")
        elif isinstance(output, Status):
            start, end, initial = output.previous_status, output.status, "active"
        else:
            return
        expected = before[1] if before else initial
        number = output.sequence or 0
        if start != expected and number == (before[0] + 1 if before else 1):
            yield stream.violation(f"from {start}, but it stood at {expected}", output)
        before = (number, end)


def _back_to_active_only(stream: _Stream) -> Iterator[Violation]:
    """Rungs stand in order, and only what ends or undoes a case makes its account better: then it is active."""
    for move in once(stream.outputs):
        if not isinstance(move, Transition) or move.track != "account" or move.to_stage == "active":
            continue
        if SEVERITY.get(move.to_stage, 0) < SEVERITY.get(move.from_stage, 0):
            yield stream.violation(f"from {move.from_stage} back to {move.to_stage}", move)


def _forward_in_time(stream: _Stream, history: History) -> Iterator[Violation]:
    """The database's clock runs forward; two turns that wait for one account's lock may swap by a little.

    Receipts and bounces are dated by whoever reports them, and may be reported late.
    """
    before: Output | None = None
    for output in once(stream.outputs):
        if isinstance(output, Result) and output.outcome in _REPORTED:
            continue
        if output.happened_at > output.logged_at + history.tolerance.lag:
            published_at, at = output.logged_at.isoformat(), output.happened_at.isoformat()
            what = f"published at {published_at}, before it took effect at {at}"
            yield stream.violation(what, output)
        if before and output.happened_at < before.happened_at - history.tolerance.lag:
            what = f"took effect at {output.happened_at.isoformat()}, before the one that came first"
            yield stream.violation(what, output)
        before = output
