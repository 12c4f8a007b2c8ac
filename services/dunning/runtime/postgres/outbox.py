"""Events on their way to Kafka, and their place in the journal afterwards."""

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import Any

import msgspec

from dunning.runtime.postgres.connections import Connection
from dunning.runtime.postgres.queries import QUERIES
from dunning.runtime.sharding import shard_of
from dunning.runtime.store import OutboxRow, PendingRow, TopicKey

_LETTERS_MAX = 8
_COLUMNS = ("shard", "topic", "key", "headers", "value", "case_id", "account_id", "recorded_at")

encode_headers = msgspec.msgpack.Encoder().encode
"""Header values may be any bytes, which JSON could not hold as they are."""
decode_headers = msgspec.msgpack.Decoder(tuple[tuple[str, bytes], ...]).decode


async def publish(connection: Connection, rows: Sequence[OutboxRow], shards: int, recorded_at: datetime) -> None:
    """COPY keeps the order: the identity numbers the rows as they come."""
    records = [
        (
            shard_of(row.key, shards),
            row.topic,
            row.key,
            encode_headers(row.headers),
            row.value,
            row.case_id,
            row.account_id,
            recorded_at,
        )
        for row in rows
    ]
    await connection.copy_records_to_table("outbox", records=records, columns=_COLUMNS)


async def pending(
    connection: Connection, shard: int, limit: int, bytes_max: int, but_not: Collection[TopicKey]
) -> list[PendingRow]:
    passed_over = [f"{topic} {key}" for topic, key in but_not]
    return _pending_rows(await connection.fetch(QUERIES["pending"], shard, limit, bytes_max, passed_over))


async def pending_letters(
    connection: Connection, shard: int, limit: int, but_not: Collection[TopicKey]
) -> list[PendingRow]:
    """What may leave while the service does not act (rule 42). Few at a time: each may weigh a megabyte."""
    passed_over = [f"{topic} {key}" for topic, key in but_not]
    few = min(limit, _LETTERS_MAX)
    return _pending_rows(await connection.fetch(QUERIES["pending_letters"], shard, passed_over, few))


async def shards_pending(connection: Connection, shards: Collection[int]) -> set[int]:
    return {shard for (shard,) in await connection.fetch(QUERIES["shards_pending"], shards)}


async def holds(connection: Connection, rows: int) -> bool:
    return bool(await connection.fetchval(QUERIES["outbox_holds"], rows))


def _pending_rows(rows: Iterable[Any]) -> list[PendingRow]:
    return [
        PendingRow(row_id, OutboxRow(topic, key, value, decode_headers(headers), case_id, account_id), recorded_at)
        for row_id, topic, key, headers, value, case_id, account_id, recorded_at in rows
    ]


async def finish(
    connection: Connection,
    shard: int,
    row_ids: Collection[int],
    recorded_until: datetime | None,
    published_at: datetime | None,
) -> None:
    await connection.execute(QUERIES["finish"], shard, sorted(row_ids), published_at, recorded_until)
