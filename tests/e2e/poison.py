"""Messages that nobody can use, with the reason that each service gives for setting them aside.

`kept` are the bytes that a dead letter has to hold: what came, except where a card number was masked.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from tests.e2e.foreign import (
    FAILED,
    NOTICE_RESULT,
    SIGNALS,
    STAGE_CHANGED,
    SUCCEEDED,
    Form,
    Invoice,
    Message,
    failed,
    minutes_ahead,
    succeeded,
    wrapped,
)

NOBODY = Invoice("nobody")
CARD, MASKED = b"4242 4242 4242 4242", b"**** **** **** 4242"
BODY_BYTES_MAX = 1024 * 1024
BATCH_BYTES = 120  # what Kafka needs around a body, with some room


@dataclass(frozen=True, slots=True)
class Poison:
    """A message, and what must become of it."""

    what: str
    topic: str
    message: Message
    reason: str
    masked: bytes | None = None
    compressed: bool = False

    @property
    def kept(self) -> bytes | None:
        """The bytes of its dead letter."""
        return self.masked if self.masked is not None else self.message.value


def poisons() -> Iterator[Poison]:
    """All of them, topic by topic."""
    for topic in (FAILED, SUCCEEDED, SIGNALS):
        yield from _of_any_topic(topic)
    yield from _of_failures()
    yield from _of_successes()
    yield from _of_peers()


def _of_any_topic(topic: str) -> Iterator[Poison]:
    bodies: tuple[tuple[str, bytes | None, str], ...] = (
        ("invalid JSON", b'{"account_id": "acc_nobody", ', "invalid_json"),
        ("no JSON at all", b"<payment/>", "invalid_json"),
        ("bad UTF-8", b'{"account_id": "acc_\xff\xfe"}', "bad_utf8"),
        ("a null value", None, "null_value"),
        ("an empty body", b"", "invalid_json"),
        ("text where an object belongs", b'"acc_nobody"', "wrong_type"),
        ("nesting 10 000 deep", b"[" * 10_000 + b"]" * 10_000, "too_deep"),
        ("NaN", b'{"amount_minor": NaN}', "not_a_number"),
        ("an object without its fields", b"{}", "missing_field"),
        ("a broken body at the size limit", b" " * (BODY_BYTES_MAX - BATCH_BYTES) + b"{", "invalid_json"),
    )
    for what, body, reason in bodies:
        yield Poison(what, topic, Message(body), reason)
    beyond = Message(b" " * (BODY_BYTES_MAX + 1))
    yield Poison("a body beyond the size limit", topic, beyond, "too_large", compressed=True)
    yield Poison("a future version", topic, wrapped(Form.BINARY, topic, b"{}", version=2), "future_version")
    yield Poison("a future version", topic, wrapped(Form.STRUCTURED, topic, b"{}", version=17), "future_version")
    card = b'{"message": "card %s was declined"}'
    yield Poison("a card number", topic, Message(card % CARD), "card_number", masked=card % MASKED)


def _of_failures() -> Iterator[Poison]:
    good = failed(NOBODY)
    changes: tuple[tuple[str, bytes, bytes, str], ...] = (
        ("a missing field", b'"payment_id"', b'"pament_id"', "missing_field"),
        ("an amount in a text", b'"amount_minor" : 4900', b'"amount_minor" : "4900"', "wrong_type"),
        ("a negative amount", b'"amount_minor" : 4900', b'"amount_minor" : -4900', "negative_amount"),
        ("a currency that does not exist", b'"EUR"', b'"EUX"', "unknown_currency"),
        ("a card number in a message", b"Konto nicht gedeckt", CARD, "card_number"),
    )
    for what, before, after, reason in changes:
        body = good.replace(before, after)
        masked = body.replace(CARD, MASKED) if reason == "card_number" else None
        for form in (Form.PLAIN, Form.STRUCTURED):
            message = wrapped(form, FAILED, body)
            kept = message.value.replace(CARD, MASKED) if masked and message.value else None
            yield Poison(what, FAILED, message, reason, masked=kept)
    yield Poison("a time 61 minutes ahead", FAILED, Message(failed(NOBODY, at=minutes_ahead(61))), "future_time")
    wrong = wrapped(Form.BINARY, SUCCEEDED, succeeded(NOBODY))
    yield Poison("a success among the failures", FAILED, wrong, "wrong_topic")


def _of_successes() -> Iterator[Poison]:
    ahead = Message(succeeded(NOBODY, at=minutes_ahead(61)))
    yield Poison("a time 61 minutes ahead", SUCCEEDED, ahead, "future_time")
    owed = Message(succeeded(NOBODY).replace(b'"amount_remaining_minor":0', b'"amount_remaining_minor":-1'))
    yield Poison("a negative remainder", SUCCEEDED, owed, "negative_amount")


def _of_peers() -> Iterator[Poison]:
    """A service trusts its peers no more than anybody else."""
    for topic in (STAGE_CHANGED, NOTICE_RESULT):
        yield Poison("invalid JSON", topic, Message(b'{"case_id": '), "invalid_json")
        yield Poison("a null value", topic, Message(None), "null_value")
        yield Poison("a future version", topic, wrapped(Form.BINARY, topic, b"{}", version=2), "future_version")
