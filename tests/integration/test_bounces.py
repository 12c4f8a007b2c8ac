"""Bounces out of a folder and an IMAP mailbox into a real Kafka (rule 30)."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import orjson
import pytest
from aiokafka import AIOKafkaConsumer, ConsumerRecord
from pydantic import SecretStr

from dunning.contracts.topics import SIGNALS
from dunning.runtime.health import Health
from dunning.runtime.mode import Mode
from dunning.runtime.settings import load_settings
from notification_dispatcher.bounces.box import BoxTrouble
from notification_dispatcher.bounces.reader import BounceReader, bounce_readers
from notification_dispatcher.metrics import NoticeMetrics
from notification_dispatcher.settings import DispatcherSettings
from tests.beside import beside
from tests.bounce_mails import NOTICE_ID, RETURNED, exchange, postfix, recipient, vacation
from tests.imap_server import ImapMailbox
from tests.kernel import eventually, make_topics
from tests.mail_server import CERTIFICATE

TOLD = {
    "kind": "notice.bounced",
    "account_id": "acct/1 ü",
    "at": "2026-10-01T10:00:04.999999Z",
    "invoice_id": "in_1",
    "channel": "email",
    "notice_id": NOTICE_ID,
    "rung": "payment_failed",
    "permanent": True,
}
NOT_OURS = postfix(returned="From: a@b.example\nMessage-ID: <1@b.example>\n")
BYTES_MAX = 64 * 1024


class Town:
    """A broker with the topic for signals, and the settings of whoever reads bounces into it."""

    def __init__(self, bootstrap: str, prefix: str) -> None:
        self.bootstrap = bootstrap
        self.prefix = prefix
        self.metrics = NoticeMetrics()

    def reader(self, **settings: Any) -> BounceReader:
        (reader,) = bounce_readers(self.settings(**settings), self.metrics)
        return reader

    def settings(self, **settings: Any) -> DispatcherSettings:
        given: dict[str, Any] = {
            "kafka_bootstrap_servers": self.bootstrap,
            "database_url": "postgresql://nobody@127.0.0.1/none",
            "topic_prefix": self.prefix,
            "mail_sender_address": "billing@acme.example",
            "bounce_mail_bytes_max": BYTES_MAX,
            "bounce_poll_seconds": 0.05,
            "bounce_pause_seconds_max": 0.05,
            "bounce_imap_timeout_seconds": 2,
        }
        return load_settings(DispatcherSettings, **(given | settings))

    def counted(self, box: str, outcome: str) -> float:
        value = self.metrics.registry.get_sample_value("dunning_bounce_mails_total", {"box": box, "outcome": outcome})
        return value or 0.0

    async def signals(self, count: int) -> Sequence[ConsumerRecord]:
        """All that was told: so many, and not one more."""
        reader = AIOKafkaConsumer(self.prefix + SIGNALS, bootstrap_servers=self.bootstrap, auto_offset_reset="earliest")
        await reader.start()
        try:
            parts = reader.assignment()
            ends = await reader.end_offsets(parts)
            assert sum(ends.values()) == count
            found: list[ConsumerRecord] = []
            while len(found) < count:
                for records in (await reader.getmany(timeout_ms=100)).values():
                    found += records
            return found
        finally:
            await reader.stop()


@pytest.fixture
async def town(kafka_bootstrap: str, topic_prefix: str) -> Town:
    await make_topics(kafka_bootstrap, [topic_prefix + SIGNALS])
    return Town(kafka_bootstrap, topic_prefix)


def imap_url(mailbox: ImapMailbox, scheme: str = "imap", host: str = "127.0.0.1", options: str = "") -> SecretStr:
    return SecretStr(f"{scheme}://bounces%40acme.example:pass%22word@{host}:{mailbox.port}/INBOX{options}")


async def test_a_folder_is_emptied_and_its_bounces_are_told(town: Town, tmp_path: Path) -> None:
    mails = {
        "1.eml": postfix(),
        "2.eml": vacation(),
        "3.eml": NOT_OURS,
        "4.eml": postfix(recipient("delayed", "4.4.1")),
        "5.eml": exchange(with_headers=False),
        "6.eml": postfix() + b"x" * BYTES_MAX,
    }
    for name, content in mails.items():
        (tmp_path / name).write_bytes(content)
    (tmp_path / "notes.txt").write_text("not a mail")
    (tmp_path / "7.eml").symlink_to(tmp_path / "notes.txt")
    reader = town.reader(bounce_dir=tmp_path)

    await reader.look()
    await reader.close()

    (record,) = await town.signals(1)
    headers = dict(record.headers)
    assert record.key == "acct/1 ü".encode()
    assert orjson.loads(record.value) == TOLD
    assert headers["ce_type"] == b"dunning.signals.v1"
    assert headers["ce_source"] == b"/dunning/notification_dispatcher"
    assert sorted(path.name for path in tmp_path.glob("done/*")) == ["1.eml", "4.eml"]
    assert sorted(path.name for path in tmp_path.glob("other/*")) == ["2.eml", "3.eml", "5.eml", "6.eml"]
    assert (tmp_path / "done/1.eml").read_bytes() == mails["1.eml"]
    outcomes = ("bounced", "no_report", "foreign", "delayed", "incomplete", "too_large")
    assert [town.counted("folder", outcome) for outcome in outcomes] == [1, 1, 1, 1, 1, 1]


async def test_a_maildir_is_read_from_new_and_nothing_in_it_is_overwritten(town: Town, tmp_path: Path) -> None:
    for name in ("new", "cur", "tmp"):
        (tmp_path / name).mkdir()
    (tmp_path / "new" / "17.acme").write_bytes(postfix())
    (tmp_path / "new" / "18.acme").write_bytes(vacation())
    (tmp_path / "cur" / "17.acme:2,S").write_bytes(b"an older one")
    (tmp_path / "tmp" / "19.acme").write_bytes(postfix())
    reader = town.reader(bounce_dir=tmp_path)

    await reader.look()
    await reader.close()

    assert [orjson.loads(each.value) for each in await town.signals(1)] == [TOLD]
    assert sorted(path.name for path in tmp_path.glob("cur/*")) == ["17.acme:2,S", "17.acme:2,S.1"]
    assert (tmp_path / "cur" / "17.acme:2,S").read_bytes() == b"an older one"
    assert [path.name for path in tmp_path.glob("other/*")] == ["18.acme"]
    assert list(tmp_path.glob("new/*")) == []


async def test_a_process_that_dies_between_telling_and_marking_tells_the_same_again(town: Town, tmp_path: Path) -> None:
    (tmp_path / "1.eml").write_bytes(postfix())
    environment = {
        **os.environ,
        "DUNNING_KAFKA_BOOTSTRAP_SERVERS": town.bootstrap,
        "DUNNING_DATABASE_URL": "postgresql://nobody@127.0.0.1/none",
        "DUNNING_TOPIC_PREFIX": town.prefix,
        "DUNNING_MAIL_SENDER_ADDRESS": "billing@acme.example",
        "DUNNING_BOUNCE_DIR": str(tmp_path),
        "DUNNING_CRASH_AT": "bounce.published",
    }

    command = [sys.executable, "-m", "tests.bounce_process"]
    died = await asyncio.to_thread(subprocess.run, command, env=environment, check=False)
    assert died.returncode == -signal.SIGKILL
    assert [path.name for path in tmp_path.iterdir()] == ["1.eml"]
    reader = town.reader(bounce_dir=tmp_path)
    await reader.look()
    await reader.close()

    first, again = await town.signals(2)
    assert first.value == again.value
    assert dict(first.headers)["ce_id"] == dict(again.headers)["ce_id"]
    assert [path.name for path in tmp_path.glob("*/*")] == ["1.eml"]


async def test_a_mail_stays_while_kafka_does_not_take_it(town: Town, tmp_path: Path) -> None:
    (tmp_path / "1.eml").write_bytes(postfix())
    reader = town.reader(bounce_dir=tmp_path, kafka_bootstrap_servers="127.0.0.1:1", kafka_request_timeout_seconds=1)

    with pytest.raises(Exception, match=r"127\.0\.0\.1"):
        await reader.look()
    await reader.close()

    assert [path.name for path in tmp_path.iterdir()] == ["1.eml"]


@pytest.mark.parametrize("implicit_tls", [False, True])
async def test_a_mailbox_has_its_bounces_flagged_and_everything_else_left_alone(town: Town, implicit_tls: bool) -> None:
    async with ImapMailbox(implicit_tls=implicit_tls) as mailbox:
        for mail in (vacation(), postfix(), NOT_OURS, postfix() + b"x" * BYTES_MAX):
            mailbox.put(mail)
        mailbox.put(postfix(returned=RETURNED.replace("in_1", "in_2")), number=4_000_000)
        url = imap_url(mailbox, "imaps", "localhost", f"?ca_file={CERTIFICATE}") if implicit_tls else imap_url(mailbox)
        reader = town.reader(bounce_imap_url=url)
        await reader.look()
        await reader.look()
        await reader.close()

    told = [orjson.loads(each.value) for each in await town.signals(2)]
    assert told == [TOLD, TOLD | {"invoice_id": "in_2"}]
    assert mailbox.seen == {2, 4_000_000}
    assert mailbox.fetched == [1, 2, 3, 4_000_000]
    outcomes = ("bounced", "no_report", "foreign", "too_large")
    assert [town.counted("imap", outcome) for outcome in outcomes] == [2, 1, 1, 1]


async def test_a_mailbox_that_was_made_anew_is_read_from_its_beginning(town: Town) -> None:
    async with ImapMailbox() as mailbox:
        mailbox.put(vacation(), number=500)
        reader = town.reader(bounce_imap_url=imap_url(mailbox))
        await reader.look()
        mailbox.validity, mailbox.mails = 8, {1: postfix()}
        await reader.look()
        await reader.close()

    assert mailbox.seen == {1}
    await town.signals(1)


async def test_a_certificate_that_nobody_vouches_for_gets_no_password(town: Town) -> None:
    async with ImapMailbox(implicit_tls=True) as mailbox:
        reader = town.reader(bounce_imap_url=imap_url(mailbox, "imaps"))
        with pytest.raises(BoxTrouble, match="cannot be trusted"):
            await reader.look()

    assert mailbox.logins == 0


class Modes:
    """Stands for the store, of which only the mode is asked."""

    def __init__(self, mode: Mode) -> None:
        self.word = mode
        self.asked = 0

    async def mode(self) -> str:
        self.asked += 1
        return self.word


@asynccontextmanager
async def running(reader: BounceReader, modes: Modes, health: Health) -> AsyncIterator[None]:
    async with beside(reader.run(modes, health)):
        yield


async def test_a_broken_box_is_an_alarm_until_it_works_again(town: Town) -> None:
    health = Health(town.metrics)
    mailbox = ImapMailbox(silent_at="SELECT")
    await mailbox.start()
    mailbox.put(postfix())
    reader = town.reader(bounce_imap_url=imap_url(mailbox), bounce_imap_timeout_seconds=0.2)

    async def alarmed() -> bool:
        return bool(health.alarms)

    async def calm_again() -> bool:
        return not health.alarms and mailbox.seen == {1}

    async with running(reader, Modes(Mode.ACT), health):
        await eventually(alarmed, "the alarm about a silent server")
        assert "DUN-R033" in health.alarms["bounces imap"]
        assert "pass" not in health.alarms["bounces imap"]
        await mailbox.stop()
        mailbox.silent_at = ""
        await mailbox.start()
        await eventually(calm_again, "the mailbox to be read")
    await mailbox.stop()
    await town.signals(1)


@pytest.mark.parametrize("mode", [Mode.OBSERVE, Mode.STOP])
async def test_who_does_not_act_leaves_the_box_alone(town: Town, tmp_path: Path, mode: Mode) -> None:
    (tmp_path / "1.eml").write_bytes(postfix())
    modes = Modes(mode)

    async def asked_twice() -> bool:
        return modes.asked >= 2

    async def emptied() -> bool:
        return not (tmp_path / "1.eml").exists()

    async with running(town.reader(bounce_dir=tmp_path), modes, Health(town.metrics)):
        await eventually(asked_twice, "a second look at the mode")
        assert (tmp_path / "1.eml").exists()
        modes.word = Mode.ACT
        await eventually(emptied, "the mail to be dealt with")
    await town.signals(1)
