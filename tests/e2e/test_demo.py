"""`dunning demo` as a whole, with a ladder of seconds, on servers that the environment names."""

import asyncio
from pathlib import Path

import asyncpg
import pytest
from aiokafka.admin import AIOKafkaAdminClient

from dunning_cli.demo.run import DemoOptions, run_demo
from dunning_cli.errors import CommandError

POLICY = """
id: short
version: 1
anchor: first_failure
timezone: UTC
retries: {strategy: ladder, after: [1s, 2s, 3s], technical_after: [1s], window: 10s, timeout: 3s}
ladder:
  - {rung: payment_failed,     at: 0s,  notice: {template: payment_failed, channels: [email]}, account: past_due}
  - {rung: suspension_warning, at: 3s,  notice: {template: suspension_warning, channels: [email]}}
  - {rung: suspended,          at: 7s,  account: suspended, warned_by: suspension_warning, lead: 2s}
  - {rung: final_notice,       at: 9s,  notice: {template: final_notice, channels: [email]}}
  - {rung: terminated,         at: 15s, account: terminated, warned_by: final_notice, lead: 3s, collections: true}
contact: {quiet_hours: none}
"""


@pytest.fixture
def options(tmp_path: Path) -> DemoOptions:
    policies = tmp_path / "policies"
    policies.mkdir()
    (policies / "short.yaml").write_text(POLICY)
    return DemoOptions(tmp_path / "demo", policies, invoices=120, seconds=4, seed=1, keep=False, day_seconds=0.4)


def test_the_demo_ends_with_two_stories_and_a_clean_verifier_and_leaves_the_servers_as_they_were(
    options: DemoOptions,
    kafka_bootstrap: str,
    database_url: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("DUNNING_KAFKA_BOOTSTRAP_SERVERS", kafka_bootstrap)
    monkeypatch.setenv("DUNNING_DATABASE_URL", database_url)
    monkeypatch.setenv("DUNNING_SMTP_URL", "smtp://real-people.invalid:25")

    code = run_demo(options)

    said = capsys.readouterr().out
    assert code == 0, said
    assert "every promise was kept" in said
    assert "A suspended account: acc_" in said
    assert "A recovered account: acc_" in said
    assert "because the grace period is over" in said
    assert asyncio.run(topics_of_demos(kafka_bootstrap)) == []
    assert asyncio.run(databases_of_demos(database_url)) == []


def test_a_folder_that_no_demo_made_is_left_alone(options: DemoOptions) -> None:
    options.data_dir.mkdir()
    (options.data_dir / "thesis.txt").write_text("years of work")

    with pytest.raises(CommandError, match="was not made by `dunning demo`"):
        run_demo(options)

    assert (options.data_dir / "thesis.txt").exists()


async def topics_of_demos(kafka_bootstrap: str) -> list[str]:
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka_bootstrap)
    await admin.start()
    try:
        return [topic for topic in await admin.list_topics() if topic.startswith("demo_")]
    finally:
        await admin.close()


async def databases_of_demos(database_url: str) -> list[str]:
    connection = await asyncpg.connect(database_url)
    try:
        rows = await connection.fetch("select datname from pg_database where datname like 'demo\\_%'")
        return [row["datname"] for row in rows]
    finally:
        await connection.close()
