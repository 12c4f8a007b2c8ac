"""The demo's traffic: as published, the same for the same seed, and readable by the contracts unless it is poison."""

from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest

from dunning.contracts.decode import decode
from dunning.contracts.decoded import Readable, Unreadable
from dunning.contracts.topics import PAYMENT_FAILED, PAYMENT_SUCCEEDED, SIGNALS
from dunning_cli.demo.books import Books, Need, NeedKind
from dunning_cli.demo.decline_mix import OTHER_PERCENT, PUBLISHED_PERCENT, is_other
from dunning_cli.demo.traffic import Plan, Sending, schedule

START = datetime(2026, 11, 23, 17, tzinfo=UTC)


@pytest.fixture(scope="module")
def sendings() -> list[Sending]:
    return schedule(Plan(START, invoices=10_000))


def first_failures(sendings: list[Sending]) -> dict[str, dict[str, object]]:
    """Each invoice's first failure."""
    found: dict[str, dict[str, object]] = {}
    for sending in sendings:
        if sending.topic == PAYMENT_FAILED and sending.data and sending.needs is None:
            found.setdefault(sending.data["invoice"]["id"], dict(sending.data))
    return found


def test_charges_fail_for_the_published_reasons(sendings: list[Sending]) -> None:
    codes = Counter(data["failure"]["code"] for data in first_failures(sendings).values())  # type: ignore[index]
    overdue = codes.pop("payment_overdue")
    charged = sum(codes.values())
    percent = {code: 100 * count / charged for code, count in codes.items()}

    for code, published in PUBLISHED_PERCENT.items():
        assert percent[code] == pytest.approx(published, abs=2.0)
    assert sum(share for code, share in percent.items() if is_other(code)) == pytest.approx(OTHER_PERCENT, abs=1.5)
    assert 0.03 < overdue / (overdue + charged) < 0.07


def test_the_same_seed_gives_the_same_bytes_and_another_seed_gives_others() -> None:
    plan = Plan(START, invoices=100)

    assert schedule(plan) == schedule(plan)
    assert schedule(plan) != schedule(Plan(START, invoices=100, seed=2))


def test_everything_is_readable_but_the_poison_and_no_poison_is(sendings: list[Sending]) -> None:
    for sending in sendings:
        now = START + timedelta(seconds=sending.offset_seconds)
        decoded = decode(sending.topic, sending.key, sending.value, sending.headers, now=now)
        if sending.poison:
            assert isinstance(decoded, Unreadable), sending.poison
        else:
            assert isinstance(decoded, Readable), (sending, decoded)
            assert not decoded.noted


def test_as_many_invoices_as_asked_for_and_nothing_before_its_time(sendings: list[Sending]) -> None:
    named = {sending.data["invoice"]["id"] for sending in sendings if sending.data and "invoice" in sending.data}
    assert len(named) == 10_000
    assert len(first_failures(sendings)) == pytest.approx(3500, abs=200)
    offsets = [sending.offset_seconds for sending in sendings]
    assert offsets == sorted(offsets)
    for sending in sendings:
        if sending.data:
            happened_at = next(
                sending.data[name] for name in ("failed_at", "succeeded_at", "at") if name in sending.data
            )
            sent_at = START + timedelta(seconds=sending.offset_seconds)
            assert datetime.fromisoformat(str(happened_at)) <= sent_at


def test_everything_that_goes_wrong_in_real_life_is_there(sendings: list[Sending]) -> None:
    bodies = Counter(sending.value for sending in sendings if sending.topic == PAYMENT_FAILED and sending.data)
    keys = Counter(
        (sending.data["payment_id"], sending.data["attempt_number"])
        for sending in sendings
        if sending.topic == PAYMENT_FAILED and sending.data
    )
    kinds = Counter(sending.data["kind"] for sending in sendings if sending.topic == SIGNALS and sending.data)
    currencies = {data["currency"] for data in first_failures(sendings).values()}
    locales = {str(data["customer"]["locale"])[:2] for data in first_failures(sendings).values()}  # type: ignore[index]

    exact_copies = sum(count - 1 for count in bodies.values())
    assert exact_copies > 20
    assert sum(count - 1 for count in keys.values()) > exact_copies + 20  # the same in another form
    assert {"payment_method.updated", "invoice.voided", "notice.bounced", "customer.updated"} <= set(kinds)
    assert currencies == {"EUR", "USD", "GBP", "JPY"}
    assert locales == {"de", "en"}
    assert overtaken_failures(sendings) > 20
    assert returned_payments(sendings) > 10
    assert partial_payments(sendings) > 20


def overtaken_failures(sendings: list[Sending]) -> int:
    """Failures that are told after the success that followed them."""
    paid: set[str] = set()
    count = 0
    for sending in sendings:
        if sending.data and sending.topic == PAYMENT_SUCCEEDED and sending.needs is None:
            paid.add(sending.data["invoice"]["id"])
        elif sending.data and sending.topic == PAYMENT_FAILED and sending.data["invoice"]["id"] in paid:
            count += 1
    return count


def returned_payments(sendings: list[Sending]) -> int:
    return sum(1 for sending in sendings if sending.needs and sending.needs.kind is NeedKind.PAID_BY)


def partial_payments(sendings: list[Sending]) -> int:
    return sum(
        1
        for sending in sendings
        if sending.topic == PAYMENT_SUCCEEDED and sending.data and sending.data["invoice"]["amount_remaining_minor"]
    )


def test_every_customer_is_made_up(sendings: list[Sending]) -> None:
    emails = {str(data["customer"]["email"]) for data in first_failures(sendings).values()}  # type: ignore[index]

    assert all(email.endswith("@example.com") for email in emails - {""})
    assert "" in emails  # somebody cannot be reached


def test_the_books_owe_until_paid_and_again_when_the_payment_comes_back() -> None:
    books = Books()
    failed = {"invoice": {"id": "in_1", "amount_due_minor": 900}, "failed_at": "2026-11-23T10:00:00Z"}
    paid = {
        "invoice": {"id": "in_1", "amount_remaining_minor": 0},
        "succeeded_at": "2026-11-23T11:00:00Z",
        "payment_id": "pay_1",
    }
    returned = {**failed, "failed_at": "2026-11-23T12:00:00Z"}
    owed, paid_by = Need(NeedKind.OWED, "in_1"), Need(NeedKind.PAID_BY, "in_1", "pay_1")

    assert not books.meets(owed)
    books.read(PAYMENT_FAILED, failed)
    assert (books.owed_minor("in_1"), books.meets(owed), books.meets(paid_by)) == (900, True, False)
    books.read(PAYMENT_SUCCEEDED, paid)
    books.read(PAYMENT_FAILED, failed)  # told once more, late
    assert (books.owed_minor("in_1"), books.meets(owed), books.meets(paid_by)) == (0, False, True)
    books.read(PAYMENT_FAILED, returned)
    assert (books.owed_minor("in_1"), books.meets(owed), books.meets(paid_by)) == (900, True, False)
    books.read(SIGNALS, {"kind": "invoice.voided", "invoice_id": "in_1"})
    assert (books.owed_minor("in_1"), books.meets(owed)) == (0, False)
