"""Records whose header names are no UTF-8: clients in other languages can write them, and aiokafka stops at one.

A header's name decides nothing that a question mark could change, so the odd bytes become question marks and the record
is read like any other (promise 9). Only a batch that aiokafka's parser refused is looked at byte by byte; all others
cost one call more.
"""

from collections.abc import Iterator
from itertools import islice
from typing import Any

from aiokafka.consumer import fetcher
from aiokafka.record.default_records import _DefaultRecordBatchPy
from aiokafka.record.memory_records import MemoryRecords
from aiokafka.record.util import decode_varint

_LENGTH_AT = 8  # behind the base offset; of what follows it, in four bytes
_BEHIND_LENGTH = 12


def read_any_header_name() -> None:
    """Let all consumers of this process read what is described above. Safe to call again."""
    fetcher.MemoryRecords = Records


class Records:
    """What a fetch brought for one partition, batch by batch: what aiokafka's fetcher asks of it."""

    def __init__(self, data: bytes) -> None:
        self._records = MemoryRecords(data)
        self._data = memoryview(data)
        self._at = 0

    def size_in_bytes(self) -> int:
        """Of all batches together."""
        size: int = self._records.size_in_bytes()
        return size

    def has_next(self) -> bool:
        """Whether a whole batch is left."""
        return bool(self._records.has_next())

    def next_batch(self) -> "Batch":
        """The next one; to be called only when there is one."""
        begin = self._at
        length = int.from_bytes(self._data[begin + _LENGTH_AT : begin + _BEHIND_LENGTH], "big")
        self._at = begin + _BEHIND_LENGTH + length
        return Batch(self._records.next_batch(), self._data[begin : self._at])


class Batch:
    """A batch that can be read to its end whatever its headers are called. All else is aiokafka's."""

    __slots__ = ("_batch", "_data")

    def __init__(self, batch: Any, data: memoryview) -> None:
        self._batch = batch
        self._data = data

    def __getattr__(self, name: str) -> Any:
        return getattr(self._batch, name)

    def __next__(self) -> Any:
        return next(self._batch)

    def __iter__(self) -> Iterator[Any]:
        read = 0
        try:
            for record in self._batch:
                yield record
                read += 1
        except UnicodeDecodeError:
            yield from islice(_mended(self._data), read, None)


def _mended(data: memoryview) -> Any:
    """The batch with question marks for what is no text in the names of headers."""
    batch = _DefaultRecordBatchPy(data)
    batch._maybe_uncompress()
    buffer, at = batch._buffer, batch._pos
    for _ in range(batch._num_records):
        length, at = decode_varint(buffer, at)
        _mend_names(buffer, at)
        at += length
    return batch


def _mend_names(buffer: bytearray, at: int) -> None:
    """One record: attributes, time, offset, key, value, then the headers."""
    for _ in range(3):
        _, at = decode_varint(buffer, at)
    for _ in range(2):
        at = _behind_bytes(buffer, at)
    headers, at = decode_varint(buffer, at)
    for _ in range(headers):
        length, name_at = decode_varint(buffer, at)
        name = bytes(buffer[name_at : name_at + length])
        buffer[name_at : name_at + length] = _as_text(name)
        at = _behind_bytes(buffer, name_at + length)


def _behind_bytes(buffer: bytearray, at: int) -> int:
    length, begin = decode_varint(buffer, at)
    return int(begin) + max(0, int(length))  # -1 stands for null


def _as_text(name: bytes) -> bytes:
    """Itself where it is text. The length stays, for it stands before the name."""
    try:
        name.decode()
    except UnicodeDecodeError:
        return bytes(byte if byte < 0x80 else ord("?") for byte in name)
    return name
