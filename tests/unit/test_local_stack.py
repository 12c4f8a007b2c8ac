"""The small rules of the local stack: pauses, ports, records, the env file, mails, pinned jars."""

import os
import signal
import socket
import subprocess
from pathlib import Path

import pytest

from dunning_cli.stack.env_file import EnvFile
from dunning_cli.stack.errors import cause_in_log, from_os_error
from dunning_cli.stack.jars import WANTED, lock_file, read_lock
from dunning_cli.stack.layout import Layout, made_beside
from dunning_cli.stack.mail_sink import MailDir
from dunning_cli.stack.ports import HOST, Ports
from dunning_cli.stack.processes import Command, Process, spawn, stop_all
from dunning_cli.stack.reach import require_database, require_kafka, require_smtp
from dunning_cli.stack.restarts import next_pause_seconds


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout.at(tmp_path / "data")


def test_the_pause_before_a_restart_doubles_up_to_half_a_minute() -> None:
    pauses = [next_pause_seconds(None, was_alive_seconds=0)]
    while len(pauses) < 10:
        pauses.append(next_pause_seconds(pauses[-1], was_alive_seconds=1))

    assert pauses == [0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 30.0, 30.0]


def test_a_minute_alive_forgives_earlier_deaths() -> None:
    assert next_pause_seconds(25.6, was_alive_seconds=59.9) == 30.0
    assert next_pause_seconds(25.6, was_alive_seconds=60.0) == 0.2


def test_a_port_is_remembered_while_it_is_free(layout: Layout) -> None:
    first = Ports(layout).of("kafka")

    assert Ports(layout).of("kafka") == first


def test_a_port_that_somebody_else_took_is_given_up(layout: Layout) -> None:
    first = Ports(layout).of("kafka")
    with socket.create_server((HOST, first)):
        assert Ports(layout).of("kafka") != first


def test_two_parts_never_get_the_same_port(layout: Layout) -> None:
    ports = Ports(layout)

    assert len({ports.of(f"part-{number}") for number in range(50)}) == 50


def test_the_env_file_keeps_the_lines_of_others_and_is_for_its_owner_only(layout: Layout) -> None:
    EnvFile(layout).update({"DUNNING_SMTP_URL": "smtp://127.0.0.1:25", "DUNNING_MAIL_DIR": "/a dir"})
    EnvFile(layout).set_pid("kafka", 17)
    EnvFile(layout).update({"DUNNING_MAIL_DIR": None})

    assert layout.env_file.read_text() == "DUNNING_PIDS_KAFKA=17\nDUNNING_SMTP_URL=smtp://127.0.0.1:25\n"
    assert layout.env_file.stat().st_mode & 0o777 == 0o600


def test_a_started_process_is_recognised_by_its_record(layout: Layout) -> None:
    started = start(layout, "exec sleep 600")
    recorded = Process.recorded_in(layout.record_of("part"))

    assert recorded is not None
    assert recorded.pid == started.pid
    assert recorded.is_alive()
    assert stop_all([recorded], signal.SIGTERM, seconds_max=10) == []
    assert not recorded.is_alive()


def test_another_process_with_the_same_number_is_not_taken_for_ours() -> None:
    ourselves = Process.of_pid(os.getpid())

    assert ourselves is not None
    assert ourselves.is_alive()
    assert not Process(pid=ourselves.pid, started_ticks=ourselves.started_ticks + 1).is_alive()


def test_what_does_not_want_to_stop_is_killed(layout: Layout) -> None:
    started = start(layout, "trap '' TERM; echo deaf; exec sleep 600")
    process = Process.of_pid(started.pid)
    while not layout.log_of("part").read_text():
        os.sched_yield()

    assert process is not None
    assert stop_all([process], signal.SIGTERM, seconds_max=0.2) == [process]
    assert not process.is_alive()


