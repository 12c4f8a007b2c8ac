"""What the doctor makes of what it sees, without servers."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from dunning.contracts.topics import TOPICS
from dunning.domain.events import PolicyRef
from dunning.domain.policy_file import load_policy
from dunning.runtime.broker_log import WHERE_IS_IT, Bounds
from dunning.runtime.migrate import migrations_of
from dunning.runtime.postgres.offset_moves import Stored
from dunning.runtime.settings import Settings, load_settings
from dunning.runtime.store import TopicPartition
from dunning_cli import place
from dunning_cli.health.brokers import compare
from dunning_cli.health.database import compare_clocks, compare_migrations, judge_outbox
from dunning_cli.health.findings import Level
from dunning_cli.health.lag import judge_lag
from dunning_cli.health.live import judge_start
from dunning_cli.health.outside import judge_ready, look_at_mail
from dunning_cli.health.policies import judge_policies, look_at_policies
from dunning_cli.stack import layout

NOW = datetime(2026, 3, 28, 12, tzinfo=UTC)
SETTINGS = load_settings(Settings, kafka_bootstrap_servers="k:9092", database_url="postgresql://d", topic_prefix="p.")
PARTITIONS = {f"p.{name}": topic.partitions for name, topic in TOPICS.items()}
CONFIGS = {f"p.{name}": topic.config() for name, topic in TOPICS.items()}
FAILED = TopicPartition("payment.failed", 0)
POLICY = b"""
id: small
version: 2
ladder:
  - {rung: payment_failed, at: 0d, notice: {template: payment_failed, channels: [email]}, account: past_due}
"""


def seconds(number: float) -> timedelta:
    return timedelta(seconds=number)


def test_topics_as_the_registry_has_them_are_well() -> None:
    (found,) = compare(SETTINGS, PARTITIONS, CONFIGS)

    assert (found.level, found.message) == (Level.OK, "all 19 are there with the settings of schemas/topics.yaml")


def test_a_missing_topic_is_a_problem_and_migrate_creates_it() -> None:
    (found,) = compare(SETTINGS, {**PARTITIONS, "p.dunning.signals": 0}, CONFIGS)

    assert (found.level, found.message) == (Level.PROBLEM, "p.dunning.signals does not exist")
    assert found.do == WHERE_IS_IT


def test_settings_that_lose_events_are_problems_others_are_told() -> None:
    changed = {
        **CONFIGS,
        "p.dunning.account.status": {"cleanup.policy": "delete", "max.message.bytes": "1048576"},
        "p.payment.failed": {**CONFIGS["p.payment.failed"], "retention.ms": "1", "max.message.bytes": "9999999"},
        "p.payment.failed.retry_scheduler.dlq": {"max.message.bytes": "1048588"},
    }

    found = [(each.level, each.message) for each in compare(SETTINGS, PARTITIONS, changed)]

    assert found == [
        (Level.WARNING, "p.payment.failed: retention.ms is 1, should be 1209600000"),
        (Level.PROBLEM, "p.dunning.account.status: cleanup.policy is delete, should be compact"),
        (Level.PROBLEM, "p.payment.failed.retry_scheduler.dlq: max.message.bytes is 1048588, should be 1114112"),
    ]


@pytest.mark.parametrize(
    ("retention_ms", "told"),
    [
        (30 * 86_400_000, []),
        (31 * 86_400_000, ["keeps records for 31 days"]),
        (-1, ["keeps records for ever"]),
    ],
)
def test_a_topic_that_outlives_what_is_remembered_of_it_is_told(retention_ms: int, told: list[str]) -> None:
    changed = {**CONFIGS, "p.payment.failed": {**CONFIGS["p.payment.failed"], "retention.ms": str(retention_ms)}}

    found = [each.message for each in compare(SETTINGS, PARTITIONS, changed) if "keeps records" in each.message]

    assert [message.partition(";")[0] for message in found] == [f"p.payment.failed {each}" for each in told]


def test_a_clock_is_off_only_by_what_lies_outside_question_and_answer() -> None:
    assert compare_clocks(NOW, NOW + seconds(2), NOW + seconds(3), SETTINGS).level is Level.OK
    assert compare_clocks(NOW, NOW + seconds(5), NOW + seconds(3), SETTINGS).level is Level.WARNING
    off = compare_clocks(NOW, NOW - seconds(6), NOW, SETTINGS)
    assert off.level is Level.PROBLEM
    assert off.message == ("this host and the database differ by 6.0 s: services stop reading and firing timers")


def test_migrations_that_are_missing_changed_or_newer() -> None:
    applied = {step.name: step.digest for step in migrations_of("retry_scheduler")}
    first, *_ = applied

    assert compare_migrations("retry_scheduler", applied).level is Level.OK
    assert compare_migrations("retry_scheduler", {}).message == "retry_scheduler has no tables"
    assert compare_migrations("retry_scheduler", {first: applied[first]}).do == "`dunning migrate` applies it"
    assert compare_migrations("retry_scheduler", {**applied, first: "other"}).level is Level.PROBLEM
    newer = compare_migrations("retry_scheduler", {**applied, "retry_scheduler/9999_later.pre.sql": "x"})
    assert (newer.level, newer.do) == (Level.WARNING, "bring this program up to date")


def test_an_outbox_is_judged_by_the_age_of_its_oldest_row() -> None:
    assert judge_outbox("s", 0, None, NOW).level is Level.OK
    assert judge_outbox("s", 90_000, NOW - seconds(2), NOW).level is Level.OK
    assert judge_outbox("s", 1, NOW - seconds(31), NOW).level is Level.WARNING
    stuck = judge_outbox("s", 7, NOW - seconds(301), NOW)
    assert (stuck.level, stuck.message) == (Level.PROBLEM, "s: 7 events wait to be published, the oldest for 301 s")


def test_lag_is_judged_by_time_because_markers_lie_behind_the_last_record() -> None:
    position = Stored(next_offset=10, read_through=NOW - seconds(1), now=NOW)

    found = judge_lag("s", {FAILED: position}, {FAILED: Bounds(0, 12)})

    assert (found.level, found.message) == (Level.OK, "s: read its 1 partitions to their ends 1.0 s ago")


def test_a_service_that_does_not_read_is_a_problem_once_something_waits() -> None:
    stopped = Stored(next_offset=10, read_through=NOW - seconds(60), now=NOW)

    assert judge_lag("s", {FAILED: stopped}, {FAILED: Bounds(0, 10)}).level is Level.WARNING
    behind = judge_lag("s", {FAILED: stopped}, {FAILED: Bounds(0, 14)})
    assert behind.level is Level.PROBLEM
    assert behind.message == "s: not read to the end for 30 s: payment.failed[0]; 4 records wait there"
    assert judge_lag("s", {}, {FAILED: Bounds(5, 9)}).message.endswith("payment.failed[0]; 4 records wait there")


def test_records_that_are_gone_before_they_were_read_are_a_problem() -> None:
    position = Stored(next_offset=10, read_through=NOW, now=NOW)

    found = judge_lag("s", {FAILED: position}, {FAILED: Bounds(20, 30)})

    assert found.message == "s: records that it has not read are gone in payment.failed[0]"


@pytest.mark.parametrize("url", ["smtp://me:hidden@mail:25x", "nonsense", "smtp://", "smtp://mail?tls=1"])
def test_an_address_that_is_no_mail_server_is_a_problem_and_not_the_end_of_the_doctor(url: str) -> None:
    found = look_at_mail(url)

    assert (found.level, found.do) == (Level.PROBLEM, "correct DUNNING_SMTP_URL: notification_dispatcher refuses it")
    assert "hidden" not in found.message


def test_a_service_that_is_ready_and_has_an_alarm_is_a_warning() -> None:
    """The brake's is told by the look at the brake."""
    alarms = b'{"ready": true, "troubles": {}, "alarms": {"brake": "shut", "errands email": "away  [DUN-R004]"}}'

    found = judge_ready("notification_dispatcher", alarms)

    assert found.level is Level.WARNING
    assert found.message == "notification_dispatcher is ready, but errands email: away  [DUN-R004]"


