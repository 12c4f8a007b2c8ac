"""From an event's data to the values the checks look at, with the fields and types of contracts.md read anew."""

import hashlib
import json
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, TypedDict

from dunning_verifier.clock import instant
from dunning_verifier.envelope import Unwanted
from dunning_verifier.values import (
    ACCOUNT_STATUS,
    FAILED,
    NOTICE_RESULT,
    RETRY_REQUESTED,
    SIGNALS,
    STAGE_CHANGED,
    SUCCEEDED,
    Envelope,
    Failure,
    Input,
    OpenCase,
    Output,
    Request,
    Result,
    Signal,
    Status,
    Success,
    Transition,
)

_AHEAD = timedelta(hours=1)
_USUAL_LENGTH_MAX = 120
_USUAL_NUMBER_MAX = 10**12
_USUAL_YEARS = (1990, 2100)
_OPTIONAL = {
    "metadata": dict,
    "processor": dict,
    "payment_method": dict,
    "subscription_id": str,
    "segment": str,
    "update_payment_url": str,
    "receipt_url": str,
    "initiated_by": str,
    "retry_id": str,
    "value_minor": int,
    "livemode": bool,
}
_OPTIONAL_OF_METHOD = {"id": str, "type": str, "brand": str, "last4": str, "fingerprint": str, "country": str}
_OPTIONAL_OF_FAILURE = {"message": str, "network": str, "network_decline_code": str, "network_advice_code": str}
_CURRENCY_CODES = """
AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BHD BIF BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF
CHF CLP CNY COP CRC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GNF GTQ GYD HKD
HNL HTG HUF IDR ILS INR IQD IRR ISK JMD JOD JPY KES KGS KHR KMF KPW KRW KWD KYD KZT LAK LBP LKR LRD LSL LYD
MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN PGK PHP PKR PLN
PYG QAR RON RSD RUB RWF SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TND TOP TRY
TTD TWD TZS UAH UGX USD UYU UZS VED VES VND VUV WST XAF XCD XOF XPF YER ZAR ZMW ZWG
"""
_CURRENCIES = frozenset(_CURRENCY_CODES.split())


class _Fields:
    """Reads fields and collects doubts: a number written as text may pass a lenient reader, a missing one none."""

    def __init__(self, data: Mapping[str, Any], doubts: list[str] | None = None, path: str = "") -> None:
        self.data = data
        self.doubts = [] if doubts is None else doubts
        self._path = path

    def _required(self, name: str) -> Any:
        value = self.data.get(name)
        if value is None:
            raise Unwanted(f"{self._path}{name} is missing")
        return value

    def text(self, name: str) -> str:
        value = self._required(name)
        if not isinstance(value, str):
            raise Unwanted(f"{self._path}{name} is not text")
        if not value or len(value) > _USUAL_LENGTH_MAX or value != value.strip():
            self.doubts.append(f"{self._path}{name} is empty, long or padded")
        return value

    def text_or_none(self, name: str) -> str | None:
        value = self.data.get(name)
        if value is not None and not isinstance(value, str):
            self.doubts.append(f"{self._path}{name} is not text")
            return None
        return value

    def number(self, name: str, at_least: int) -> int:
        value = self._required(name)
        if isinstance(value, bool | float | str):
            try:
                number = int(float(value))
            except (ValueError, OverflowError):
                raise Unwanted(f"{self._path}{name} is not a number") from None
            self.doubts.append(f"{self._path}{name} is not written as an integer")
            value = number
        if not isinstance(value, int):
            raise Unwanted(f"{self._path}{name} is not a number")
        if value < 0:
            raise Unwanted(f"{self._path}{name} is negative")
        if not at_least <= value < _USUAL_NUMBER_MAX:
            self.doubts.append(f"{self._path}{name} is out of the usual range")
        return value

    def time(self, name: str) -> datetime:
        value = self._required(name)
        if not isinstance(value, str):
            raise Unwanted(f"{self._path}{name} is not a time")
        try:
            found = instant(value)
        except (ValueError, OverflowError):
            pass
        else:
            if not _USUAL_YEARS[0] <= found.year <= _USUAL_YEARS[1] or "T" not in value:
                self.doubts.append(f"{self._path}{name} is an unusual time")
            return found
        try:
            found = instant(value + "Z")
        except (ValueError, OverflowError):
            raise Unwanted(f"{self._path}{name} is not a time") from None
        self.doubts.append(f"{self._path}{name} has no offset")
        return found

    def time_or_none(self, name: str) -> datetime | None:
        if self.data.get(name) is None:
            return None
        try:
            return self.time(name)
        except Unwanted as error:
            self.doubts.append(str(error))
            return None

    def currency(self) -> str:
        value = self.text("currency")
        if value.upper() not in _CURRENCIES:
            if len(value) == 3 and value.startswith("X"):  # test and fund codes that ISO 4217 lists as well
                self.doubts.append("currency is an unusual one")
            else:
                raise Unwanted("currency does not exist")
        elif not value.isupper():
            self.doubts.append("currency is not in capitals")
        return value.upper()

    def part(self, name: str) -> "_Fields":
        value = self._required(name)
        if not isinstance(value, dict):
            raise Unwanted(f"{self._path}{name} is not an object")
        return _Fields(value, self.doubts, f"{self._path}{name}.")

    def optional_part(self, name: str) -> "_Fields":
        value = self.data.get(name)
        if value is not None and not isinstance(value, dict):
            self.doubts.append(f"{self._path}{name} is not an object")
        return _Fields(value if isinstance(value, dict) else {}, self.doubts, f"{self._path}{name}.")

    def of_types(self, types: Mapping[str, type]) -> None:
        """Doubt optional fields of another type."""
        for name, expected in types.items():
            value = self.data.get(name)
            if value is not None and not isinstance(value, expected):
                self.doubts.append(f"{self._path}{name} is of another type")


