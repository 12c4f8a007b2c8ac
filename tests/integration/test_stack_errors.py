"""What `dunning up` cannot do it says in one line, with a code and without a traceback; what it is told it uses."""

import smtplib
import subprocess
from email.message import EmailMessage
from pathlib import Path

import pytest

from dunning_cli.stack.layout import Layout
from dunning_cli.stack.ports import Ports
from tests.stack import dunning_process, kept, without_named_servers


def up(data_dir: Path, *options: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    return dunning_process({**without_named_servers(), **environment}, "up", "--data-dir", str(data_dir), *options)


@pytest.mark.parametrize("detach", [[], ["--detach"]])
def test_services_alone_need_a_kafka_from_somewhere(tmp_path: Path, detach: list[str]) -> None:
    done = up(tmp_path, "--only", "services", *detach)

    assert done.returncode == 1
    assert (done.stdout + done.stderr).splitlines() == [
        f"DUNNING_KAFKA_BOOTSTRAP_SERVERS is not set, and nothing runs for {tmp_path}: "
        "`dunning up --only infra` starts it [DUN-L010]"
    ]


def test_a_named_broker_that_does_not_answer_stops_the_start(tmp_path: Path) -> None:
    port = Ports(Layout.at(tmp_path)).of("nobody")

    done = up(tmp_path, DUNNING_KAFKA_BOOTSTRAP_SERVERS=f"127.0.0.1:{port}")

    assert done.returncode == 1
    assert done.stderr.startswith(f"cannot reach Kafka at 127.0.0.1:{port} (connection refused)")
    assert done.stderr.endswith("[DUN-R002]\n")


def test_a_data_dir_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    done = up(tmp_path / "file")

    assert done.returncode == 1
    assert done.stderr == f"cannot use {tmp_path / 'file'}: file exists [DUN-L005]\n"


def test_a_download_that_fails_is_told_and_what_was_started_is_stopped(tmp_path: Path) -> None:
    nowhere = f"http://127.0.0.1:{Ports(Layout.at(tmp_path)).of('nobody')}"
    proxies = {"HTTPS_PROXY": nowhere, "https_proxy": nowhere, "NO_PROXY": "", "no_proxy": ""}

    done = up(tmp_path, "--only", "infra", DUNNING_CACHE_DIR=str(tmp_path / "cache"), **proxies)

    assert done.returncode == 1
    said = done.stdout.splitlines()
    assert said[-3:] == ["downloading Kafka: 46 files, once", "mail_sink stopped", "postgres stopped"]
    assert done.stderr.startswith("cannot download ")
    assert done.stderr.endswith("check the network and try again [DUN-L002]\n")


def test_what_the_settings_name_is_used_and_not_started(tmp_path: Path, kafka_bootstrap: str) -> None:
    done = up(tmp_path, "--only", "infra", "--detach", DUNNING_KAFKA_BOOTSTRAP_SERVERS=kafka_bootstrap)
    down = dunning_process(without_named_servers(), "down", "--data-dir", str(tmp_path))

    assert done.stdout.splitlines()[-3:] == ["postgres is ready", "mail_sink is ready", "ready"]
    assert f"DUNNING_KAFKA_BOOTSTRAP_SERVERS={kafka_bootstrap}\n" in (tmp_path / "env").read_text()
    assert down.returncode == 0


def test_a_mail_that_was_sent_lies_in_the_mail_dir(tmp_path: Path, kafka_bootstrap: str) -> None:
    message = EmailMessage()
    message["To"], message["Subject"] = "ada@home.test", "Ihre Zahlung über 12,00 €"
    message.set_content("Bitte prüfen Sie Ihre Karte.")

    with kept(tmp_path, DUNNING_KAFKA_BOOTSTRAP_SERVERS=kafka_bootstrap) as settings:
        host, _, port = settings["DUNNING_SMTP_URL"].removeprefix("smtp://").partition(":")
        with smtplib.SMTP(host, int(port)) as client:
            client.send_message(message, from_addr="billing@shop.test", to_addrs=["ada@home.test"])
        [mail] = Path(settings["DUNNING_MAIL_DIR"]).iterdir()

    assert mail.suffix == ".eml"
    assert mail.read_bytes().startswith(b"Return-Path: <billing@shop.test>\r\nDelivered-To: ada@home.test\r\n")
