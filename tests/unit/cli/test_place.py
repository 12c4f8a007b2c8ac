"""Where the platform is: the environment, else the stack that runs here, else one that is named."""

from pathlib import Path

import pytest

from dunning_cli.errors import CommandError
from dunning_cli.place import find_place

KAFKA, DATABASE = "DUNNING_KAFKA_BOOTSTRAP_SERVERS", "DUNNING_DATABASE_URL"


@pytest.fixture(autouse=True)
def _nothing_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in (KAFKA, DATABASE, "DUNNING_POLICY_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


def a_stack(directory: Path, kafka: str) -> Path:
    directory.mkdir()
    (directory / "env").write_text(
        f"{KAFKA}={kafka}\n{DATABASE}=postgresql://dunning:secret@here/d\nDUNNING_PIDS_KAFKA=7\n"
    )
    return directory


def test_without_anything_it_says_how_to_name_or_start_something() -> None:
    with pytest.raises(CommandError) as error:
        find_place(None)

    assert str(error.value) == (
        "DUNNING_KAFKA_BOOTSTRAP_SERVERS is not set, and nothing was started here: set it, name a stack with "
        "--data-dir, or start one with `dunning up` [DUN-C001]"
    )


def test_the_environment_is_completed_by_the_stack_that_runs_here(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    a_stack(tmp_path / ".dunning", "127.0.0.1:9092")
    monkeypatch.setenv(KAFKA, "kafka.example:9092")

    settings = find_place(None).settings

    assert settings.kafka_bootstrap_servers == "kafka.example:9092"
    assert settings.database_url.get_secret_value() == "postgresql://dunning:secret@here/d"


def test_a_named_stack_counts_for_more_than_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(KAFKA, "kafka.example:9092")
    monkeypatch.setenv("DUNNING_POLICY_DIR", "/policies")

    place = find_place(a_stack(tmp_path / "trial", "127.0.0.1:9093"))

    assert place.settings.kafka_bootstrap_servers == "127.0.0.1:9093"
    assert place.policy_dir == Path("/policies")


def test_a_named_stack_that_never_ran_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(
        CommandError, match=r"trial/env does not exist: `dunning up --data-dir .*` starts a stack there"
    ):
        find_place(tmp_path / "trial")


def test_a_file_of_settings_that_is_no_text_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "env").write_bytes(b"\xff\xfe=")

    with pytest.raises(CommandError, match=r"cannot read .*env: not UTF-8 \[DUN-C001\]"):
        find_place(tmp_path)