class _InputParts(TypedDict):
    where: Any
    logged_at: datetime
    account_id: str
    identity: tuple[Any, ...]
    content: tuple[Any, ...]
    event: tuple[str, str] | None
    livemode: bool
    doubtful: str | None
    customer: Mapping[str, Any]
    time: datetime


def _input_parts(
    envelope: Envelope, fields: _Fields, time: datetime, identity: tuple[Any, ...], content: tuple[Any, ...]
) -> _InputParts:
    customer = fields.optional_part("customer")
    for name in ("id", "name", "email", "phone", "locale", "timezone", "country"):
        customer.text_or_none(name)
    fields.of_types(_OPTIONAL)
    fields.optional_part("payment_method").of_types(_OPTIONAL_OF_METHOD)
    fields.optional_part("failure").of_types(_OPTIONAL_OF_FAILURE)
    fields.doubts.extend(envelope.doubts)
    if time > envelope.logged_at + _AHEAD:
        fields.doubts.append("its time is more than an hour ahead")
    return _InputParts(
        where=envelope.where,
        logged_at=envelope.logged_at,
        account_id=fields.text("account_id"),
        identity=identity,
        content=content,
        event=(envelope.source, envelope.id) if envelope.source and envelope.id else None,
        livemode=fields.data.get("livemode") is not False,
        doubtful="; ".join(fields.doubts) or None,
        customer=customer.data,
        time=time,
    )


def _failure(envelope: Envelope) -> Failure:
    fields = _Fields(envelope.data)
    invoice, failure = fields.part("invoice"), fields.part("failure")
    method = fields.optional_part("payment_method")
    account_id, invoice_id = fields.text("account_id"), invoice.text("id")
    payment_id, attempt = fields.text("payment_id"), fields.number("attempt_number", 1)
    retry_id, failed_at = fields.text_or_none("retry_id"), fields.time("failed_at")
    due, amount = invoice.number("amount_due_minor", 0), fields.number("amount_minor", 0)
    currency, code = fields.currency(), failure.text("code")
    due_at, initiated_by = invoice.time_or_none("due_at"), fields.text_or_none("initiated_by")
    segment, payment_type = fields.text_or_none("segment"), method.text_or_none("type")
    identity = (FAILED, account_id, invoice_id, payment_id, attempt, retry_id)
    return Failure(
        **_input_parts(envelope, fields, failed_at, identity, (due, amount, currency, failed_at, code)),
        invoice_id=invoice_id,
        payment_id=payment_id,
        attempt_number=attempt,
        retry_id=retry_id,
        amount_due_minor=due,
        currency=currency,
        code=code,
        plain_code=not (failure.data.keys() & {"network_decline_code", "network_advice_code", "class"}),
        initiated_by=initiated_by,
        segment=segment,
        payment_type=payment_type,
        due_at=due_at,
    )


def _success(envelope: Envelope) -> Success:
    fields = _Fields(envelope.data)
    invoice = fields.part("invoice")
    account_id, invoice_id = fields.text("account_id"), invoice.text("id")
    payment_id, succeeded_at = fields.text("payment_id"), fields.time("succeeded_at")
    remaining, amount = invoice.number("amount_remaining_minor", 0), fields.number("amount_minor", 0)
    currency, retry_id = fields.currency(), fields.text_or_none("retry_id")
    attempt = None if fields.data.get("attempt_number") is None else fields.number("attempt_number", 1)
    identity = (SUCCEEDED, account_id, invoice_id, payment_id, succeeded_at, amount, remaining)
    return Success(
        **_input_parts(envelope, fields, succeeded_at, identity, (currency,)),
        invoice_id=invoice_id,
        payment_id=payment_id,
        attempt_number=attempt,
        retry_id=retry_id,
        amount_remaining_minor=remaining,
        currency=currency,
    )


