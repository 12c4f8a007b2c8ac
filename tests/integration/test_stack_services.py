"""How `up` runs the services: what it tells them, when it calls them ready, what it does when one dies.

Stand-ins take the services' places: here the supervisor is on trial, not they.
"""

import json
import os
import signal
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from dunning.contracts.topics import SERVICES
from dunning_cli.stack.env_file import read_env_file
from dunning_cli.stack.processes import Process
from tests.stack import dunning_process, without_named_servers

_SECONDS_MAX = 60
_STAND_IN = """
import http.server, json, os
class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps(dict(os.environ)).encode())
http.server.HTTPServer(("127.0.0.1", int(os.environ["DUNNING_METRICS_PORT"])), Answer).serve_forever()
"""


@dataclass(frozen=True)
class Trial:
    """A data directory, and the environment in which `dunning` is run on it."""

    data_dir: Path
    environment: Mapping[str, str]

    def dunning(self, command: str, *options: str) -> "subprocess.CompletedProcess[str]":
        return dunning_process(self.environment, command, "--data-dir", str(self.data_dir), *options)

    @property
    def settings(self) -> dict[str, str]:
        return read_env_file(self.data_dir / "env")

    def pid_of(self, part: str) -> int:
        return int(self.settings.get(f"DUNNING_PIDS_{part.upper()}", "0"))


@pytest.fixture
def trial(tmp_path: Path, kafka_bootstrap: str, database_url: str, topic_prefix: str) -> Iterator[Trial]:
    stand_ins = tmp_path / "stand-ins"
    for service in SERVICES:
        (stand_ins / service).mkdir(parents=True)
        (stand_ins / service / "__init__.py").touch()
        (stand_ins / service / "__main__.py").write_text(_STAND_IN)
    named = {
        "DUNNING_KAFKA_BOOTSTRAP_SERVERS": kafka_bootstrap,
        "DUNNING_DATABASE_URL": database_url,
        "DUNNING_TOPIC_PREFIX": topic_prefix,
        "PYTHONPATH": str(stand_ins),
    }
    trial = Trial(tmp_path / "data", {**without_named_servers(), **named})
    yield trial
    trial.dunning("down")


def test_each_service_is_told_where_everything_is(trial: Trial, tmp_path: Path) -> None:
    done = trial.dunning("up", "--detach", "--policy-dir", str(tmp_path))

    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-4:] == [*(f"{service} is ready" for service in SERVICES), "ready"]
    for service in SERVICES:
        told = environment_of(trial, service)
        assert told["DUNNING_INSTANCE_ID"] == f"{service}-1"
        assert told["DUNNING_POLICY_DIR"] == str(tmp_path)
        for name in ("DUNNING_KAFKA_BOOTSTRAP_SERVERS", "DUNNING_DATABASE_URL", "DUNNING_SMTP_URL"):
            assert told[name] == trial.settings[name]


def test_a_killed_service_is_started_again_and_the_others_are_left_alone(trial: Trial) -> None:
    trial.dunning("up", "--detach")
    killed, other = trial.pid_of("retry_scheduler"), trial.pid_of("account_enforcement")

    os.kill(killed, signal.SIGKILL)
    wait_until(lambda: trial.pid_of("retry_scheduler") not in {0, killed})

    assert trial.pid_of("account_enforcement") == other
    assert "retry_scheduler was killed by signal 9; starting it again in 0.2 s" in up_log(trial)


def test_services_join_the_infra_that_runs_for_the_same_data_dir(trial: Trial) -> None:
    trial.dunning("up", "--only", "infra", "--detach")
    infra = trial.pid_of("mail_sink")

    done = trial.dunning("up", "--detach")

    assert done.returncode == 0, done.stdout + done.stderr
    assert trial.pid_of("mail_sink") == infra
    running = [Process.of_pid(trial.pid_of(part)) for part in ("mail_sink", *SERVICES)]
    trial.dunning("down")
    assert not any(process is None or process.is_alive() for process in running)


def test_up_fails_with_the_reason_when_a_service_does_not_get_up(trial: Trial) -> None:
    broken = Path(trial.environment["PYTHONPATH"]) / "notification_dispatcher" / "__main__.py"
    broken.write_text("raise SystemExit('policy.yaml:3:1: no ladder [DUN-P002]')")

    done = trial.dunning("up", "--detach")

    assert done.returncode == 1
    assert done.stdout.splitlines()[-1] == (
        "notification_dispatcher does not stay up: policy.yaml:3:1: no ladder [DUN-P002] [DUN-L007]"
    )
    assert not any(name.startswith("DUNNING_PIDS_") for name in trial.settings)


def test_up_does_not_try_again_what_only_a_person_can_mend(trial: Trial) -> None:
    broken = Path(trial.environment["PYTHONPATH"]) / "retry_scheduler" / "__main__.py"
    broken.write_text("raise SystemExit('policies/mine.yaml: policy standard version 1 changed  [DUN-R020]')")

    done = trial.dunning("up", "--detach")

    assert done.returncode == 1
    assert done.stdout.splitlines()[-1] == (
        "retry_scheduler cannot start: policies/mine.yaml: policy standard version 1 changed  [DUN-R020] [DUN-L007]"
    )
    assert "started again" not in done.stdout


def environment_of(trial: Trial, service: str) -> dict[str, str]:
    url = trial.settings[f"DUNNING_METRICS_{service.upper()}_URL"]
    with urllib.request.urlopen(url, timeout=10) as answer:
        environment: dict[str, str] = json.load(answer)
    return environment


def up_log(trial: Trial) -> str:
    return (trial.data_dir / "logs" / "up.log").read_text()


def wait_until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _SECONDS_MAX
    while not is_so():
        assert time.monotonic() < deadline, "it never came to be"
        time.sleep(0.05)
