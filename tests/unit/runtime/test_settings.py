"""Settings say what is wrong in one line, and never show a secret."""

from datetime import UTC, datetime

import pytest

from dunning.runtime.problem import Problem
from dunning.runtime.settings import Settings, load_settings, shown

GIVEN = {
    "kafka_bootstrap_servers": "kafka:9092",
    "database_url": "postgresql://me:hidden@db:5432/dunning?password=hidden",
}


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DUNNING_KAFKA_BOOTSTRAP_SERVERS", "DUNNING_DATABASE_URL", "DUNNING_METRICS_PORT"):
        monkeypatch.delenv(name, raising=False)


def test_secrets_are_masked_and_the_rest_is_shown() -> None:
    text = shown(load_settings(Settings, **GIVEN, kafka_sasl_username="me", kafka_sasl_password="hidden"))

    assert "hidden" not in text
    assert "DUNNING_DATABASE_URL=postgresql://me:***@db:5432/dunning\n" in text
    assert "DUNNING_KAFKA_SASL_PASSWORD=**********\n" in text
    assert "DUNNING_BATCH_RECORDS=1000\n" in text
    assert "DUNNING_TEMPLATE_DIR=\n" in text  # not set, and to be found all the same


def test_everything_missing_or_wrong_is_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DUNNING_METRICS_PORT", "99999")
    monkeypatch.setenv("DUNNING_DATABASE_URL", "")

    with pytest.raises(Problem) as problem:
        load_settings(Settings)

    assert str(problem.value) == (
        "DUNNING_KAFKA_BOOTSTRAP_SERVERS is not set; DUNNING_DATABASE_URL is not set; "
        "DUNNING_METRICS_PORT: input should be less than or equal to 65535  [DUN-R001]"
    )


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"kafka_security_protocol": "SASL_SSL"}, "needs kafka_sasl_username and kafka_sasl_password"),
        ({"kafka_tls_cert_file": "/tmp/cert.pem"}, "kafka_tls_cert_file and kafka_tls_key_file come together"),
        ({"instance_id": "two words"}, "DUNNING_INSTANCE_ID"),
    ],
)
def test_what_does_not_fit_together_is_an_error(wrong: dict[str, str], said: str) -> None:
    with pytest.raises(Problem, match=said):
        load_settings(Settings, **GIVEN, **wrong)


@pytest.mark.parametrize("start", ["30", "1700000000", "2026-03-01", "2026-03-01T00:00:00", "yesterday"])
def test_a_start_that_is_no_instant_is_refused_before_it_is_fixed_for_good(
    monkeypatch: pytest.MonkeyPatch, start: str
) -> None:
    monkeypatch.setenv("DUNNING_START", start)

    with pytest.raises(Problem) as problem:
        load_settings(Settings, **GIVEN)

    assert str(problem.value) == (
        "DUNNING_START: write an RFC 3339 time with its offset, such as 2026-03-01T00:00:00Z  [DUN-R001]"
    )


def test_a_start_is_taken_as_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DUNNING_START", "2026-03-01T01:00:00+01:00")

    assert load_settings(Settings, **GIVEN).start == datetime(2026, 3, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    "url",
    [
        "foo", "mysql://me:hidden@db/dunning", "db:5432/dunning", "postgresql://me:hidden@db:54x2/dunning",
        "postgresql://me:hidden@db:99999/dunning", "postgresql://me:hidden@[::1/dunning",
        "postgresql://me:hidden@one:5432,two:x/dunning",
    ],
)  # fmt: skip
def test_a_database_that_can_never_answer_is_a_wrong_setting_and_not_waited_for(url: str) -> None:
    with pytest.raises(Problem) as problem:
        load_settings(Settings, kafka_bootstrap_servers="kafka:9092", database_url=url)

    assert str(problem.value) == (
        "DUNNING_DATABASE_URL: write the address of a database, such as postgresql://user:password@host:5432/dunning  "
        "[DUN-R001]"
    )


def test_a_database_of_several_servers_is_shown_with_all_of_them() -> None:
    url = "postgresql://me:hidden@one:5432,two:5433/dunning?target_session_attrs=primary"

    text = shown(load_settings(Settings, kafka_bootstrap_servers="kafka:9092", database_url=url))

    assert "DUNNING_DATABASE_URL=postgresql://me:***@one:5432,two:5433/dunning\n" in text


def test_a_missing_ca_file_is_told() -> None:
    settings = load_settings(Settings, **GIVEN, kafka_security_protocol="SSL", kafka_tls_ca_file="/no/such/file")

    with pytest.raises(Problem, match="DUNNING_KAFKA_TLS"):
        settings.kafka_connection()
