"""The demo's figures come from the topics, whatever the order and however often an event is read."""

from typing import Any

from dunning_cli.demo.tally import Money, Tally

CASE = {"case_id": "case-1", "account_id": "acc_1", "invoice_id": "in_1", "amount_minor": 4900, "currency": "EUR"}


def moved(track: str, to_stage: str, **more: Any) -> tuple[str, dict[str, Any]]:
    return "dunning.stage.changed", {**CASE, "track": track, "to_stage": to_stage, **more}


def status(word: str, *open_cases: tuple[str, int]) -> tuple[str, dict[str, Any]]:
    cases = [{"currency": currency, "amount_minor": amount} for currency, amount in open_cases]
    return "dunning.account.status", {"account_id": "acc_1", "status": word, "open_cases": cases}


def paid(amount_minor: int, currency: str, invoice_id: str = "in_1", **more: Any) -> tuple[str, dict[str, Any]]:
    data = {"payment_id": f"pay_{invoice_id}", "succeeded_at": "2026-11-23T17:00:00Z", "currency": currency}
    return "payment.succeeded", {**data, "amount_minor": amount_minor, "invoice": {"id": invoice_id}, **more}


def tally_of(*events: tuple[str, dict[str, Any]]) -> Tally:
    tally = Tally()
    for topic, data in events:
        tally.read(topic, data)
    return tally


def test_money_is_counted_for_each_currency_by_itself() -> None:
    snapshot = tally_of(
        status("suspended", ("EUR", 4900), ("EUR", 100), ("JPY", 700)),
        moved("retry", "recovered"),
        paid(2000, "EUR"),
        paid(999, "USD", invoice_id="in_unknown"),  # never had a case: nothing was recovered
        moved("account", "terminated", case_id="case-2", currency="GBP", amount_minor=300),
    ).snapshot()

    assert snapshot.money == {"EUR": Money(5000, 2000, 0), "GBP": Money(0, 0, 300), "JPY": Money(700, 0, 0)}


def test_a_payment_that_is_read_before_its_case_and_read_twice_counts_once() -> None:
    snapshot = tally_of(paid(2000, "EUR"), paid(2000, "EUR"), moved("retry", "recovered")).snapshot()

    assert snapshot.money["EUR"].recovered_minor == 2000


def test_cases_stand_where_their_last_transition_left_them() -> None:
    tally = tally_of(
        moved("account", "past_due"), moved("account", "suspended"), moved("account", "active"), moved("retry", "none")
    )

    assert tally.snapshot().stages["account"] == {"active": 1}
    assert tally.snapshot().ever == {"past_due": 1, "suspended": 1, "active": 1}
    assert tally.snapshot().cases == 1


def test_charges_and_notices_by_what_became_of_them() -> None:
    asked = [("dunning.retry.requested", {"retry_id": f"case-{n}:2"}) for n in (1, 2, 3)]
    lost = ("payment.failed", {"retry_id": "case-2:2"})
    sent = ("dunning.notice.result", {"notice_id": "n1", "channel": "email", "outcome": "sent"})
    delivered = ("dunning.notice.result", {"notice_id": "n1", "channel": "email", "outcome": "delivered"})

    snapshot = tally_of(*asked, paid(4900, "EUR", retry_id="case-1:2"), lost, lost, sent, delivered).snapshot()

    assert (snapshot.charges_asked, snapshot.charges_won, snapshot.charges_lost) == (3, 1, 1)
    assert snapshot.notices == {"email": {"delivered": 1}}
