"""`dunning simulate` as a command: what is the same, what is bad input, what is a dead letter (rules 1 to 4 and 46)."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from dunning.domain.ids import case_id
from dunning_cli.errors import CommandError
from dunning_cli.main import app

POLICY = """\
id: standard
version: 1
retries: {after: [1d, 3d]}
ladder:
  - {rung: hello, at: 0d, notice: {template: payment_failed, channels: [email]}, account: past_due}
"""
FAILURE: dict[str, Any] = {
    "payment_id": "pay_1",
    "attempt_number": 1,
    "account_id": "acc_1",
    "invoice": {"id": "in_1", "amount_due_minor": 4900},
    "amount_minor": 4900,
    "currency": "EUR",
    "failed_at": "2026-03-02T10:00:00Z",
    "failure": {"code": "insufficient_funds"},
}
PAYMENT: dict[str, Any] = {
    "payment_id": "pay_2",
    "account_id": "acc_1",
    "invoice": {"id": "in_1", "amount_remaining_minor": 0},
    "amount_minor": 4900,
    "currency": "EUR",
    "succeeded_at": "2026-03-02T12:00:00Z",
}


def line(at: str, data: dict[str, Any], topic: str = "payment.failed") -> str:
    return json.dumps({"at": at, "topic": topic, "data": data})


FIRST = line("2026-03-02T10:00:00Z", FAILURE)


class Files:
    """A policy and an events file in a directory of their own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.policy = folder / "policy.yaml"
        self.events = folder / "events.ndjson"
        self.policy.write_text(POLICY)

    def simulate(self, *lines: str, until: str = "2026-03-20T00:00:00Z", options: tuple[str, ...] = ()) -> Result:
        self.events.write_text("\n".join(lines))
        files = ("--policy", str(self.policy), "--events", str(self.events))
        return CliRunner().invoke(app, ["simulate", *files, "--until", until, *options])


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


def stages(result: Result, track: str) -> list[str]:
    rows = [json.loads(row) for row in result.stdout.splitlines()]
    return [row["data"]["to_stage"] for row in rows if row["data"].get("track") == track]


def test_an_output_line_has_what_the_contract_names(files: Files) -> None:
    result = files.simulate(FIRST, until="2026-03-02T10:00:00Z")

    rows = [json.loads(row) for row in result.stdout.splitlines()]
    assert result.exit_code == 0
    assert {tuple(row) for row in rows} == {("at", "topic", "key", "type", "sequence", "data")}
    assert [(row["topic"], row["key"], row["type"], row["sequence"]) for row in rows] == [
        ("dunning.account.status", "acc_1", "dunning.account.status.v1", 1),
        ("dunning.account.status", "acc_1", "dunning.account.status.v1", 2),
        ("dunning.notice.result", "acc_1", "dunning.notice.result.v1", 1),
        ("dunning.stage.changed", "acc_1", "dunning.stage.changed.v1", 1),
        ("dunning.stage.changed", "acc_1", "dunning.stage.changed.v1", 1),
        ("dunning.stage.changed", "acc_1", "dunning.stage.changed.v1", 1),
    ]
    assert [row["data"]["track"] for row in rows[3:]] == ["account", "notice", "retry"]
    assert {row["at"] for row in rows} == {"2026-03-02T10:00:00Z"}


def test_until_is_inclusive(files: Files) -> None:
    assert stages(files.simulate(FIRST, until="2026-03-03T09:59:59Z"), "retry") == ["scheduled"]
    assert stages(files.simulate(FIRST, until="2026-03-03T10:00:00Z"), "retry") == ["scheduled", "requested"]


def test_lines_may_stand_in_any_order_and_those_of_one_instant_count_in_that_of_the_file(files: Files) -> None:
    payment = line("2026-03-02T12:00:00Z", PAYMENT, "payment.succeeded")

    one_way = files.simulate(FIRST, "", payment)
    other_way = files.simulate(payment, FIRST)

    assert stages(one_way, "retry") == ["scheduled", "recovered"]
    assert other_way.stdout == one_way.stdout


