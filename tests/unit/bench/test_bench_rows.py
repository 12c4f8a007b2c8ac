"""Rows that `make bench` fills tables with are those that the retry scheduler would have written itself."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from dunning.domain.policy_file import load_policies
from dunning.runtime.policy_directory import read_policy_files
from retry_scheduler.case import RetryAccount
from retry_scheduler.counting import CARD_LEDGERS
from retry_scheduler.decide import RetryTrack
from retry_scheduler.ledger import CardLedger
from tests.bench.load import first_failure
from tests.bench.place import POLICIES
from tests.bench.template import COLUMNS_OF, REPOSITORY, account_id, invoice_id, template
from tests.bench.timers import dues

FAILED_AT = [datetime(2026, 7, 1, 9, 30, second, 250_000, tzinfo=UTC) for second in range(3)]
DUE_AT = [at + timedelta(days=1) for at in FAILED_AT]


def test_a_filled_account_is_the_one_that_the_same_failures_would_have_left() -> None:
    account, ledger = decided()

    assert filled("accounts") == [
        {"account_id": account_id(7), "state": json.loads(REPOSITORY.encode_account(account))}
    ]
    assert [row["state"] for row in filled("cases")] == [
        json.loads(REPOSITORY.encode_case(account, invoice_id(7, place))) for place in range(3)
    ]
    assert filled("shared") == [
        {
            "key": f"fp_{account_id(7)}",
            "state": json.loads(CARD_LEDGERS.encode(ledger)),
            "kept_until": ledger.kept_until.isoformat().replace("+00:00", "Z"),
        }
    ]


def test_the_columns_of_a_filled_case_show_what_its_state_says() -> None:
    row = filled("cases")[1]

    assert row["state"]["plan"] == {"at": "2026-07-02T09:30:01.250000Z", "kind": "planned", "waits_for": ""}
    assert (row["due_at"], row["stage"], row["is_open"]) == ("2026-07-02T09:30:01.250000Z", "scheduled", "t")
    assert row["case_id"] == row["state"]["case_id"]
    assert (row["closed_at"], row["answer_by"]) == (r"\N", r"\N")


def test_no_two_accounts_have_a_name_in_common() -> None:
    assert len({account_id(number) for number in range(100_000)}) == 100_000


def test_so_many_timers_are_due_within_a_second_and_the_others_half_a_day_ahead() -> None:
    now = datetime(2026, 7, 1, 12, tzinfo=UTC)
    due_at = dues(now, 4)

    assert [due_at(number) for number in range(4)] == [
        datetime(2026, 7, 1, 11, 58, 59, number * 250_000, tzinfo=UTC) for number in range(4)
    ]
    assert due_at(4) == datetime(2026, 7, 2, 0, 0, 0, 4_000, tzinfo=UTC)


def decided() -> tuple[RetryAccount, CardLedger]:
    """What three first failures leave behind, decided one by one."""
    track = RetryTrack(lambda: policies)
    policies = load_policies(read_policy_files([POLICIES])).policies
    account, ledger = RetryAccount(account_id(7)), CardLedger()
    account.shared = {f"fp_{account_id(7)}": ledger}
    for place, failed_at in enumerate(FAILED_AT):
        track.decide(account, first_failure(account_id(7), invoice_id(7, place), failed_at), failed_at)
    return account, ledger


def filled(table: str) -> list[dict[str, Any]]:
    """Rows of the eighth account, by column."""
    lines = template(POLICIES).rows(table, 7, DUE_AT).splitlines()
    rows = [dict(zip(COLUMNS_OF[table], line.split("\t"), strict=True)) for line in lines]
    return [{**row, "state": json.loads(row["state"])} for row in rows]