def _signal(envelope: Envelope) -> Signal:
    fields = _Fields(envelope.data)
    kind, at = fields.text("kind"), fields.time("at")
    invoice_id = fields.text_or_none("invoice_id") or fields.optional_part("invoice").text_or_none("id")
    if kind == "invoice.adjusted":
        invoice = fields.part("invoice")
        invoice_id = invoice.text("id")
        invoice.number("amount_remaining_minor", 0)
    elif kind in ("invoice.voided", "case.closed", "retry.now"):
        fields.text("invoice_id")
    canonical = json.dumps(envelope.data, sort_keys=True)
    return Signal(
        **_input_parts(envelope, fields, at, (SIGNALS, canonical), ()),
        kind=kind,
        invoice_id=invoice_id,
        data=envelope.data,
    )


class _OutputParts(TypedDict):
    where: Any
    logged_at: datetime
    happened_at: datetime
    event_id: str | None
    source: str | None
    key: str | None
    sequence: int | None
    account_id: str
    digest: str


def _output_parts(envelope: Envelope, happened_at: datetime | None) -> _OutputParts:
    content = json.dumps([envelope.data, envelope.sequence], sort_keys=True)
    return _OutputParts(
        where=envelope.where,
        logged_at=envelope.logged_at,
        happened_at=happened_at or envelope.time or envelope.logged_at,
        event_id=envelope.id,
        source=envelope.source,
        key=envelope.key,
        sequence=envelope.sequence,
        account_id=_Fields(envelope.data).text("account_id"),
        digest=hashlib.blake2b(content.encode(), digest_size=12).hexdigest(),
    )


def _transition(envelope: Envelope) -> Transition:
    fields = _Fields(envelope.data)
    policy, effective_at = fields.part("policy"), fields.time("effective_at")
    upcoming = fields.optional_part("next")
    return Transition(
        **_output_parts(envelope, effective_at),
        case_id=fields.text("case_id"),
        invoice_id=fields.text("invoice_id"),
        track=fields.text("track"),
        from_stage=fields.text("from_stage"),
        to_stage=fields.text("to_stage"),
        reason=fields.text_or_none("reason") or "",
        effective_at=effective_at,
        policy=(policy.text("id"), policy.number("version", 0)),
        next_due_at=upcoming.time_or_none("due_at"),
        amount_minor=fields.number("amount_minor", 0),
        currency=fields.currency(),
    )


def _request(envelope: Envelope) -> Request:
    fields = _Fields(envelope.data)
    return Request(
        **_output_parts(envelope, None),
        case_id=fields.text("case_id"),
        invoice_id=fields.text("invoice_id"),
        retry_id=fields.text("retry_id"),
        payment_id=fields.text_or_none("payment_id") or "",
        attempt_number=fields.number("attempt_number", 1),
        amount_minor=fields.number("amount_minor", 0),
        currency=fields.currency(),
        not_before=fields.time("not_before"),
        not_after=fields.time("not_after"),
    )


def _result(envelope: Envelope) -> Result:
    fields = _Fields(envelope.data)
    case_ids, at = envelope.data.get("case_ids"), fields.time("at")
    if not isinstance(case_ids, list) or not case_ids:
        raise Unwanted("case_ids is not a list of cases")
    return Result(
        **_output_parts(envelope, at),
        notice_id=fields.text("notice_id"),
        case_ids=tuple(str(case_id) for case_id in case_ids),
        rung=fields.text("rung"),
        channel=fields.text("channel"),
        outcome=fields.text("outcome"),
        at=at,
    )


def _status(envelope: Envelope) -> Status:
    fields = _Fields(envelope.data)
    lines = [_Fields(line, path="open_cases.") for line in envelope.data.get("open_cases") or []]
    owed = [_Fields(line, path="to_reinstate.") for line in envelope.data.get("to_reinstate") or []]
    return Status(
        **_output_parts(envelope, None),
        status=fields.text("status"),
        previous_status=fields.text("previous_status"),
        open_cases=tuple(
            OpenCase(line.text("case_id"), line.text("invoice_id"), line.number("amount_minor", 0), line.currency())
            for line in lines
        ),
        to_reinstate={line.currency(): line.number("amount_minor", 0) for line in owed},
    )


_PARSERS: dict[str, Callable[[Envelope], Input | Output]] = {
    FAILED: _failure,
    SUCCEEDED: _success,
    SIGNALS: _signal,
    STAGE_CHANGED: _transition,
    RETRY_REQUESTED: _request,
    NOTICE_RESULT: _result,
    ACCOUNT_STATUS: _status,
}


def parse(envelope: Envelope) -> Input | Output:
    """The value of an event, by its topic. Raises Unwanted where a required field is missing or of a wrong type."""
    try:
        return _PARSERS[envelope.where.topic](envelope)
    except (TypeError, AttributeError) as error:
        raise Unwanted(f"not of the contract's shape: {error}") from None
