"""A shadow begins where its service stands, and nothing of an older one goes on (rule 42)."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest

from dunning.contracts.decode import decode
from dunning.contracts.decoded import Readable
from dunning.runtime.migrate import migrate_with_shadow
from dunning.runtime.mode import Mode
from dunning.runtime.observer import observed_inputs
from dunning.runtime.store import TopicPartition
from dunning.runtime.switch import Connection, _commit, _wait_for_the_begun
from dunning.testing.toy import toy_service
from tests.wire import NOW

SERVICE, SHADOW = "retry_scheduler", "retry_scheduler_observed"
PEERS = {TopicPartition("observed.dunning.stage.changed", 0): 17}
NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


@pytest.fixture
async def connection(database_url: str) -> AsyncIterator[Connection]:
    await migrate_with_shadow(database_url, SERVICE)
    connected = await asyncpg.connect(database_url, server_settings={"search_path": SERVICE})
    yield connected
    await connected.close()


async def _service_stands(connection: Connection, account: str) -> None:
    """An account, an errand that a worker has in hand, an offset and a first sighting."""
    await connection.execute("insert into accounts values ($1, '{}')", account)
    await connection.execute(
        "insert into errands (errand_id, account_id, invoice_id, kind, payload, not_before, due_at, given_at, state,"
        " token, lease_seconds) values ($1, $1, 'in_1', 'email', '{}', $2, $2, $2, 'leased', gen_random_uuid(), 60)",
        account,
        NOON,
    )
    await connection.execute(
        "insert into offsets values ('payment.failed', 0, 4, 100, null) on conflict (topic, partition)"
        " do update set next_offset = offsets.next_offset + 100"
    )
    await connection.execute("insert into inbox values ($1, 1, $2) on conflict do nothing", len(account), NOON)


async def _shadow_of(connection: Connection, table: str, column: str) -> list[object]:
    rows = await connection.fetch(f"select {column} as found from {SHADOW}.{table} order by 1")
    return [row["found"] for row in rows]


async def test_it_is_made_anew_at_each_switch_to_observe(connection: Connection) -> None:
    await _service_stands(connection, "acc_1")
    await _commit(connection, SERVICE, Mode.OBSERVE, "ada", "", PEERS)
    first = await _shadow_of(connection, "accounts", "account_id")
    await connection.execute(f"insert into {SHADOW}.accounts values ('only_observed', '{{}}')")
    await connection.execute(f"update {SHADOW}.offsets set epoch = 40 where topic = 'payment.failed'")
    await _commit(connection, SERVICE, Mode.ACT, "ada", "", {})
    kept_for_reports = await _shadow_of(connection, "accounts", "account_id")
    await _service_stands(connection, "acc_02")
    await _commit(connection, SERVICE, Mode.OBSERVE, "ada", "", PEERS)

    assert (first, kept_for_reports) == (["acc_1"], ["acc_1", "only_observed"])
    assert await _shadow_of(connection, "accounts", "account_id") == ["acc_02", "acc_1"]
    assert await _shadow_of(connection, "errands", "state") == ["waiting", "waiting"]
    assert await _shadow_of(connection, "inbox", "key") == [5, 6]
    assert await _shadow_of(connection, "offsets", "topic || next_offset || '/' || epoch") == [
        "observed.dunning.stage.changed17/41",
        "payment.failed200/41",  # above whatever an instance of the older shadow may still hold
    ]


async def test_only_one_of_the_two_acts_in_its_schema(connection: Connection) -> None:
    words = []
    for mode in (Mode.ACT, Mode.OBSERVE, Mode.STOP):
        await _commit(connection, SERVICE, mode, "ada", "", {})
        own = await connection.fetchval("select word from present_mode")
        words.append((own, *await _shadow_of(connection, "present_mode", "word")))

    assert words == [("act", "stop"), ("observe", "act"), ("stop", "stop")]


async def test_a_switch_does_not_wait_for_an_errand_whose_worker_vanished(connection: Connection) -> None:
    """While the service does not act nobody takes it again, so it would be waited for as long as that lasts."""
    for account, ends in (("acc_1", NOON), ("acc_2", datetime.now(UTC) + timedelta(minutes=5))):
        await _service_stands(connection, account)
        await connection.execute("update errands set state = 'begun', due_at = $2 where errand_id = $1", account, ends)

    assert await _wait_for_the_begun(connection, 0) == 1


def test_what_a_shadow_said_and_what_really_happened_are_two_things() -> None:
    body = b"""{"notice_id": "n_1", "case_ids": ["c_1"], "account_id": "acc_1", "rung": "warning", "channel": "email",
        "template": "t", "locale": "en", "outcome": "delivered", "at": "2026-03-02T11:00:00Z"}"""
    headers = [("ce_id", b"id-1"), ("ce_source", b"/dunning/notification_dispatcher"), ("ce_specversion", b"1.0")]
    headers += [("ce_type", b"dunning.notice.result.v1"), ("ce_time", b"2026-03-02T11:00:00Z")]
    headers += [("ce_subject", b"in_1"), ("ce_sequence", b"1"), ("content-type", b"application/json")]
    read = observed_inputs(toy_service(), "p.").decode

    real, plain, observed = (
        decode("dunning.notice.result", b"acc_1", body, headers, NOW),
        read("dunning.notice.result", b"acc_1", body, headers, NOW),
        read("observed.dunning.notice.result", b"acc_1", body, headers, NOW),
    )

    assert isinstance(real, Readable)
    assert isinstance(observed, Readable)
    assert plain == real
    assert observed.input == real.input
    assert not {each.key for each in observed.sightings} & {each.key for each in real.sightings}