def test_the_same_failure_twice_acts_once_whatever_it_says_beside_its_key(files: Files) -> None:
    again = line("2026-03-02T11:00:00Z", {**FAILURE, "metadata": {"delivery": "2"}})

    assert files.simulate(FIRST, again, again).stdout == files.simulate(FIRST).stdout


def test_the_same_order_twice_is_carried_out_once(files: Files) -> None:
    order = {"kind": "retry.now", "account_id": "acc_1", "invoice_id": "in_1", "at": "2026-03-02T12:00:00Z"}
    once = line("2026-03-02T12:00:00Z", order, "dunning.signals")
    again = line("2026-03-02T13:00:00Z", dict(reversed(order.items())), "dunning.signals")

    result = files.simulate(FIRST, once, again, until="2026-03-02T14:00:00Z", options=("--charges", "fail"))

    assert stages(result, "retry") == ["scheduled", "requested", "scheduled"]


def test_two_orders_that_differ_in_anything_at_all_are_two(files: Files) -> None:
    """A signal's key is its whole data, its sender's own notes included."""
    at = "2026-03-02T12:00:00Z"
    order = {"kind": "case.extended", "account_id": "acc_1", "invoice_id": "in_1", "by": "2d", "at": at}
    once = line(at, order, "dunning.signals")
    another = line(at, {**order, "metadata": {"ticket": 2}}, "dunning.signals")

    def charged_at(*orders: str) -> list[str]:
        rows = [
            json.loads(row) for row in files.simulate(FIRST, *orders, until="2026-03-07T10:00:00Z").stdout.splitlines()
        ]
        return [row["at"] for row in rows if row["topic"] == "dunning.retry.requested"]

    assert charged_at(once, once)[0] == "2026-03-05T10:00:00Z"
    assert charged_at(once, another) == ["2026-03-07T10:00:00Z"]


def test_the_same_key_with_another_required_field_is_a_dead_letter_and_the_first_stands(files: Files) -> None:
    other = line("2026-03-02T11:00:00Z", {**FAILURE, "amount_minor": 100})

    result = files.simulate(FIRST, other)

    assert result.exit_code == 0
    assert result.stdout == files.simulate(FIRST).stdout
    assert result.stderr == f"{files.events}:2: dead letter: conflicting_duplicate: the first one stands\n"


def test_an_event_from_more_than_an_hour_ahead_is_a_dead_letter(files: Files) -> None:
    just = files.simulate(line("2026-03-02T09:00:00Z", FAILURE))
    more = files.simulate(line("2026-03-02T08:59:59Z", FAILURE))

    assert stages(just, "retry")[0] == "scheduled"
    assert (more.exit_code, more.stdout) == (0, "")
    assert more.stderr.startswith(f"{files.events}:1: dead letter: ")


@pytest.mark.parametrize(
    "data",
    [
        {key: value for key, value in FAILURE.items() if key != "account_id"},
        {**FAILURE, "amount_minor": -1},
        {**FAILURE, "currency": "XXQ"},
        {**FAILURE, "failed_at": "yesterday"},
        {**FAILURE, "metadata": {"note": "4242 4242 4242 4242"}},
    ],
)
def test_what_cannot_be_read_is_a_dead_letter_and_the_rest_goes_on(files: Files, data: dict[str, Any]) -> None:
    result = files.simulate(line("2026-03-02T09:30:00Z", data), FIRST)

    assert result.exit_code == 0
    assert stages(result, "retry")[0] == "scheduled"
    assert result.stderr.startswith(f"{files.events}:1: dead letter: ")
    assert "4242 4242" not in result.stderr


