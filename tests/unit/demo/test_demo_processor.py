"""The simulated processor: charges once, in time, only what is owed, and says the same whenever it is asked again."""

import asyncio
import json
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from dunning.contracts.decode import decode
from dunning.contracts.decoded import Readable
from dunning.contracts.topics import PAYMENT_FAILED, PAYMENT_SUCCEEDED
from dunning_cli.demo.books import Books
from dunning_cli.demo.ledger import Charge, Ledger
from dunning_cli.demo.odds import Fate, verdict
from dunning_cli.demo.processor import Answer, Processor, Running

NOW = datetime(2026, 11, 23, 17, 0, 1, tzinfo=UTC)
SEED = 1


def a_request(number: int = 1, **changes: Any) -> dict[str, Any]:
    return {
        "retry_id": f"case-{number}:2",
        "case_id": f"case-{number}",
        "account_id": "acc_1",
        "invoice_id": f"in_{number}",
        "payment_id": f"pay_{number}",
        "amount_minor": 4900,
        "currency": "EUR",
        "attempt_number": 2,
        "not_before": "2026-11-23T17:00:00Z",
        "not_after": "2026-11-23T17:00:04Z",
        "decline_class": "soft",
        **changes,
    }


def with_fate(fate: Fate) -> dict[str, Any]:
    """A request that ends this way."""
    numbers = range(10_000)
    return a_request(next(n for n in numbers if verdict(SEED, f"case-{n}:2", "soft", 2).fate is fate))


def lines(ledger: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in ledger.read_text().splitlines()]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.ndjson"


@pytest.mark.parametrize(("fate", "topic"), [(Fate.SUCCEEDED, PAYMENT_SUCCEEDED), (Fate.FAILED, PAYMENT_FAILED)])
def test_a_charge_is_written_down_and_answered_in_the_shape_of_the_contracts(
    path: Path, fate: Fate, topic: str
) -> None:
    request = with_fate(fate)
    with Ledger(path) as ledger:
        answer = Processor(ledger, SEED).charge(request, NOW)

    assert answer is not None
    assert answer.topic == topic
    assert answer.data["retry_id"] == request["retry_id"]
    assert isinstance(decode(topic, b"acc_1", json.dumps(answer.data).encode(), (), now=NOW), Readable)
    assert lines(path) == [
        {
            "retry_id": request["retry_id"],
            "invoice_id": request["invoice_id"],
            "at": "2026-11-23T17:00:01Z",
            "outcome": str(fate),
            "amount_minor": 4900,
            "currency": "EUR",
        }
    ]


def test_a_charge_is_made_once_also_by_a_processor_that_was_killed_and_started_again(path: Path) -> None:
    request = with_fate(Fate.SUCCEEDED)
    with Ledger(path) as ledger:
        first = Processor(ledger, SEED).charge(request, NOW)
    path.write_bytes(path.read_bytes() + b'{"retry_id":"half a li')
    later = datetime(2026, 11, 23, 18, tzinfo=UTC)
    with Ledger(path) as ledger:
        again = Processor(ledger, SEED).charge(request, later)

    assert again == first
    assert [line["retry_id"] for line in lines(path)] == [request["retry_id"]]


def test_a_request_that_ran_out_is_not_charged(path: Path) -> None:
    with Ledger(path) as ledger:
        answer = Processor(ledger, SEED).charge(with_fate(Fate.SUCCEEDED), datetime(2026, 11, 23, 17, 0, 4, tzinfo=UTC))

    assert answer is None
    assert lines(path) == []


def test_what_was_paid_meanwhile_is_not_charged(path: Path) -> None:
    request, books = with_fate(Fate.SUCCEEDED), Books()
    paid = {
        "invoice": {"id": request["invoice_id"], "amount_remaining_minor": 2000},
        "succeeded_at": "2026-11-23T17:00:00Z",
        "payment_id": "pay_x",
    }
    books.read(PAYMENT_SUCCEEDED, paid)
    with Ledger(path) as ledger:
        assert Processor(ledger, SEED, books).charge(request, NOW) is None
        assert Processor(ledger, SEED, books).charge({**request, "amount_minor": 2000}, NOW) is not None

    assert books.owed_minor(request["invoice_id"]) == 0


def test_some_charges_are_never_answered_and_never_made(path: Path) -> None:
    with Ledger(path) as ledger:
        assert Processor(ledger, SEED).charge(with_fate(Fate.SILENT), NOW) is None
        assert len(ledger) == 0


def test_the_ledger_refuses_a_second_charge_under_one_key(path: Path) -> None:
    charge = Charge("case-1:2", "in_1", "2026-11-23T17:00:01Z", "failed", 4900, "EUR")
    with Ledger(path) as ledger:
        ledger.enter(charge)
        with pytest.raises(ValueError, match="charged before"):
            ledger.enter(charge)


def test_later_attempts_win_less_often_and_a_new_card_wins_most() -> None:
    def won(decline_class: str, attempt: int) -> int:
        fates = Counter(verdict(SEED, f"case-{n}:{attempt}", decline_class, attempt).fate for n in range(2000))
        return fates[Fate.SUCCEEDED]

    assert won("hard", 2) > won("technical", 2) > won("soft", 2) > won("soft", 5) > 0


async def test_charges_run_side_by_side_and_each_answer_is_sent(path: Path) -> None:
    sent: list[Answer] = []

    async def send(answer: Answer) -> None:
        sent.append(answer)

    with Ledger(path) as ledger:
        running = Running(Processor(ledger, SEED), send, lambda: NOW)
        for number in range(50):
            running.take(a_request(number))
        await asyncio.wait(running.tasks)

    assert len(sent) == running.charged == len(lines(path)) > 40