@pytest.mark.parametrize("body", [b'{"ready": true, "troubles": {}, "alarms": {"brake": "shut"}}', b"yes", b""])
def test_a_service_that_is_ready_is_well(body: bytes) -> None:
    assert judge_ready("retry_scheduler", body).level is Level.OK


def test_a_policy_that_changed_under_its_version_is_refused() -> None:
    policy = load_policy(POLICY, "small.yaml").policy
    assert policy is not None
    files = [("small.yaml", POLICY)]

    (same,) = judge_policies(Path("policies"), files, {PolicyRef("small", 2): policy.digest})
    (changed,) = judge_policies(Path("policies"), files, {PolicyRef("small", 2): "another"})

    assert (same.level, same.message) == (Level.OK, "small version 2 in policies")
    assert changed.level is Level.PROBLEM
    assert changed.do == "put it back as it was, and give the changed one version 3"


def test_without_a_directory_of_policies_the_doctor_says_what_to_set(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """As where it was installed without a checkout."""
    monkeypatch.setattr(layout, "CHECKOUT", tmp_path)
    monkeypatch.setattr(place, "CHECKOUT", tmp_path, raising=False)

    (found,) = look_at_policies(place.Place({}).policy_dir, {})

    assert (found.level, found.do) == (Level.PROBLEM, "set DUNNING_POLICY_DIR to the directory of policy files")


def test_a_policy_with_an_error_is_shown_with_its_place() -> None:
    (found,) = judge_policies(Path("policies"), [("small.yaml", POLICY.replace(b"version: 2", b"version: two"))], {})

    assert found.level is Level.PROBLEM
    assert found.message.startswith("small.yaml:3:10: version:")
    assert found.do == "`dunning policy lint policies` lists everything"


@pytest.mark.parametrize(
    ("starts", "level", "message"),
    [
        ([NOW, NOW], Level.OK, "what failed before 2026-03-28T12:00:00Z opens no case"),
        ([NOW, NOW + seconds(1)], Level.PROBLEM, "do not agree"),
        ([NOW.replace(year=2062)] * 2, Level.WARNING, "no failure opens a case before 2062-03-28T12:00:00Z"),
    ],
)
def test_a_start_is_one_instant_for_all_and_told_where_it_lies_ahead(
    starts: list[datetime], level: Level, message: str
) -> None:
    found = judge_start(dict(zip(["retry_scheduler", "account_enforcement"], starts, strict=True)), NOW)

    assert found.level is level
    assert message in found.message