def nested(levels: int) -> str:
    """A failure whose data nests so deep, written by hand: a library that writes JSON gives up earlier."""
    deep = '{"a":' * (levels - 1) + "1" + "}" * (levels - 1)
    text = json.dumps({**FAILURE, "payment_id": "pay_deep"})[:-1]
    return f'{{"at": "2026-03-02T09:30:00Z", "data": {text}, "metadata": {deep}}}, "topic": "payment.failed"}}'


@pytest.mark.parametrize("levels", [201, 254, 255, 300, 990, 1023, 1024, 5_000, 100_000])
@pytest.mark.parametrize("processes", ["1", "2"])
def test_data_that_nests_too_deep_is_the_same_dead_letter_at_any_depth(
    files: Files, levels: int, processes: str
) -> None:
    result = files.simulate(nested(levels), FIRST, options=("--processes", processes))

    too_deep = "dead letter: too_deep: objects and lists are nested deeper than 200 levels"
    assert (result.exit_code, result.stderr) == (0, f"{files.events}:1: {too_deep}\n")
    assert result.stdout == files.simulate(FIRST).stdout


def test_data_of_200_levels_is_read(files: Files) -> None:
    result = files.simulate(nested(200).replace("09:30", "10:00"))

    assert (result.exit_code, result.stderr) == (0, "")
    assert stages(result, "retry")[0] == "scheduled"


def test_a_card_number_in_data_that_nests_deep_is_what_the_services_say(files: Files) -> None:
    result = files.simulate(nested(300).replace("pay_deep", "pay").replace(":1}", ':"4242 4242 4242 4242"}'))

    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr == f"{files.events}:1: dead letter: card_number: the body holds a card number\n"


DEEP = '{"a":' * 5_000 + "1" + "}" * 5_000
HEAD = '{"at": "2026-03-02T10:00:00Z", "topic": "payment.failed", '


@pytest.mark.parametrize(
    ("text", "what"),
    [
        (HEAD + f'"note": {DEEP}, "data": {{}}}}', "not a line of JSON: "),
        (HEAD + f'"data": {DEEP}', "not a line of JSON: "),  # it never ends
        (HEAD + '"data": ' + '{"a":' * 5_000, "not a line of JSON: "),
        (HEAD + f'"data": [{DEEP}]}}', "not a line of JSON: "),
        (HEAD + '"data": ' + "[" * 500 + "]" * 500 + "}", '"data" is not an object'),
        (HEAD + f'"data": {DEEP}, "data": 7}}', '"data" is not an object'),
        (f'{{"at": {DEEP}, "topic": "payment.failed", "data": {{}}}}', "not a line of JSON: "),
        (DEEP, "not a line of JSON: "),
        ("[" * 5_000 + "]" * 5_000, "not a line of JSON: "),
        (HEAD + f'"text": "\\"data\\": {{}} [", "data": {{"a": {DEEP}}}, "at": 5}}', '"at" is not an RFC 3339 time'),
    ],
)
def test_a_line_that_nests_too_deep_to_be_one_ends_with_2_and_its_place(files: Files, text: str, what: str) -> None:
    result = files.simulate(FIRST, text)

    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith(f"{files.events}:2: {what}")


def test_without_a_matching_policy_a_line_says_so(files: Files) -> None:
    files.policy.write_text(POLICY + "match: {currencies: [USD]}\n")

    result = files.simulate(FIRST)

    assert (result.exit_code, result.stdout) == (0, "")
    assert "dead letter: no_policy" in result.stderr


