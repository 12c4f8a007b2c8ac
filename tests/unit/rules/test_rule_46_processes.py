"""One process or many: `dunning simulate` says the same, byte for byte (rule 46), whatever accounts have in common."""

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from dunning.domain.rfc3339 import parse_rfc3339
from dunning_cli.errors import CommandError
from dunning_cli.main import app
from dunning_cli.simulation import whole, workers
from dunning_cli.simulation.apart import set_apart
from dunning_cli.simulation.lines import InputLine, read_inputs
from dunning_cli.simulation.simulate import Simulation

POLICY = """\
id: standard
version: 1
timezone: UTC
retries: {after: [1d], max_retries: 31, window: 31d}
match: {currencies: [EUR]}
ladder:
  - {rung: hello, at: 0d, notice: {template: payment_failed, channels: [email]}, account: past_due}
  - {rung: restricted, at: 5d, account: restricted}
"""
NOW = "2026-03-02T10:00:00Z"


def failed(number: int, card: str = "", at: str = NOW, **more: Any) -> dict[str, Any]:
    """A line: an account's first failure, with a Visa card of this fingerprint."""
    data: dict[str, Any] = {
        "payment_id": f"pay_{number}",
        "attempt_number": 1,
        "account_id": f"acc_{number}",
        "invoice": {"id": f"in_{number}", "amount_due_minor": 4900},
        "amount_minor": 4900,
        "currency": "EUR",
        "failed_at": at,
        "failure": {"code": "card_declined", "network": "visa", "network_decline_code": "51"},
        "customer": {"email": f"{number}@example.com"},
    }
    if card:
        data["payment_method"] = {"id": f"pm_{number}", "type": "card", "brand": "visa", "fingerprint": card}
    return {"at": at, "topic": "payment.failed", "data": data | more}


def new_card(number: int, card: str, at: str) -> dict[str, Any]:
    method = {"id": f"pm_{number}", "type": "card", "brand": "visa", "fingerprint": card}
    told = {"kind": "payment_method.updated", "account_id": f"acc_{number}", "at": at, "payment_method": method}
    return {"at": at, "topic": "dunning.signals", "data": told}


def enveloped(line: dict[str, Any], event_id: str) -> dict[str, Any]:
    """The same, as a CloudEvent in structured form."""
    envelope = {"specversion": "1.0", "id": event_id, "source": "/shop", "type": f"{line['topic']}.v1"}
    return {**line, "data": {**envelope, "data": line["data"]}}


def text(*lines: dict[str, Any]) -> str:
    return "".join(json.dumps(line) + "\n" for line in lines)


def simulated(folder: Path, lines: str, processes: int) -> Result:
    (folder / "policy.yaml").write_text(POLICY)
    (folder / "events.ndjson").write_text(lines)
    files = ("--policy", str(folder / "policy.yaml"), "--events", str(folder / "events.ndjson"))
    options = ("--until", "2026-04-05T00:00:00Z", "--charges", "fail", "--processes", str(processes))
    return CliRunner().invoke(app, ["simulate", *files, *options])


# Twenty charges of one card in thirty days are allowed: what each of two accounts is charged depends on the other.
ONE_CARD = text(failed(0, "fp_1"), failed(1, "fp_1"), failed(3, "fp_3"), failed(4, "fp_4"))
A_CARD_THAT_A_SIGNAL_NAMES = text(
    failed(1, "fp_1"), failed(2, "fp_2"), new_card(2, "fp_1", "2026-03-04T12:00:00Z"), failed(3, "fp_3")
)
A_CHAIN_OF_CARDS = text(
    failed(1, "fp_1"), failed(2, "fp_2"), failed(3, "fp_3"), failed(4),
    failed(2, "fp_1", payment_id="pay_2b", invoice={"id": "in_2b", "amount_due_minor": 900}),
    failed(3, "fp_2", payment_id="pay_3b", invoice={"id": "in_3b", "amount_due_minor": 900}),
)  # fmt: skip
ONE_ENVELOPE_TWICE = text(enveloped(failed(1), "evt_1"), enveloped(failed(2), "evt_1"), failed(3))
NOTHING_IN_COMMON = text(*(failed(number, f"fp_{number}") for number in range(12)))
MUCH_TO_REMARK = text(
    failed(1, amount_minor=-1), failed(2), failed(2, amount_minor=17), failed(3, currency="USD"),
    failed(4, livemode=False), failed(5, at="2026-03-02T09:00:00Z"), failed(6, account_id=None),
    failed(7, currency="USD"), failed(8, "fp_1"),
)  # fmt: skip


