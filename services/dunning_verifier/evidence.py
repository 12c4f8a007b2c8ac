"""Reads what others kept of a run: mails, the processor's ledger, what was poisoned on purpose, what was replayed."""

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from email.parser import BytesHeaderParser
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

from dunning_verifier.clock import instant
from dunning_verifier.replays import Replay
from dunning_verifier.values import Charge, Mail, Where

_KEPT_AT = re.compile(r"(\d{8}T\d{6})\.(\d{6})")


class CannotRead(Exception):
    """A source that could not be read to its end: nothing can be said then."""


def read_mails(folder: Path) -> list[Mail]:
    """Every `.eml` file of a folder. Raises CannotRead."""
    if not folder.is_dir():
        raise CannotRead(f"{folder} is no folder of mails")
    return [_mail(path) for path in sorted(folder.glob("*.eml"))]


def _mail(path: Path) -> Mail:
    with path.open("rb") as file:
        headers = BytesHeaderParser().parse(file)
    notice_id = headers.get("X-Dunning-Notice-Id")
    if not notice_id and headers.get("Message-ID"):
        notice_id = str(headers["Message-ID"]).strip().strip("<>").partition("@")[0]
    return Mail(path.name, str(notice_id).strip() if notice_id else None, _arrived_at(path, headers.get("Date")))


def _arrived_at(path: Path, date: Any) -> datetime | None:
    """When the other side had it: the sink's file name says so, else the mail's own date."""
    found = _KEPT_AT.search(path.name)
    if found:
        return datetime.strptime(".".join(found.groups()), "%Y%m%dT%H%M%S.%f").replace(tzinfo=UTC)
    try:
        written_at = parsedate_to_datetime(str(date)) if date else None
    except ValueError:
        return None
    return written_at.astimezone(UTC) if written_at and written_at.tzinfo else None


def read_charges(path: Path) -> list[Charge]:
    """The processor's ledger, NDJSON. Raises CannotRead."""
    charges = []
    for number, line in _ndjson(path):
        try:
            charges.append(
                Charge(
                    line=number,
                    retry_id=str(line["retry_id"]),
                    invoice_id=str(line["invoice_id"]),
                    at=instant(line["at"]),
                    outcome=str(line["outcome"]),
                    amount_minor=int(line["amount_minor"]),
                    currency=str(line["currency"]),
                )
            )
        except (KeyError, TypeError, ValueError) as error:
            raise CannotRead(f"{path}:{number}: not a charge: {error!r}") from None
    return charges


def read_poison(path: Path, prefix: str = "") -> dict[Where, str]:
    """The places of records that were made unreadable on purpose: NDJSON of topic (with its prefix or without),
    partition, offset and reason. Raises CannotRead."""
    found = {}
    for number, line in _ndjson(path):
        try:
            where = Where(str(line["topic"]).removeprefix(prefix), int(line["partition"]), int(line["offset"]))
            found[where] = str(line.get("reason") or line.get("why") or "made unreadable")
        except (KeyError, TypeError, ValueError) as error:
            raise CannotRead(f"{path}:{number}: not a place of a record: {error!r}") from None
    return found


def read_replays(path: Path, prefix: str = "") -> list[Replay]:
    """Dead letters that were replayed: NDJSON of the letter's topic (with its prefix or without), partition and offset,
    `at`, and the corrected `body` where there was one. Raises CannotRead."""
    found = []
    for number, line in _ndjson(path):
        try:
            letter = Where(str(line["topic"]).removeprefix(prefix), int(line["partition"]), int(line["offset"]))
            body = None if line.get("body") is None else json.dumps(line["body"]).encode()
            found.append(Replay(letter, instant(line["at"]), corrected=body is not None, body=body))
        except (KeyError, TypeError, ValueError) as error:
            raise CannotRead(f"{path}:{number}: not a replay: {error!r}") from None
    return found


def _ndjson(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise CannotRead(f"{path}: {error}") from None
    whole, newline, unfinished = text.rpartition("\n")  # whoever writes it may have been killed in its last line
    for number, line in enumerate((whole + newline if newline else unfinished).splitlines(), 1):
        if not line.strip():
            continue
        try:
            yield number, dict(json.loads(line))
        except (TypeError, ValueError) as error:
            raise CannotRead(f"{path}:{number}: not a JSON object: {error}") from None
