"""What the services publish: binary CloudEvents with every attribute, the same bytes every time."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from msgspec.structs import replace

from dunning.contracts.decode import decode
from dunning.contracts.decode_output import decode_output
from dunning.contracts.decoded import Decoded, PassedOver, Readable, Unreadable
from dunning.contracts.encode import encode, encode_data
from dunning.contracts.encode_inputs import Form, payment_failed_message, payment_succeeded_message, signal_message
from dunning.domain.events import (
    AccountStatus,
    Customer,
    Failure,
    NextStep,
    NoticeResult,
    OpenCase,
    Output,
    Owed,
    PaymentFailed,
    PaymentMethod,
    PaymentSucceeded,
    PolicyRef,
    RetryRequested,
    Signal,
    StageChanged,
)
from dunning.domain.words import Channel
from tests.wire import NOW

TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
TEN = datetime(2026, 3, 2, 10, tzinfo=UTC)
LATER = datetime(2026, 3, 2, 10, 0, 0, 1500, tzinfo=UTC)

TRANSITION = StageChanged(
    event_id="evt_9",
    sequence=3,
    causation_id="evt_1",
    case_id="case_1",
    account_id="acc_1",
    invoice_id="in_1",
    track="account",
    from_stage="past_due",
    to_stage="suspended",
    reason="grace_period_expired",
    effective_at=TEN,
    policy=PolicyRef("standard", 3),
    next=NextStep("terminated", LATER),
    amount_minor=4900,
    currency="EUR",
    details={"rung": "suspended", "warned_at": LATER},
    traceparent=TRACE,
)
NOTICE_TRANSITION = replace(TRANSITION, track="notice")
REQUEST = RetryRequested(
    event_id="evt_10",
    sequence=1,
    causation_id="evt_1",
    retry_id="case_1:2",
    case_id="case_1",
    account_id="acc_1",
    invoice_id="in_1",
    payment_id="pay_1",
    amount_minor=4900,
    currency="EUR",
    payment_method_id=None,
    attempt_number=2,
    not_before=TEN,
    not_after=LATER,
    reason="planned",
    decline_class="soft",
)
RESULT = NoticeResult(
    event_id="evt_11",
    sequence=2,
    causation_id="evt_1",
    notice_id="notice_1",
    case_ids=("case_1", "case_2"),
    account_id="acc_1",
    invoice_id="in_1",
    rung="formal_notice",
    channel="email",
    template="formal_notice",
    locale="de",
    outcome="delivered",
    reason=None,
    provider="smtp",
    provider_message_id="<1@example.com>",
    at=TEN,
)
STATUS = AccountStatus(
    event_id="evt_12",
    sequence=4,
    causation_id="evt_1",
    account_id="acc_1",
    status="suspended",
    previous_status="past_due",
    since=TEN,
    reason="grace_period_expired",
    effective_at=LATER,
    open_cases=(OpenCase("case_1", "in_1", 4900, "EUR", 14),),
    to_reinstate=(Owed("EUR", 4900),),
    policy=PolicyRef("standard", 3),
    case_id="case_1",
)


def test_a_transition_is_a_binary_cloudevent_with_every_attribute() -> None:
    message = encode(TRANSITION)

    assert message.topic == "dunning.stage.changed"
    assert message.key == b"acc_1"
    assert message.headers == (
        ("content-type", b"application/json"),
        ("ce_specversion", b"1.0"),
        ("ce_id", b"evt_9"),
        ("ce_source", b"/dunning/account_enforcement"),
        ("ce_type", b"dunning.stage.changed.v1"),
        ("ce_subject", b"in_1"),
        ("ce_time", b"2026-03-02T10:00:00Z"),
        ("ce_dataschema", b"urn:dunning:events:dunning.stage.changed:v1"),
        ("ce_correlationid", b"case_1"),
        ("ce_causationid", b"evt_1"),
        ("ce_sequence", b"3"),
        ("ce_traceparent", TRACE.encode()),
    )
    assert message.value == (
        b'{"case_id":"case_1","account_id":"acc_1","invoice_id":"in_1","track":"account","from_stage":"past_due",'
        b'"to_stage":"suspended","reason":"grace_period_expired","effective_at":"2026-03-02T10:00:00Z",'
        b'"policy":{"id":"standard","version":3},"next":{"stage":"terminated","due_at":"2026-03-02T10:00:00.001500Z"},'
        b'"amount_minor":4900,"currency":"EUR",'
        b'"details":{"rung":"suspended","warned_at":"2026-03-02T10:00:00.001500Z"}}'
    )


@pytest.mark.parametrize(
    ("output", "topic", "service", "subject", "time"),
    [
        (replace(TRANSITION, track="retry"), "stage.changed", "retry_scheduler", "in_1", "2026-03-02T10:00:00Z"),
        (
            replace(TRANSITION, track="notice"),
            "stage.changed",
            "notification_dispatcher",
            "in_1",
            "2026-03-02T10:00:00Z",
        ),
        (REQUEST, "retry.requested", "retry_scheduler", "in_1", "2026-03-02T10:00:00Z"),
        (RESULT, "notice.result", "notification_dispatcher", "in_1", "2026-03-02T10:00:00Z"),
        (STATUS, "account.status", "account_enforcement", "acc_1", "2026-03-02T10:00:00.001500Z"),
    ],
)
def test_each_kind_has_its_topic_its_service_and_its_time(
    output: Output, topic: str, service: str, subject: str, time: str
) -> None:
    message = encode(output, prefix="staging.")
    headers = {name: text.decode() for name, text in message.headers}

    assert message.topic == f"staging.dunning.{topic}"
    assert headers["ce_type"] == f"dunning.{topic}.v1"
    assert headers["ce_source"] == f"/dunning/{service}"
    assert (headers["ce_subject"], headers["ce_time"]) == (subject, time)
    assert headers["ce_correlationid"] == "case_1"


def test_a_trace_that_did_not_come_in_does_not_go_out() -> None:
    assert "ce_traceparent" not in dict(encode(REQUEST).headers)


def test_next_is_null_where_nothing_comes() -> None:
    assert encode_data(replace(TRANSITION, next=None))["next"] is None


@pytest.mark.parametrize("output", [TRANSITION, REQUEST, RESULT, STATUS], ids=lambda output: type(output).__name__)
def test_what_was_published_reads_back_as_it_was(output: Output) -> None:
    message = encode(output)
    read_back = decode_output(message.topic, message.value, message.headers)

    if isinstance(output, StageChanged):
        output = replace(output, details={"rung": "suspended", "warned_at": "2026-03-02T10:00:00.001500Z"})
    assert read_back == output
    assert encode(output).value == message.value


@pytest.mark.parametrize("output", [TRANSITION, RESULT], ids=lambda output: type(output).__name__)
def test_a_peer_reads_it_too_and_knows_it_by_its_source_and_id(output: Output) -> None:
    message = encode(output)
    decoded = decode(message.topic, message.key, message.value, message.headers, NOW)

    assert isinstance(decoded, Readable)
    assert decoded.input.event_id == output.event_id
    assert [sighting.what for sighting in decoded.sightings] == ["cloudevent"]
    assert decoded.noted == ()


def test_a_peer_without_an_envelope_is_read_without_a_sequence() -> None:
    decoded = decode("dunning.stage.changed", b"acc_1", encode(TRANSITION).value, (), NOW)

    assert isinstance(decoded, Readable)
    assert isinstance(decoded.input, StageChanged)
    assert decoded.input.sequence == 0
    assert decoded.input.event_id == "595cc1c3-a4cb-5724-9712-1d5e06220c60"


def test_unknown_words_of_a_peer_read_as_other() -> None:
    result = decode_output(
        "dunning.notice.result", encode(replace(RESULT, outcome="eaten", channel="pigeon")).value, ()
    )

    assert isinstance(result, NoticeResult)
    assert (result.outcome, result.channel) == ("other", "other")


def test_reading_back_never_raises_either() -> None:
    assert decode_output("dunning.retry.requested", None, ()) == Unreadable("null_value", "the message has no value")  # type: ignore[arg-type]
    assert isinstance(decode_output("dunning.retry.requested", b"{}", ()), Unreadable)
    assert isinstance(decode_output("payment.failed", b"{}", ()), PassedOver)


FAILURE = PaymentFailed(
    event_id="evt_1",
    account_id="acc_1",
    invoice_id="in_1",
    payment_id="pay_1",
    attempt_number=1,
    amount_due_minor=4900,
    amount_minor=4900,
    currency="EUR",
    failed_at=TEN,
    failure=Failure("card_declined", "no", "visa", "51", "24", "soft"),
    customer=Customer("cus_1", "Ada", "ada@example.com", "+49", "de", "Europe/Berlin", "DE", "Street 1"),
    payment_method=PaymentMethod("pm_1", "card", "visa", "4242", 12, 2027, "fp_1", "DE"),
    invoice_number="R-1",
    issued_at=TEN,
    due_at=LATER,
    subscription_id="sub_1",
    initiated_by="merchant",
    retry_id="r_1",
    update_payment_url="https://example.com",
    segment="self_serve",
    value_minor=58800,
    merchant_id="mer_1",
    livemode=False,
    traceparent=TRACE,
)
SUCCESS = PaymentSucceeded(
    event_id="evt_2",
    account_id="acc_1",
    invoice_id="in_1",
    payment_id="pay_1",
    amount_remaining_minor=0,
    amount_minor=4900,
    currency="EUR",
    succeeded_at=LATER,
    attempt_number=2,
    customer=Customer(email=""),
    payment_method=PaymentMethod(id="pm_1"),
    initiated_by="customer",
    retry_id="r_1",
    update_payment_url="https://example.com",
    livemode=False,
    traceparent=TRACE,
)


@pytest.mark.parametrize("form", [Form.BINARY, Form.STRUCTURED])
def test_what_a_platform_sends_reads_back_as_it_was(form: Form) -> None:
    for message, event in (
        (payment_failed_message(FAILURE, form=form), FAILURE),
        (payment_succeeded_message(SUCCESS, form=form), SUCCESS),
    ):
        decoded = decode(message.topic, message.key, message.value, message.headers, NOW)
        assert isinstance(decoded, Readable)
        assert decoded.input == event


@pytest.mark.parametrize(
    ("kind", "given"),
    [
        ("notice.bounced", {"invoice_id": "in_1", "rung": "x", "channel": Channel.EMAIL, "permanent": True}),
        ("notice.delivered", {"notice_id": "n_1", "channel": Channel.SMS}),
        ("payment_method.updated", {"payment_method": PaymentMethod(id="pm_2")}),
        ("customer.updated", {"customer": Customer(email="a@example.com")}),
        ("consent.changed", {"channel": Channel.SMS, "allowed": False}),
        ("invoice.adjusted", {"invoice_id": "in_1", "amount_remaining_minor": 0}),
        ("invoice.voided", {"invoice_id": "in_1"}),
        ("case.paused", {"until": LATER, "reason": "illness"}),
        ("case.extended", {"invoice_id": "in_1", "by": "3d"}),
        ("case.closed", {"invoice_id": "in_1", "reason": "write_off"}),
        ("account.tagged", {"tag": "vip"}),
        ("account.reinstated", {"reason": "paid", "livemode": False}),
    ],
)
@pytest.mark.parametrize("form", list(Form))
def test_a_signal_reads_back_as_it_was(kind: str, given: dict[str, Any], form: Form) -> None:
    sent = Signal("evt_3", "acc_1", kind, TEN, **given)
    message = signal_message(sent, form=form)
    decoded = decode(message.topic, message.key, message.value, message.headers, NOW)

    assert isinstance(decoded, Readable)
    assert isinstance(decoded.input, Signal)
    assert replace(decoded.input, event_id="evt_3", details={}) == sent
    assert decoded.input.details["kind"] == kind


def signal(kind: object, at: str = "2026-03-02T11:00:00Z", **fields: object) -> Decoded:
    """What a signal comes to."""
    body = json.dumps({"kind": kind, "account_id": "acc_1", "at": at, **fields}).encode()
    return decode("dunning.signals", b"acc_1", body, (), NOW)


def test_signals_that_only_later_act_keep_their_whole_data() -> None:
    decoded = signal(
        "promise.made", "2026-03-02T11:00:00+01:00", invoice_id="in_1", pay_by="2026-03-20T00:00:00+01:00", x="a\x00b"
    )

    assert isinstance(decoded, Readable)
    assert isinstance(decoded.input, Signal)
    assert decoded.input.details == {
        "kind": "promise.made",
        "account_id": "acc_1",
        "at": "2026-03-02T10:00:00Z",
        "invoice_id": "in_1",
        "pay_by": "2026-03-19T23:00:00Z",
        "x": "a\ufffdb",
    }


@pytest.mark.parametrize(
    ("decoded", "note"),
    [
        (signal("planet.aligned", invoice_id=7), "unknown_kind"),
        (signal("notice.bounced", notice_id="n", channel="pigeon"), "unknown_channel"),
    ],
)
def test_a_signal_about_something_unknown_is_other_and_noted(decoded: Decoded, note: str) -> None:
    assert isinstance(decoded, Readable)
    assert isinstance(decoded.input, Signal)
    assert (decoded.input.kind, decoded.input.channel, decoded.noted) == ("other", None, (note,))


@pytest.mark.parametrize(
    ("decoded", "reason"),
    [
        (signal(None), "wrong_type"),
        (signal(7), "wrong_type"),
        (signal(["notice.bounced"]), "wrong_type"),
        (signal("notice.bounced", invoice_id="in_1", channel="sms"), "missing_field"),
        (signal("notice.bounced", notice_id="n"), "missing_field"),
        (signal("case.extended", invoice_id="in_1", by="soon"), "bad_text"),
        (signal("case.paused", until="tomorrow", reason="x"), "bad_time"),
        (signal("account.erased", "2026-03-02T13:00:01Z"), "future_time"),
        (signal("invoice.adjusted", invoice={"id": "i", "amount_remaining_minor": -1}), "negative_amount"),
        (signal("account.erased", x="y" * 70_000), "too_large"),
        (signal("plan.agreed", invoice_id="in_1", installments=[]), "out_of_range"),
    ],
)
def test_a_signal_that_lacks_what_its_kind_needs_is_a_dead_letter(decoded: Decoded, reason: str) -> None:
    assert isinstance(decoded, Unreadable)
    assert decoded.reason == reason


def test_a_signal_with_a_number_beyond_all_bounds_is_a_dead_letter() -> None:
    body = b'{"kind":"account.erased","account_id":"acc_1","at":"2026-03-02T11:00:00Z","x":1e999}'

    assert decode("dunning.signals", b"acc_1", body, (), NOW).reason == "not_a_number"  # type: ignore[union-attr]