def test_a_slip_in_a_signals_kind_or_channel_is_said(files: Files) -> None:
    pause = {"kind": "case.pausd", "account_id": "acc_1", "at": "2026-03-02T11:00:00Z", "reason": "a call"}
    consent = {"kind": "consent.changed", "account_id": "acc_1", "at": "2026-03-02T11:00:00Z", "allowed": False}
    promise = {"kind": "promise.made", "account_id": "acc_1", "at": "2026-03-02T11:00:00Z", "invoice_id": "in_1"}
    result = files.simulate(
        FIRST,
        line("2026-03-02T11:00:00Z", pause, "dunning.signals"),
        line("2026-03-02T11:00:00Z", {**consent, "channel": "e-mail"}, "dunning.signals"),
        line("2026-03-02T11:00:00Z", {**promise, "pay_by": "2026-03-09T11:00:00Z"}, "dunning.signals"),
        until="2026-03-02T12:00:00Z",
    )

    unknown = "passed over: a kind of signal, or a channel, that this version does not know"
    assert result.exit_code == 0
    assert result.stderr.splitlines() == [f"{files.events}:2: {unknown}", f"{files.events}:3: {unknown}"]


def test_test_data_is_passed_over(files: Files) -> None:
    result = files.simulate(line("2026-03-02T10:00:00Z", {**FAILURE, "livemode": False}))

    assert (result.exit_code, result.stdout) == (0, "")


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("{", "not a line of JSON"),
        ("[]", "not a JSON object"),
        ('{"topic": "payment.failed", "data": {}}', '"at" is not an RFC 3339 time'),
        ('{"at": "2026-03-02", "topic": "payment.failed", "data": {}}', '"at" is not an RFC 3339 time'),
        ('{"at": "2026-03-02T10:00:00", "topic": "payment.failed", "data": {}}', '"at" is not an RFC 3339 time'),
        ('{"at": 7, "topic": "payment.failed", "data": {}}', '"at" is not an RFC 3339 time'),
        ('{"at": "1969-12-31T23:59:59Z", "topic": "payment.failed", "data": {}}', '"at" is not a time from 1970 to'),
        ('{"at": "2200-01-01T00:00:00Z", "topic": "payment.failed", "data": {}}', '"at" is not a time from 1970 to'),
        ('{"at": "2026-03-02T10:00:00Z", "topic": "payments", "data": {}}', '"topic" is not one of'),
        ('{"at": "2026-03-02T10:00:00Z", "topic": "payment.failed"}', '"data" is not an object'),
    ],
)
def test_a_malformed_line_ends_with_2_and_its_place(files: Files, text: str, what: str) -> None:
    result = files.simulate(FIRST, text)

    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith(f"{files.events}:2: {what}")


def test_bytes_that_are_no_text_end_with_2(files: Files) -> None:
    files.events.write_bytes(b"\xff\xfe\n")

    done = CliRunner().invoke(
        app,
        ["simulate", "--policy", str(files.policy), "--events", str(files.events), "--until", "2026-03-20T00:00:00Z"],
    )

    assert done.exit_code == 2
    assert done.stderr.startswith(f"{files.events}:1: not a line of JSON")


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ('{"attempt_number": 2, "answer": "fail"}', '"invoice_id" is not a text'),
        ('{"invoice_id": "in_1", "attempt_number": 0, "answer": "fail"}', '"attempt_number" is not a whole number'),
        ('{"invoice_id": "in_1", "attempt_number": 2, "answer": "maybe"}', '"answer" is not "fail" or "succeed"'),
        ('{"invoice_id": "in_1", "attempt_number": 2, "answer": "fail", "failure": {}}', '"failure" is not an object'),
    ],
)
def test_a_malformed_charges_file_ends_with_2(files: Files, text: str, what: str) -> None:
    charges = files.folder / "charges.ndjson"
    charges.write_text(text)

    result = files.simulate(FIRST, options=("--charges", str(charges)))

    assert result.exit_code == 2
    assert result.stderr.startswith(f"{charges}:1: {what}")


def test_a_broken_policy_ends_with_2_and_its_place(files: Files) -> None:
    files.policy.write_text("id: standard\nversion: 1\nladder: [{rung: a}]\n")

    result = files.simulate(FIRST)

    assert (result.exit_code, result.stdout) == (2, "")
    assert f"{files.policy}:3:" in result.stderr


