"""The schema in which a shadow of the service observes (rule 42): it begins where the service itself stands."""

from collections.abc import Mapping

from dunning.runtime.mode import Mode
from dunning.runtime.postgres.connections import Connection
from dunning.runtime.store import TopicPartition

NOT_COPIED = frozenset(
    {
        "migrations", "facts", "policies",  # of the schema itself, or the same for both
        "present_mode", "mode_switches", "offset_moves", "brake", "brake_record", "restrictions", "restriction_days",
        "dead_letter_orders",
        "outbox", "journal",  # what the service said; the shadow's own journal is what was observed
        "offsets", "errands",  # copied in their own way
    }
)  # fmt: skip
_TABLES = "select tablename from pg_tables where schemaname = $1 order by tablename"
_COLUMNS = """
select string_agg(quote_ident(attname), ', ' order by attnum) from pg_attribute
where attrelid = $1::text::regclass and attnum > 0 and not attisdropped and attgenerated = ''
"""
_OFFSETS = """
insert into {shadow}.offsets (topic, partition, epoch, next_offset)
select topic, partition, greatest(epoch, $1::bigint) + 1, next_offset from {service}.offsets
"""
_PEERS = """
insert into {shadow}.offsets (topic, partition, epoch, next_offset)
select topic, partition, $1::bigint + 1, next_offset
from unnest($2::text[], $3::integer[], $4::bigint[]) as ends (topic, partition, next_offset)
"""
_ERRANDS = """
update {shadow}.errands set state = 'waiting', token = null, lease_seconds = null, due_at = not_before
where state <> 'waiting'
"""


async def follow(
    connection: Connection, service: str, shadow: str, mode: Mode, peers_at: Mapping[TopicPartition, int]
) -> None:
    """Bring the shadow in line with a switch of the service, in its transaction: when the service is to observe, the
    shadow is made anew as the service stands, and reads its peers' shadows from `peers_at` on; otherwise it stops."""
    if await connection.fetchval("select to_regclass($1) is null", f"{shadow}.present_mode"):
        return  # a schema that was migrated alone, as in tests of the kernel
    observing = mode is Mode.OBSERVE
    if observing:
        await _made_anew(connection, service, shadow, peers_at)
    await connection.execute(
        f"update {shadow}.present_mode set word = $1", (Mode.ACT if observing else Mode.STOP).value
    )


async def _made_anew(connection: Connection, service: str, shadow: str, peers_at: Mapping[TopicPartition, int]) -> None:
    """Epochs rise above all that an older shadow had, so that an instance of it which still runs writes nothing."""
    former = await connection.fetchval(f"select coalesce(max(epoch), 0) from {shadow}.offsets")
    tables = [row["tablename"] for row in await connection.fetch(_TABLES, service)]
    copied = [table for table in tables if table not in NOT_COPIED]
    emptied = ", ".join(f"{shadow}.{table}" for table in (*copied, "offsets", "errands", "outbox"))
    await connection.execute(f"truncate {emptied}")
    for table in (*copied, "errands"):
        columns = await connection.fetchval(_COLUMNS, f"{service}.{table}")
        await connection.execute(
            f"insert into {shadow}.{table} ({columns}) overriding system value select {columns} from {service}.{table}"
        )
    await connection.execute(_ERRANDS.replace("{shadow}", shadow))
    await connection.execute(_OFFSETS.replace("{shadow}", shadow).replace("{service}", service), former)
    ends = [(tp.topic, tp.partition, at) for tp, at in sorted(peers_at.items())]
    if ends:
        await connection.execute(_PEERS.replace("{shadow}", shadow), former, *map(list, zip(*ends, strict=True)))