@pytest.mark.parametrize("half_written", ["", "12", "12 (sh) S 1"])
def test_a_record_that_was_never_finished_names_nobody(layout: Layout, half_written: str) -> None:
    layout.record_of("part").write_text(half_written)

    assert Process.recorded_in(layout.record_of("part")) is None


def test_the_reason_of_a_death_is_told_in_a_persons_words(tmp_path: Path) -> None:
    log = tmp_path / "kafka.log"
    log.write_text("starting\njava.io.IOException: No space left on device\n  at java.base/sun.nio.ch\n")

    assert cause_in_log(log) == "no space left on its disk (DUN-L004)"


def test_a_full_disk_is_one_line_with_a_code() -> None:
    full = OSError(28, "No space left on device", "/data/kafka")

    assert str(from_os_error(full)) == "no space left on the disk of /data/kafka: free some [DUN-L004]"


def test_a_broker_that_does_not_answer_is_one_line_that_says_what_to_do(layout: Layout) -> None:
    port = Ports(layout).of("nobody")

    with pytest.raises(Exception, match="DUN-R002") as refusal:
        require_kafka(f"127.0.0.1:{port}")

    assert str(refusal.value) == (
        f"cannot reach Kafka at 127.0.0.1:{port} (connection refused): is it running? "
        "`dunning up` starts one where DUNNING_KAFKA_BOOTSTRAP_SERVERS names none [DUN-R002]"
    )


def test_the_password_of_a_database_is_not_told_when_it_cannot_be_reached(layout: Layout) -> None:
    with pytest.raises(Exception, match="DUN-R003") as refusal:
        require_database(f"postgresql://dunning:secret@127.0.0.1:{Ports(layout).of('nobody')}/dunning")

    assert "secret" not in str(refusal.value)


def test_of_several_servers_of_a_database_one_that_listens_is_enough(layout: Layout) -> None:
    nobody = Ports(layout).of("nobody")
    with socket.create_server((HOST, 0)) as somebody:
        port = somebody.getsockname()[1]
        require_database(f"postgresql://dunning:secret@{HOST}:{nobody},{HOST}:{port}/dunning")


@pytest.mark.parametrize("url", ["smtp://127.0.0.1:25x", "smtp://[::1", "smtp://127.0.0.1:99999"])
def test_an_address_that_is_none_is_no_traceback(url: str) -> None:
    with pytest.raises(Exception, match=r"the mail server at .* \(not of the form host:port\).* \[DUN-"):
        require_smtp(url)


def test_mails_sort_by_arrival_and_show_their_envelope(tmp_path: Path) -> None:
    mail_dir = MailDir(tmp_path)
    kept = [mail_dir.keep("billing@shop.test", ["ada@home.test"], b"Subject: %d\r\n\r\n" % n) for n in range(20)]

    assert sorted(tmp_path.iterdir()) == kept
    assert kept[3].read_bytes() == (
        b"Return-Path: <billing@shop.test>\r\nDelivered-To: ada@home.test\r\nSubject: 3\r\n\r\n"
    )


def test_every_wanted_jar_is_pinned_and_no_address_is_named() -> None:
    pinned = {f"{jar.group}:{jar.artifact}:{jar.version}" for jar in read_lock(lock_file())}

    assert set(WANTED) <= pinned
    assert "//" not in lock_file().read_text()


def start(layout: Layout, script: str) -> "subprocess.Popen[bytes]":
    command = Command(["/bin/sh", "-c", script], working_dir=layout.root)
    started = spawn(command, record=layout.record_of("part"), log=layout.log_of("part"))
    while Process.recorded_in(layout.record_of("part")) is None:
        os.sched_yield()
    return started


def test_a_folder_gets_its_name_only_when_it_is_whole(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), made_beside(tmp_path / "data") as unfinished:
        (unfinished / "half of it").touch()

    assert not (tmp_path / "data").exists()

    with made_beside(tmp_path / "data") as unfinished:
        unfinished.mkdir()

    assert list(tmp_path.iterdir()) == [tmp_path / "data"]
