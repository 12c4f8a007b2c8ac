"""What the last Kafka transaction of an outbox shard held: a few bytes that are committed together with it.

A relay that dies between Kafka's commit and the database's leaves rows in the outbox that were published already. Its
successor must know them, or it publishes them twice. Row numbers are not committed in order, so the highest one says
nothing; the exact set does. It travels as the metadata of a consumer offset, which Kafka commits in the same
transaction as the records.

A database that was restored gives the same numbers to other rows. These were recorded after the restore, hence later
than what was published before it; so the note also says until when its rows were recorded.
"""

import zlib
from base64 import b85decode, b85encode
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

NOTE_LENGTH_MAX = 4000  # the broker's offset.metadata.max.bytes is 4096 unless somebody lowered it
_VERSION = "2:"
_WITHOUT_TIME = "1:"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Note:
    """Which rows were published last, and until when these were recorded; None in a note of the former version."""

    ids: frozenset[int] = frozenset()
    recorded_until: datetime | None = None


def note_of(ids: Collection[int], recorded_until: datetime) -> str:
    """Microseconds, then row ids as the distances between them, packed."""
    return f"{_VERSION}{(recorded_until - _EPOCH) // _MICROSECOND:x}:{_packed(ids)}"


def read_note(note: str) -> Note:
    """What a note says. Raises ValueError when it is none of ours."""
    if note.startswith(_WITHOUT_TIME):
        return Note(_unpacked(note.removeprefix(_WITHOUT_TIME)))
    version, _, rest = note.partition(":")
    micros, colon, packed = rest.partition(":")
    if f"{version}:" != _VERSION or not colon:
        raise ValueError("not a note of an outbox relay")
    return Note(_unpacked(packed), _EPOCH + int(micros, 16) * _MICROSECOND)


def _packed(ids: Collection[int]) -> str:
    packed = bytearray()
    before = 0
    for row_id in sorted(ids):
        distance, before = row_id - before, row_id
        while distance >= 0x80:
            packed.append(distance & 0x7F | 0x80)
            distance >>= 7
        packed.append(distance)
    return b85encode(zlib.compress(bytes(packed))).decode()


def _unpacked(text: str) -> frozenset[int]:
    try:
        packed = zlib.decompress(b85decode(text))
    except zlib.error as error:
        raise ValueError("a broken note of an outbox relay") from error
    ids, row_id, distance, shift = set(), 0, 0, 0
    for byte in packed:
        distance |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            row_id += distance
            ids.add(row_id)
            distance, shift = 0, 0
    return frozenset(ids)
