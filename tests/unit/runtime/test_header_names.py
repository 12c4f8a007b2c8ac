"""A header's name may be any bytes: clients in other languages write them, and no record may be lost for it."""

import pytest
from aiokafka.record.default_records import _DefaultRecordBatchBuilderPy

from dunning.runtime.header_names import Records


class Raw(str):
    """A text whose bytes on the wire are others."""

    raw: bytes

    def encode(self, encoding: str = "utf-8", errors: str = "strict") -> bytes:
        return self.raw


def raw(name: bytes) -> Raw:
    text = Raw("raw")
    text.raw = name
    return text


def a_batch(*names: bytes, compression: int = 0) -> bytes:
    """A record for each header name, as a producer builds it."""
    builder = _DefaultRecordBatchBuilderPy(2, compression, 0, -1, -1, -1, 1_000_000)
    for number, name in enumerate(names):
        value = None if number == 1 else f"value {number}".encode()
        builder.append(number, 1_700_000_000_000, f"key {number}".encode(), value, [(raw(name), b"v"), ("after", None)])
    return bytes(builder.build())


@pytest.mark.parametrize("compression", [0, 1])
def test_records_around_a_name_that_is_no_text_are_read_whole(compression: int) -> None:
    records = Records(a_batch(b"ce_id", b"\xff\xfeid", "tränen".encode(), compression=compression))

    found = [(each.offset, each.key, each.value, each.headers) for each in records.next_batch()]

    assert found == [
        (0, b"key 0", b"value 0", [("ce_id", b"v"), ("after", None)]),
        (1, b"key 1", None, [("??id", b"v"), ("after", None)]),
        (2, b"key 2", b"value 2", [("tränen", b"v"), ("after", None)]),
    ]


def test_batch_follows_batch() -> None:
    records = Records(a_batch(b"\xff") + a_batch(b"plain"))
    names = []
    while records.has_next():
        batch = records.next_batch()
        assert batch.validate_crc()
        names += [each.headers[0][0] for each in batch]

    assert names == ["?", "plain"]
