"""What the last Kafka transaction of an outbox shard held: a few bytes that are committed together with it.

A relay that dies between Kafka's commit and the database's leaves rows in the outbox that were published already. Its
successor must know them, or it publishes them twice. Row numbers are not committed in order, so the highest one says
nothing; the exact set does. It travels as the metadata of a consumer offset, which Kafka commits in the same
transaction as the records.
"""

import zlib
from base64 import b85decode, b85encode
from collections.abc import Collection

NOTE_LENGTH_MAX = 4000  # the broker's offset.metadata.max.bytes is 4096 unless somebody lowered it
_VERSION = "1:"


def note_of(ids: Collection[int]) -> str:
    """Row ids as text: the distances between them, packed."""
    packed = bytearray()
    before = 0
    for row_id in sorted(ids):
        distance, before = row_id - before, row_id
        while distance >= 0x80:
            packed.append(distance & 0x7F | 0x80)
            distance >>= 7
        packed.append(distance)
    return _VERSION + b85encode(zlib.compress(bytes(packed))).decode()


def ids_of(note: str) -> frozenset[int]:
    """The row ids of a note. Raises ValueError when it is none of ours."""
    if not note.startswith(_VERSION):
        raise ValueError("not a note of an outbox relay")
    try:
        packed = zlib.decompress(b85decode(note.removeprefix(_VERSION)))
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
