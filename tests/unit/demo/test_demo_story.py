"""A case's story in plain sentences: what, when, why, and what comes next."""

from datetime import UTC, datetime
from typing import Any

from dunning_cli.money import money
from dunning_cli.story import Told, next_steps, render, timeline

CASE = {"case_id": "case-1", "account_id": "acc_1", "invoice_id": "in_1", "amount_minor": 4900, "currency": "EUR"}


def at(second: str) -> str:
    return f"2026-11-23T17:00:{second}Z"


def moved(track: str, stages: str, reason: str, second: str, **more: Any) -> Told:
    from_stage, to_stage = stages.split(">")
    data = {**CASE, "track": track, "from_stage": from_stage, "to_stage": to_stage, "reason": reason}
    return Told("dunning.stage.changed", {**data, "effective_at": at(second), "next": None, "details": {}, **more})


def noticed(rung: str, outcome: str, second: str, **more: Any) -> Told:
    data = {"notice_id": f"n-{rung}", "case_ids": ["case-1"], "account_id": "acc_1", "rung": rung, "channel": "email"}
    told = {**data, "outcome": outcome, "reason": None, "at": at(second), **more}
    return Told("dunning.notice.result", told, "in_1", sequence=2 if outcome == "delivered" else 1)


def failed(attempt: int, second: str, **failure: str) -> Told:
    data = {"invoice": {"id": "in_1", "amount_due_minor": 4900}, "attempt_number": attempt, "failed_at": at(second)}
    return Told("payment.failed", {**CASE, **data, "failure": {"code": "insufficient_funds", **failure}})


def status(word: str, before: str, second: str, owed_minor: int) -> Told:
    owed = [{"currency": "EUR", "amount_minor": owed_minor}] if owed_minor else []
    data = {"account_id": "acc_1", "status": word, "previous_status": before, "to_reinstate": owed, "since": at(second)}
    return Told("dunning.account.status", data, "acc_1")


REQUEST = Told(
    "dunning.retry.requested",
    {**CASE, "retry_id": "case-1:2", "attempt_number": 2, "not_before": at("02"), "not_after": at("06")},
)
STORY = [
    failed(1, "00", network="visa", network_decline_code="51"),
    moved("retry", "none>scheduled", "soft", "00.5", next={"stage": "requested", "due_at": at("02")}),
    moved("account", "active>past_due", "payment_failed", "00.5", next={"stage": "suspended", "due_at": at("28")}),
    status("past_due", "active", "00.5", 4900),
    moved("retry", "scheduled>requested", "planned", "02", details={"retry_id": "case-1:2"}),
    REQUEST,
    failed(2, "02.3"),
    moved("retry", "requested>exhausted", "retries_exhausted", "02.4"),
    moved("notice", "none>suspension_warning", "rung_due", "22"),
    noticed("suspension_warning", "sent", "22.1"),
    noticed("suspension_warning", "delivered", "22.1"),
    moved("account", "past_due>suspended", "grace_period_expired", "28.1"),
    status("suspended", "past_due", "28.1", 4900),
]


def test_every_step_has_its_time_its_track_and_its_reason() -> None:
    assert render(timeline(STORY)) == [
        "17:00:00.0  payment  Attempt 1 to charge 49.00 EUR failed: insufficient_funds, visa 51.",
        "17:00:00.5  retry    scheduled, because the refusal was a temporary one; next charge at 17:00:02.0.",
        "17:00:00.5  account  active to past_due, because a payment failed; next is suspended at 17:00:28.0.",
        "17:00:00.5  status   The account is past_due until 49.00 EUR are paid.",
        "17:00:02.0  retry    Asked for a charge of 49.00 EUR, attempt 2; valid until 17:00:06.0.",
        "17:00:02.3  payment  Attempt 2 to charge 49.00 EUR failed: insufficient_funds.",
        "17:00:02.4  retry    requested to exhausted, because all planned retries are used up.",
        "17:00:22.0  notice   Rung suspension_warning is reached.",
        "17:00:22.1  notice   suspension_warning went out by email and was delivered.",
        "17:00:28.1  account  past_due to suspended, because the grace period is over;"
        " suspension_warning had reached the customer at 17:00:22.1.",
        "17:00:28.1  status   The account is suspended until 49.00 EUR are paid.",
    ]


def test_the_order_and_the_number_of_times_an_event_is_given_do_not_matter() -> None:
    assert render(timeline([*reversed(STORY), *STORY])) == render(timeline(STORY))


def test_what_comes_next_is_said_for_each_track_of_an_open_case() -> None:
    assert next_steps(STORY[:4]) == ["in_1, account: suspended at 17:00:28.0", "in_1, retry: a charge at 17:00:02.0"]
    assert next_steps(STORY) == [
        "in_1, account: stays suspended until something happens",
        "in_1, notice: says nothing more before the account's next step",
        "in_1, retry: charges nothing more by itself",
    ]


def test_nothing_comes_after_the_money() -> None:
    paid = [
        moved("retry", "exhausted>recovered", "paid_elsewhere", "40"),
        moved("notice", "suspension_warning>recovered", "paid", "40"),
        moved("account", "suspended>active", "paid", "40"),
        status("active", "suspended", "40", 0),
    ]

    assert next_steps([*STORY, *paid]) == []
    assert render(timeline([*STORY, *paid]))[-4:] == [
        "17:00:40.0  retry    exhausted to recovered, because it was paid without a charge of ours.",
        "17:00:40.0  notice   Ends as recovered, because it was paid.",
        "17:00:40.0  account  suspended to active, because it was paid.",
        "17:00:40.0  status   The account is active.",
    ]


def test_a_notice_that_could_not_be_sent_says_why() -> None:
    lines = timeline(
        [
            noticed("final_notice", "suppressed", "01", reason="no_address"),
            noticed("formal_notice", "superseded", "02", reason="superseded"),
            noticed("gentle_reminder", "bounced", "03"),
        ]
    )

    assert [line.text for line in lines] == [
        "final_notice was not sent by email: there is no address.",
        "formal_notice was not sent by email: a later notice says more.",
        "gentle_reminder came back undelivered by email.",
    ]


def test_invoices_are_named_where_there_are_several_and_dates_where_weeks_pass() -> None:
    other = {**CASE, "invoice_id": "in_22", "case_id": "case-2"}
    later = Told(
        "dunning.stage.changed",
        {
            **other,
            "track": "account",
            "from_stage": "active",
            "to_stage": "past_due",
            "reason": "payment_failed",
            "effective_at": "2026-12-24T18:30:00Z",
        },
    )

    assert render(timeline([failed(1, "00"), later])) == [
        "2026-11-23 17:00  payment  in_1   Attempt 1 to charge 49.00 EUR failed: insufficient_funds.",
        "2026-12-24 18:30  account  in_22  active to past_due, because a payment failed.",
    ]


def test_a_reason_that_an_operator_wrote_is_quoted() -> None:
    line = timeline([moved("notice", "formal_notice>closed", "Insolvent, file 12/26", "09")])[0]

    assert line.at == datetime(2026, 11, 23, 17, 0, 9, tzinfo=UTC)
    assert line.text == 'Ends as closed, because "Insolvent, file 12/26".'


def test_amounts_have_the_decimals_of_their_currency() -> None:
    assert [money(123456, "EUR"), money(1234, "JPY"), money(1234, "KWD"), money(5, "USD")] == [
        "1,234.56 EUR",
        "1,234 JPY",
        "1.234 KWD",
        "0.05 USD",
    ]
