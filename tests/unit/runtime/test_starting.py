"""A database that goes away in the middle of a start is waited for like one that is not there yet."""

import asyncio
from importlib import import_module
from pathlib import Path
from time import monotonic

import pytest

from dunning.contracts.topics import SERVICES
from dunning.runtime.problem import SETTING_WRONG, Problem
from dunning.runtime.run import Start, Stopped
from dunning.runtime.settings import Settings, load_settings
from dunning.runtime.store import StoreUnavailable

SETTINGS = load_settings(
    Settings, kafka_bootstrap_servers="kafka:9092", database_url="postgresql://me:hidden@db:5432/dunning"
)


AWAY = StoreUnavailable("connection was closed in the middle of operation")


class Step:
    """One that fails so many times."""

    def __init__(self, failures: int, error: Exception = AWAY) -> None:
        self.left = failures
        self._error = error
        self.done = 0

    async def __call__(self) -> None:
        if self.left:
            self.left -= 1
            raise self._error
        self.done += 1


async def test_a_step_of_the_start_is_tried_again_while_the_database_is_away() -> None:
    step = Step(failures=1)

    await Start(SETTINGS, asyncio.Event(), monotonic() + 60).waited(step)

    assert step.done == 1


async def test_when_it_stays_away_the_start_ends_in_one_line() -> None:
    with pytest.raises(Problem, match=r"cannot reach PostgreSQL at db:5432/dunning \(.*DUN-R003"):
        await Start(SETTINGS, asyncio.Event(), monotonic() - 1).waited(Step(failures=9))


async def test_whoever_is_told_to_stop_in_the_meantime_starts_nothing() -> None:
    stop = asyncio.Event()
    stop.set()
    step = Step(failures=0)

    with pytest.raises(Stopped):
        await Start(SETTINGS, stop, monotonic() + 60).waited(step)

    assert step.done == 0


async def test_what_no_waiting_mends_ends_the_start_at_once() -> None:
    step = Step(failures=9, error=Problem(SETTING_WRONG, "the TLS files cannot be used"))

    with pytest.raises(Problem, match="DUN-R001"):
        await Start(SETTINGS, asyncio.Event(), monotonic() + 60).waited(step)

    assert step.left == 8


@pytest.mark.parametrize("service", SERVICES)
def test_a_broken_policy_file_is_told_before_any_server_is_waited_for(
    service: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mine.yaml").write_text("id: mine\nversion: one\n")
    monkeypatch.setenv("DUNNING_POLICY_DIR", str(tmp_path))
    monkeypatch.setenv("DUNNING_KAFKA_BOOTSTRAP_SERVERS", "nowhere.invalid:9092")
    monkeypatch.setenv("DUNNING_DATABASE_URL", "postgresql://nowhere.invalid/dunning")
    monkeypatch.setenv("DUNNING_START_TIMEOUT_SECONDS", "0.1")

    assert import_module(f"{service}.__main__").main([]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "/mine.yaml:1:1: ladder: " in line
    assert line.endswith("[DUN-R020]")
