"""How far each service has read: the offsets in its tables against the ends of the logs."""

from collections.abc import Mapping, Sequence
from datetime import timedelta

from dunning.runtime.broker_log import Bounds
from dunning.runtime.postgres.offset_moves import Stored, stored_offsets
from dunning.runtime.settings import Settings
from dunning.runtime.store import TopicPartition
from dunning_cli.asking import Connection, bounds_of
from dunning_cli.health.findings import Finding, ok, problem, warning

LAG = "lag"
_STALE = timedelta(seconds=30)
_NAMED_MAX = 3


async def look_at_lag(connection: Connection, settings: Settings, services: Sequence[str]) -> list[Finding]:
    """One finding per service. Raises Problem where a topic does not exist."""
    findings = []
    for service in services:
        positions = await stored_offsets(connection, service)
        findings.append(judge_lag(service, positions, await bounds_of(settings, service)))
    return findings


def judge_lag(
    service: str, positions: Mapping[TopicPartition, Stored], bounds: Mapping[TopicPartition, Bounds]
) -> Finding:
    """By time: who reads notes again and again until when everything was read. Offsets alone would mislead, since
    markers of transactions lie behind the last record."""
    gone = [tp for tp, at in bounds.items() if _is_gone(positions.get(tp), at)]
    behind = {tp: _behind(positions.get(tp), at) for tp, at in bounds.items() if _age(positions.get(tp)) > _STALE}
    unread = sorted(behind, key=lambda tp: (-behind[tp], tp))
    if gone:
        do = "`dunning offsets show` has the numbers, docs/operations.md#records-are-gone the ways on"
        return problem(LAG, f"{service}: records that it has not read are gone in {_named(gone)}", do)
    if unread:
        waiting = sum(behind.values())
        said = f"{service}: not read to the end for {_STALE.seconds} s: {_named(unread)}; {waiting} records wait there"
        do = f"is {service} running (`dunning up`, `dunning run {service}`)? If so, its /readyz says what is in the way"
        return problem(LAG, said, do) if waiting else warning(LAG, said, do)
    oldest = max((_age(positions.get(tp)) for tp in bounds), default=timedelta())
    return ok(LAG, f"{service}: read its {len(bounds)} partitions to their ends {oldest.total_seconds():.1f} s ago")


def _behind(position: Stored | None, bounds: Bounds) -> int:
    read_until = position.next_offset if position is not None and position.next_offset is not None else bounds.begin
    return max(0, bounds.end - max(read_until, bounds.begin))


def _is_gone(position: Stored | None, bounds: Bounds) -> bool:
    if position is None or position.next_offset is None:
        return False
    return not bounds.begin <= position.next_offset <= bounds.end


def _age(position: Stored | None) -> timedelta:
    """How long ago everything was read; for ever where nobody did since the partition was taken over."""
    if position is None or position.read_through is None:
        return timedelta.max
    return max(position.now - position.read_through, timedelta())


def _named(partitions: Sequence[TopicPartition]) -> str:
    named = ", ".join(f"{each.topic}[{each.partition}]" for each in partitions[:_NAMED_MAX])
    return named if len(partitions) <= _NAMED_MAX else f"{named} and {len(partitions) - _NAMED_MAX} more"
