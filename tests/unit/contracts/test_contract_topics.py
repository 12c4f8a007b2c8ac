"""Topics, and who reads and writes them (docs/events.md, "Topics")."""

import pytest

from dunning.contracts.topics import TOPICS, dead_letter_topic, inputs_of, kafka_name, outputs_of, registry_name


@pytest.mark.parametrize(
    ("service", "inputs", "outputs"),
    [
        (
            "retry_scheduler",
            ("payment.failed", "payment.succeeded", "dunning.signals", "dunning.stage.changed"),
            ("dunning.stage.changed", "dunning.retry.requested"),
        ),
        (
            "notification_dispatcher",
            ("payment.failed", "payment.succeeded", "dunning.signals", "dunning.stage.changed"),
            ("dunning.stage.changed", "dunning.notice.result"),
        ),
        (
            "account_enforcement",
            ("payment.failed", "payment.succeeded", "dunning.signals", "dunning.notice.result"),
            ("dunning.stage.changed", "dunning.account.status"),
        ),
    ],
)
def test_each_service_reads_and_writes_its_own_topics(
    service: str, inputs: tuple[str, ...], outputs: tuple[str, ...]
) -> None:
    assert inputs_of(service) == inputs
    assert outputs_of(service) == outputs


def test_every_input_of_every_service_has_a_dead_letter_topic_and_nothing_else_has() -> None:
    assert sorted(name for name in TOPICS if name.endswith(".dlq")) == [
        "dunning.notice.result.account_enforcement.dlq",
        "dunning.signals.account_enforcement.dlq",
        "dunning.signals.notification_dispatcher.dlq",
        "dunning.signals.retry_scheduler.dlq",
        "dunning.stage.changed.notification_dispatcher.dlq",
        "dunning.stage.changed.retry_scheduler.dlq",
        "payment.failed.account_enforcement.dlq",
        "payment.failed.notification_dispatcher.dlq",
        "payment.failed.retry_scheduler.dlq",
        "payment.succeeded.account_enforcement.dlq",
        "payment.succeeded.notification_dispatcher.dlq",
        "payment.succeeded.retry_scheduler.dlq",
    ]


def test_a_dead_letter_fits_where_its_original_fitted() -> None:
    assert TOPICS["payment.failed"].config() == {
        "cleanup.policy": "delete",
        "max.message.bytes": "1048576",
        "retention.ms": "1209600000",
    }
    assert TOPICS["payment.failed.retry_scheduler.dlq"].config()["max.message.bytes"] == "1114112"


def test_the_account_status_is_compacted_and_kept_for_ever() -> None:
    assert TOPICS["dunning.account.status"].config() == {"cleanup.policy": "compact", "max.message.bytes": "1048576"}


def test_first_sightings_outlive_what_kafka_keeps() -> None:
    assert all(topic.retention is None or topic.retention.days < 30 for topic in TOPICS.values())


def test_a_prefix_stands_in_front_of_every_name() -> None:
    assert kafka_name("payment.failed", "staging.") == "staging.payment.failed"
    assert registry_name("staging.payment.failed", "staging.") == "payment.failed"
    assert (
        dead_letter_topic("staging.payment.failed", "retry_scheduler") == "staging.payment.failed.retry_scheduler.dlq"
    )