def test_a_file_that_is_not_there_or_a_time_that_is_none_ends_with_2(files: Files) -> None:
    for options in (("--charges", str(files.folder / "none")), ("--policy", str(files.folder / "none"))):
        result = files.simulate(FIRST, options=options)
        assert isinstance(result.exception, CommandError)
        assert result.exception.exit_code == 2

    result = files.simulate(FIRST, until="tomorrow")
    assert isinstance(result.exception, CommandError)
    assert "tomorrow" in str(result.exception)


def test_an_answer_that_fails_repeats_the_last_failure_of_the_case_not_one_that_a_policy_ignores(files: Files) -> None:
    ignoring = files.folder / "ignoring.yaml"
    ignoring.write_text("{id: nothing, version: 1, priority: 1, ignore: true, match: {segments: [free]}}")
    later, ignored = "2026-03-02T11:00:00Z", {"segment": "free", "failure": {"code": "expired_card"}}
    second = line(later, {**FAILURE, **ignored, "failed_at": later, "attempt_number": 2})
    opening = line("2026-03-02T12:00:00Z", FAILURE)

    result = files.simulate(second, opening, options=("--charges", "fail", "--policy", str(ignoring)))

    assert stages(result, "retry") == ["scheduled", "requested", "scheduled", "requested", "exhausted"]


def test_charges_are_answered_at_the_instant_they_are_asked_for(files: Files) -> None:
    charges = files.folder / "charges.ndjson"
    told = {"invoice_id": "in_1", "attempt_number": 3, "answer": "succeed"}
    charges.write_text(json.dumps(told))

    assert stages(files.simulate(FIRST, options=("--charges", "fail")), "retry") == [
        "scheduled", "requested", "scheduled", "requested", "exhausted"
    ]  # fmt: skip
    assert stages(files.simulate(FIRST, options=("--charges", "succeed")), "retry") == [
        "scheduled", "requested", "recovered"
    ]  # fmt: skip
    assert stages(files.simulate(FIRST, options=("--charges", str(charges))), "retry") == [
        "scheduled", "requested", "scheduled", "requested", "recovered"
    ]  # fmt: skip


def test_the_output_does_not_depend_on_the_process(files: Files) -> None:
    lines = [
        line(
            "2026-03-02T10:00:00Z",
            {**FAILURE, "account_id": f"acc_{n}", "invoice": {"id": f"in_{m}", "amount_due_minor": 1}},
        )
        for n in range(5)
        for m in range(5)
    ]
    files.events.write_text("\n".join(lines))
    command: list[str | Path] = [
        sys.executable,
        "-m",
        "dunning_cli",
        "simulate",
        "--policy",
        files.policy,
        "--events",
        files.events,
    ]
    command += ["--until", "2026-03-20T00:00:00Z", "--charges", "fail"]

    outputs = {
        subprocess.run(command, env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, check=True).stdout
        for seed in ("0", "1", "2")
    }

    assert len(outputs) == 1


def test_a_line_that_says_what_the_simulated_processor_said_is_a_duplicate(files: Files) -> None:
    """It counts as no second closing: what fails later is the invoice's second case (rules 1 and 8)."""
    answered = {**PAYMENT, "payment_id": "pay_1", "succeeded_at": "2026-03-03T10:00:00Z"}
    returned = {**FAILURE, "attempt_number": 3, "failed_at": "2026-03-05T10:00:00Z"}
    same = line("2026-03-03T15:00:00Z", answered, "payment.succeeded")

    result = files.simulate(
        FIRST,
        same,
        line("2026-03-05T10:00:00Z", returned),
        until="2026-03-05T10:00:00Z",
        options=("--charges", "succeed"),
    )

    rows = [json.loads(row)["data"] for row in result.stdout.splitlines()]
    opened = [row["case_id"] for row in rows if row.get("track") == "account" and row["to_stage"] == "past_due"]
    assert opened == [case_id("acc_1", "in_1", 1), case_id("acc_1", "in_1", 2)]
