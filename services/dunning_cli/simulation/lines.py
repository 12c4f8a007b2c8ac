"""Lines in and lines out of `dunning simulate` (docs/examples)."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property, lru_cache
from typing import Any, NamedTuple

import orjson

from dunning.contracts.decode import decode
from dunning.contracts.decoded import Decoded
from dunning.contracts.encode import encode_data, topic_of
from dunning.contracts.fields import EARLIEST, LATEST
from dunning.contracts.topics import PAYMENT_FAILED, PAYMENT_SUCCEEDED, SIGNALS
from dunning.domain.calendar import rfc3339
from dunning.domain.events import AccountStatus, Failure, NoticeResult, Output, RetryRequested, StageChanged
from dunning.domain.rfc3339 import parse_rfc3339
from dunning_cli.simulation.deep import cut_deep_data
from dunning_cli.simulation.processor import ScriptedAnswer
from dunning_cli.simulation.world import Published

UNUSABLE = "DUN-S001"
INPUT_TOPICS = (PAYMENT_FAILED, PAYMENT_SUCCEEDED, SIGNALS)


class BadLine(Exception):
    """`FILE:line: what [code]`."""

    def __init__(self, file: str, number: int, what: str) -> None:
        super().__init__(f"{file}:{number}: {what} [{UNUSABLE}]")


@dataclass(frozen=True)
class InputLine:
    """An event as the file gives it: read at `at`, in the order of the file among those of the same instant."""

    number: int
    at: datetime
    topic: str
    value: bytes
    account_id: str | None = None  # as it is written; None where only reading all of it can tell
    method_key: str = ""  # the same of the payment method's identity

    @cached_property
    def decoded(self) -> Decoded:
        """What it says to the services; worked out once."""
        return decode(self.topic, None, self.value, (), now=self.at)


def read_inputs(file: str, content: bytes) -> list[InputLine]:
    """The lines in the order in which they take effect. Raises BadLine."""
    lines = [_input_line(file, number, text) for number, text in _texts(content)]
    return sorted(lines, key=lambda line: line.at)


def _texts(content: bytes) -> Iterator[tuple[int, bytes]]:
    return ((number, text) for number, text in enumerate(content.split(b"\n"), 1) if text.strip())


def _row(file: str, number: int, text: bytes) -> dict[str, Any]:
    try:
        row = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise BadLine(file, number, f"not a line of JSON: {error.msg}") from None
    if not isinstance(row, dict):
        raise BadLine(file, number, "not a JSON object")
    return row


def _input_line(file: str, number: int, text: bytes) -> InputLine:
    text, deep_data = cut_deep_data(text)
    row = _row(file, number, text)
    said = row.get("at")
    at = parse_rfc3339(said) if isinstance(said, str) else None
    if at is None:
        raise BadLine(file, number, '"at" is not an RFC 3339 time with an offset, such as "2026-03-02T10:00:00Z"')
    if not EARLIEST <= at < LATEST:
        raise BadLine(file, number, '"at" is not a time from 1970 to 2199')
    topic = row.get("topic")
    if topic not in INPUT_TOPICS:
        raise BadLine(file, number, f'"topic" is not one of {", ".join(INPUT_TOPICS)}')
    data = row.get("data")
    if not isinstance(data, dict):
        raise BadLine(file, number, '"data" is not an object')
    value = _of_its_length(orjson.dumps(data)) if deep_data is None else deep_data
    account_id = data.get("account_id")
    if not isinstance(account_id, str) or "specversion" in data:
        return InputLine(number, at, topic, value)
    return InputLine(number, at, topic, value, account_id, _method_key(data.get("payment_method")))


def _method_key(method: object) -> str:
    """Identity of a payment method that can be read (see `dunning.domain.events.PaymentMethod.key`)."""
    if not isinstance(method, dict):
        return ""
    key = method.get("fingerprint") or method.get("id")
    return key if isinstance(key, str) else ""


def read_charges(file: str, content: bytes) -> dict[tuple[str, int], ScriptedAnswer]:
    """What a charges file says, by invoice and attempt number. Raises BadLine."""
    return dict(_told(file, number, _row(file, number, text)) for number, text in _texts(content))


def _told(file: str, number: int, row: dict[str, Any]) -> tuple[tuple[str, int], ScriptedAnswer]:
    invoice_id, attempt, answer = row.get("invoice_id"), row.get("attempt_number"), row.get("answer")
    if not isinstance(invoice_id, str):
        raise BadLine(file, number, '"invoice_id" is not a text')
    if not isinstance(attempt, int) or isinstance(attempt, bool) or attempt < 1:
        raise BadLine(file, number, '"attempt_number" is not a whole number from 1')
    if answer not in ("fail", "succeed"):
        raise BadLine(file, number, '"answer" is not "fail" or "succeed"')
    return (invoice_id, attempt), ScriptedAnswer(answer == "succeed", _failure(file, number, row.get("failure")))


def _failure(file: str, number: int, failure: object) -> Failure | None:
    if failure is None:
        return None
    if not isinstance(failure, dict) or not isinstance(failure.get("code"), str) or not failure["code"]:
        raise BadLine(file, number, '"failure" is not an object with a "code"')
    texts = {name: value for name, value in failure.items() if isinstance(value, str)}
    return Failure(
        code=texts["code"],
        message=texts.get("message"),
        network=texts.get("network"),
        network_decline_code=texts.get("network_decline_code"),
        network_advice_code=texts.get("network_advice_code"),
        decline_class=texts.get("class"),
    )


class OutputLine(NamedTuple):
    """A line without its end, and where it stands: by time, then topic, account, case, track and sequence (rule 46).

    `place` compares as these would one by one: ids hold no control characters, and numbers and times are of one length.
    """

    place: str
    text: bytes


def line_of(published: Published) -> OutputLine:
    """The line that tells of an event."""
    output, topic = published.output, topic_of(published.output)
    case, track = _case_and_track(output)
    place = f"{_of_one_length(published.at)}\0{topic}\0{output.account_id}\0{case}\0{track}\0{output.sequence:010d}"
    text = {
        "at": rfc3339(published.at),
        "topic": topic,
        "key": output.account_id,
        "type": f"{topic}.v1",
        "sequence": output.sequence,
        "data": encode_data(output),
    }
    return OutputLine(place, _of_its_length(orjson.dumps(text)))


def _of_its_length(text: bytes) -> bytes:
    """The same without the room that orjson leaves behind it: several times its length, for each line that is kept."""
    return bytes(memoryview(text))


@lru_cache(maxsize=4096)
def _of_one_length(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="microseconds")


def _case_and_track(output: Output) -> tuple[str, str]:
    match output:
        case StageChanged():
            return output.case_id, output.track
        case NoticeResult():
            return output.case_ids[0], ""
        case RetryRequested():
            return output.case_id, ""
        case AccountStatus():
            return "", ""