@pytest.mark.parametrize(
    "lines",
    [ONE_CARD, A_CARD_THAT_A_SIGNAL_NAMES, A_CHAIN_OF_CARDS, ONE_ENVELOPE_TWICE, NOTHING_IN_COMMON, MUCH_TO_REMARK],
    ids=["one card", "a signal's card", "a chain of cards", "one envelope twice", "nothing in common", "remarks"],
)
def test_many_processes_say_what_one_says(tmp_path: Path, lines: str) -> None:
    alone = simulated(tmp_path, lines, 1)

    for processes in (2, 8):
        together = simulated(tmp_path, lines, processes)
        assert (together.exit_code, together.stdout, together.stderr) == (0, alone.stdout, alone.stderr)
    assert alone.stdout


def test_the_stories_would_differ_if_what_they_share_did_not_keep_them_together(tmp_path: Path) -> None:
    """So that the test above tells something: each account alone is charged more often than beside the other."""
    alone = simulated(tmp_path, text(failed(0, "fp_1")), 1).stdout
    beside = simulated(tmp_path, ONE_CARD, 1).stdout

    assert alone.count('retry.requested","key":"acc_0"') == 21
    assert [beside.count(f'retry.requested","key":"acc_{number}"') for number in (0, 1)] == [12, 10]
    remarks = simulated(tmp_path, ONE_ENVELOPE_TWICE, 1).stderr
    assert remarks.endswith(":2: dead letter: conflicting_duplicate: the first one stands\n")
    assert len(simulated(tmp_path, MUCH_TO_REMARK, 1).stderr.splitlines()) == 6


def parts(lines: str, number: int) -> list[list[int]]:
    return [[line.number for line in part] for part in set_apart(read_inputs("events", lines.encode()), number)]


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (ONE_CARD, [[1, 2], [3, 4]]),
        (A_CARD_THAT_A_SIGNAL_NAMES, [[1, 2, 3], [4]]),
        (A_CHAIN_OF_CARDS, [[1, 2, 3, 5, 6], [4]]),
        (ONE_ENVELOPE_TWICE, [[1, 2], [3]]),
        (text(failed(1), failed(2, account_id="acc_1")), [[1, 2]]),
    ],
)
def test_lines_that_share_something_stay_together_and_parts_are_of_about_one_length(
    lines: str, expected: list[list[int]]
) -> None:
    assert parts(lines, 2) == expected


def test_twelve_accounts_are_shared_out_evenly() -> None:
    assert [len(part) for part in parts(NOTHING_IN_COMMON, 5)] == [3, 3, 2, 2, 2]


def test_a_process_that_dies_is_an_error_and_nothing_is_printed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Mortal(Simulation):
        def run(self, lines: Any, until: Any) -> Any:
            if any(line.number == 1 for line in lines):
                os.kill(os.getpid(), signal.SIGKILL)
            return super().run(lines, until)

    monkeypatch.setattr(whole, "Simulation", Mortal)

    result = simulated(tmp_path, NOTHING_IN_COMMON, 2)

    assert isinstance(result.exception, CommandError)
    assert result.exception.exit_code == 1
    assert str(result.exception).startswith("one of the processes that shared the work ended early (exit code -9)")
    assert result.stdout == ""


def test_a_short_input_is_not_worth_a_second_process_and_a_long_one_is(monkeypatch: pytest.MonkeyPatch) -> None:
    asked_for: list[tuple[int, int]] = []

    def noted(lines: list[InputLine], parts_max: int) -> list[list[InputLine]]:
        asked_for.append((len(lines), parts_max))
        return [lines]

    monkeypatch.setattr(whole, "cores", lambda: 2)
    monkeypatch.setattr(whole, "set_apart", noted)
    until = parse_rfc3339("2026-03-02T09:00:00Z")
    assert until is not None
    unreadable = [InputLine(number, until, "payment.failed", b"{}") for number in range(1000)]

    for length in (10, 499, 500, 1000):
        whole.simulate(unreadable[:length], until, None, None)  # type: ignore[arg-type]

    assert asked_for == [(500, 2), (1000, 2)]
    assert workers.cores() >= 1
