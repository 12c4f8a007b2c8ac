"""What must be true at the end of a run: the verifier's checks, and a few that only somebody inside can make.

The reference is `dunning simulate`, whose own reference is the second model of the rules (docs/random-histories.md):
where nothing was away for long and no mail's fate is unknown, every case must have gone through the same stages.
"""

import json
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime

from dunning.contracts.topics import NOTICE_RESULT, STAGE_CHANGED, TOPICS, outputs_of_services
from dunning.domain.words import Track as TrackName
from dunning.runtime.store import TopicPartition
from dunning_verifier import verify
from dunning_verifier.history import History
from dunning_verifier.policy_file import Policies
from dunning_verifier.values import Record, Where
from tests.platform.reference import Reference, stages_at_once, stages_of
from tests.platform.scenario import PARTITIONS
from tests.platform.world import World

# Who reads of an answer to the charge before the failure that led to it opens no case (rule 7).
_PAID_AT_ONCE = ["recovered"]


def judge(world: World) -> list[str]:
    """Everything that is wrong, in words."""
    found = list(world.seen)
    for database in world.databases.values():
        found += database.seen
    if found:
        return found
    records = _records(world)
    found += [str(violation) for violation in verify(_history(world, records))]
    found += _published_once(records)
    found += _set_aside_once(world, records)
    if not world.has_slept and not _has_unknown_notice(records):
        found += _as_the_reference_says(world, records)
    return found


def _records(world: World) -> list[Record]:
    return [
        Record(
            where=Where(at.topic, at.partition, entry.offset),
            logged_at=datetime.fromtimestamp(entry.timestamp_ms / 1000, UTC),
            key=entry.key.decode() if entry.key is not None else None,
            value=entry.value,
            headers=tuple(entry.headers),
        )
        for name in TOPICS
        for at in (TopicPartition(name, number) for number in range(PARTITIONS))
        for entry in world.log.records(at)
    ]


def _history(world: World, records: list[Record]) -> History:
    return History.of(
        records,
        mails=world.mails,
        charges=world.charges,
        policies=Policies.of([world.scenario.document]),
        poison={Where(*place): why for place, why in world.poison.items()},
        settled=True,
        ends_at=world.clocks.now(),  # timestamps of the log are cut to milliseconds
    )


def _published_once(records: list[Record]) -> Iterator[str]:
    """The relay promises more than readers need: no event twice."""
    times = Counter(
        (record.where.topic, record.header("ce_id"))
        for record in records
        if record.where.topic in outputs_of_services()
    )
    for (topic, event_id), count in times.items():
        if count > 1:
            yield f"{topic}: event {event_id} was published {count} times"


def _set_aside_once(world: World, records: list[Record]) -> Iterator[str]:
    times: Counter[tuple[str, ...]] = Counter()
    for record in records:
        if record.where.topic.endswith(".dlq"):
            origin = tuple(record.header(f"dlq-{name}") or "" for name in ("topic", "partition", "offset"))
            times[(record.where.topic, *origin)] += 1
    for place, count in times.items():
        if count > 1:
            yield f"{' '.join(place)} was set aside {count} times"


def _has_unknown_notice(records: list[Record]) -> bool:
    return any(
        record.where.topic == NOTICE_RESULT and json.loads(record.value or b"{}")["outcome"] == "unknown"
        for record in records
    )


def _as_the_reference_says(world: World, records: list[Record]) -> Iterator[str]:
    expected = Reference(world.scenario).stages()
    real = stages_of(json.loads(record.value or b"") for record in records if record.where.topic == STAGE_CHANGED)
    wrong = [key for key in sorted(expected.keys() | real.keys()) if expected.get(key) != real.get(key)]
    if not wrong:
        return
    last_first = Reference(world.scenario, last_first=True).stages()
    at_once = stages_at_once(world.scenario)
    for key in wrong:
        case, track = key
        went, should = real.get(key), expected.get(key)
        allowed = went == last_first.get(key)
        if track != TrackName.RETRY:
            allowed |= went == at_once.get(key) or (went is None and _PAID_AT_ONCE in (should, at_once.get(key)))
        if not allowed:
            yield f"{track} of case {case} went {went}, the reference {should}"
