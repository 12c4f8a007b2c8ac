"""`dunning policy diff`: every difference is told in words, and nothing is told that is none."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from dunning.domain.policy import Policy
from dunning.domain.policy_file import fields, load_policy
from dunning_cli.comparison.compare import compare
from dunning_cli.errors import CommandError
from dunning_cli.policy import app
from tests.unit.policy.test_policy_schema import FULL

ROOT = Path(__file__).parents[3]
BEFORE = """\
id: p
version: 1
match: {segments: [a, b], min_amount: {EUR: 500}}
retries: {after: [1d, 3d, 5d, 7d], window: 28d, hours: ["08:00", "20:00"]}
ladder:
  - {rung: first, at: 0d, account: past_due, notice: {template: payment_failed, channels: [email, in_app]}}
  - {rung: gentle, at: 3d, notice: {template: gentle_reminder, channels: [email]}}
  - {rung: warn, at: 11d, notice: {template: suspension_warning, channels: [email, sms], fallback: [letter]}}
  - {rung: stop, at: 14d, account: suspended, warned_by: warn, notice: {template: suspended, channels: [email]}}
  - {rung: end, at: 25d, account: terminated, warned_by: warn, lead: 10d, unreachable: 7d}
conditions: {end: {unpaid_invoices_at_least: 2, balance_at_least: {EUR: 1000}}}
contact: {caps: {email: {7d: 4}}}
"""


@pytest.fixture(autouse=True)
def every_key_in_force(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also of keys that come into force later."""
    monkeypatch.setattr(fields, "NOT_IN_FORCE", {})


def policy(text: str) -> Policy:
    loaded = load_policy(text, "p.yaml")
    assert loaded.policy is not None, loaded.problems
    return loaded.policy


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ("at: 14d, account", "at: 12d, account", [
            "the suspension comes 2 days earlier: day 12 instead of day 14",
            "the suspension comes at least 1 day after its warning instead of 3 days",
        ]),
        ("at: 14d, account", "at: 14d6h, account", [
            "the suspension comes 6h later: day 14 and 6h instead of day 14",
            "the suspension comes at least 3 days and 6h after its warning instead of 3 days",
        ]),
        ("at: 14d, account", "at: 13d23h50m, account", [
            "the suspension comes 10m earlier: day 13 and 23h50m instead of day 14",
            "the suspension comes at least 2 days and 23h50m after its warning instead of 3 days",
        ]),
        ("at: 11d, notice", "at: 11d10m, notice", [
            'the warning "warn" comes 10m later: day 11 and 10m instead of day 11',
            "the suspension comes at least 3 days less 10m after its warning instead of 3 days",
        ]),
        ("at: 14d, account", "at: 335h, account", [
            "the suspension comes 1h earlier: after 335h instead of day 14",
            "the suspension comes at least 335h less 11 days after its warning instead of 3 days",
        ]),
        ("channels: [email, sms]", "channels: [email]", ['the warning "warn" no longer goes out by SMS']),
        ("channels: [email, sms]", "channels: [email, sms, push]", [
            'the warning "warn" also goes out by push message'
        ]),
        ("channels: [email, sms]", "channels: [sms, email]", [
            'the warning "warn" goes out by the same channels in another order'
        ]),
        ("fallback: [letter]", "fallback: [call, letter]", [
            'where no channel delivers, the warning "warn" tries call and letter instead of letter'
        ]),
        ("  - {rung: gentle, at: 3d, notice: {template: gentle_reminder, channels: [email]}}\n", "", [
            'the notice "gentle" is gone (day 3 by email)'
        ]),
        ("rung: gentle", "rung: nudge", ['the notice "gentle" is called nudge now']),
        ("template: gentle_reminder", "template: formal_notice", [
            'the notice "gentle" says "formal_notice" instead of "gentle_reminder"'
        ]),
        ("account: past_due, ", "", ['the rung "first" leaves the account as it is instead of past due']),
        (", notice: {template: suspended, channels: [email]}", "", [
            'the notice "stop" is gone; its step happens without a word'
        ]),
        ("lead: 10d", "lead: 12d", ["the termination comes at least 12 days after its warning instead of 10 days"]),
        ("unreachable: 7d", "unreachable: wait", [
            "where the warning reaches nobody, the termination comes never instead of after 7 days"
        ]),
        ("unreachable: 7d", "unreachable: 7d, collections: true", [
            "the termination says that the debt may go to collections"
        ]),
        ("[1d, 3d, 5d, 7d]", "[1d, 3d, 5d]", [
            "retries: one fewer, the last on day 9 instead of day 16 (days 1, 4 and 9 instead of days 1, 4, 9 and 16)"
        ]),
        ("[1d, 3d, 5d, 7d]", "[1d, 3d, 5d, 12d]", [
            "retries: the last on day 21 instead of day 16 (days 1, 4, 9 and 21 instead of days 1, 4, 9 and 16)"
        ]),
        ("[1d, 3d, 5d, 7d]", "[2d, 2d, 5d, 7d]", ["retries: days 2, 4, 9 and 16 instead of days 1, 4, 9 and 16"]),
        ("window: 28d", "window: 10d", [
            "retries: one fewer, the last on day 9 instead of day 16 (days 1, 4 and 9 instead of days 1, 4, 9 and 16)",
            "retries end 10 days after the first failure instead of 28 days",
        ]),
        (", window: 28d", "", ["retries have no end instead of ending 28 days after the first failure"]),
        ("window: 28d", "window: 28d, technical_after: []", [
            "after technical failures the next tries come as after any other failure instead of after 10m, 1h and 6h"
        ]),
        (', hours: ["08:00", "20:00"]', "", ["retries come at any time of day instead of 08:00 to 20:00"]),
        ("window: 28d", "window: 28d, timeout: 2d", [
            "a charge waits 2 days for its answer instead of 1 day (cards) or 14 days (others)"
        ]),
        ("window: 28d", "window: 28d, technical_after: [1h]", [
            "after technical failures the next tries come after 1h instead of after 10m, 1h and 6h"
        ]),
        ("window: 28d", "window: 28d, roll: {business_days: next}", [
            "retries on days without business move to the next business day (the customer's country); "
            "before they stayed"
        ]),
        ('retries: {after: [1d, 3d, 5d, 7d], window: 28d, hours: ["08:00", "20:00"]}\n', "", [
            "nothing is charged again from here any more"
        ]),
        ("segments: [a, b]", "segments: [a, c]", ["it is also for the segment c and no longer for the segment b"]),
        ("segments: [a, b], ", "", ["it is for all, no longer only for the segment a and b"]),
        ("{segments: [a, b], ", "{segments: [a, b], countries: [DE], ", [
            "it is only for customers in DE; it was for all"
        ]),
        ("min_amount: {EUR: 500}", "min_amount: {EUR: 900}", [
            "it is for invoices from 900 minor units of EUR instead of invoices from 500 minor units of EUR"
        ]),
        (", min_amount: {EUR: 500}", "", [
            "it is for all invoices in EUR instead of invoices from 500 minor units of EUR",
            "an invoice in a currency that is not named matches too",
        ]),
        ("version: 1\n", "version: 1\npriority: 50\n", [
            "it is tried earlier among several policies: priority 50 instead of 100"
        ]),
        ("version: 1\n", "version: 1\nvalid_from: 2026-05-01T02:00:00+02:00\n", [
            "new cases take it from 2026-05-01T00:00:00Z on instead of at once"
        ]),
        ("version: 1\n", "version: 1\nanchor: due_date\n", [
            "the ladder counts from the invoice's due date instead of the first failure"
        ]),
        ("version: 1\n", "version: 1\ntimezone: Europe/Berlin\n", [
            "days and hours are those of Europe/Berlin instead of the customer's zone"
        ]),
        ("version: 1\n", "version: 1\nroll: {business_days: previous, calendars: [DE]}\n", [
            "rungs on days without business move to the previous business day (DE); before they would stay"
        ]),
        ("unpaid_invoices_at_least: 2, ", "", [
            "the termination needs a balance of at least 1000 minor units of EUR instead of at least 2 unpaid invoices "
            "and a balance of at least 1000 minor units of EUR"
        ]),
        ("contact: {", 'contact: {quiet_hours: {email: ["20:00", "09:00"]}, ', [
            "nothing goes out by email from 20:00 to 09:00; before, it did at any time",
            "by SMS something may go out at any time; before, nothing did from 21:00 to 08:00",
            "by push message something may go out at any time; before, nothing did from 21:00 to 08:00",
            "by call something may go out at any time; before, nothing did from 21:00 to 08:00",
        ]),
        ("{email: {7d: 4}}", "{email: {7d: 2, 1d: 1}}", [
            "notices by email within 1 day: at most 1 instead of as many as there were",
            "notices by email within 7 days: at most 2 instead of 4",
        ]),
        ("{email: {7d: 4}}", "{all: {7d: 4}}", [
            "notices by email within 7 days: as many as there are instead of 4",
            "notices in all within 7 days: at most 4 instead of as many as there were",
        ]),
        ("version: 1", "version: 2", []),
        ("at: 14d, account", "at: 2w, account", []),
    ],
)  # fmt: skip
def test_a_difference_is_told_as_a_customer_would_notice_it(before: str, after: str, told: list[str]) -> None:
    assert before in BEFORE
    changes = compare(policy(BEFORE), policy(BEFORE.replace(before, after, 1)))

    assert [change.what for change in changes] == told


@pytest.mark.parametrize(
    "line", [line for line in FULL.splitlines() if ":" in line and not line.startswith(("id", "ver"))]
)
def test_no_key_changes_without_a_word(line: str) -> None:
    """Every key of the full policy is left out or changed, whichever loads: something is said each time."""
    numbers = str.maketrans("123456789", "234567898")
    variants = [FULL.replace(f"{line}\n", "", 1), FULL.replace(line, line.translate(numbers), 1)]
    loaded = [load_policy(text, "p.yaml").policy for text in variants]
    readable = [each for each in loaded if each is not None and each.digest != policy(FULL).digest]

    for each in readable:
        told = [change.what for change in compare(policy(FULL), each)]
        assert told
        assert "no words" not in " ".join(told)


def test_a_window_that_comes_is_told_too() -> None:
    without = policy(BEFORE.replace(", window: 28d", ""))

    assert [change.what for change in compare(without, policy(BEFORE))] == [
        "retries end 28 days after the first failure instead of having no end"
    ]


def diff(*arguments: object) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["diff", *map(str, arguments)])
    if isinstance(result.exception, CommandError):
        return result.exception.exit_code, str(result.exception)
    return result.exit_code, result.stdout


def test_the_command_groups_what_changes_and_ends_with_1(tmp_path: Path) -> None:
    a, b = tmp_path / "a.yaml", tmp_path / "b.yaml"
    a.write_text(BEFORE)
    b.write_text(BEFORE.replace("at: 14d, account", "at: 12d, account").replace("7d], window", "9d], window"))

    assert diff(a, b) == (
        1,
        """\
p version 1 -> p version 1

Charging again
  retries: the last on day 18 instead of day 16 (days 1, 4, 9 and 18 instead of days 1, 4, 9 and 16)

Notices and the account
  the suspension comes 2 days earlier: day 12 instead of day 14
  the suspension comes at least 1 day after its warning instead of 3 days

note: both are p version 1 and mean different things: services that know the one refuse the other; give the changed \
file a new version
""",
    )


def test_a_new_version_with_the_same_content_changes_nothing(tmp_path: Path) -> None:
    a, b = tmp_path / "a.yaml", tmp_path / "b.yaml"
    a.write_text(BEFORE)
    b.write_text("# another spelling\n" + BEFORE.replace("version: 1", "version: 2"))

    assert diff(a, b) == (0, "p version 1 -> p version 2\nnothing changes for a customer\n")


def test_json_has_the_words_and_the_values(tmp_path: Path) -> None:
    a, b = tmp_path / "a.yaml", tmp_path / "b.yaml"
    a.write_text(BEFORE)
    b.write_text(BEFORE.replace("version: 1", "version: 2").replace("at: 3d", "at: 4d"))

    code, printed = diff(a, b, "--format", "json")

    assert code == 1
    assert json.loads(printed) == {
        "a": {"file": str(a), "id": "p", "version": 1},
        "b": {"file": str(b), "id": "p", "version": 2},
        "same": False,
        "changes": [
            {
                "about": "ladder",
                "path": "ladder.gentle.at",
                "what": 'the notice "gentle" comes 1 day later: day 4 instead of day 3',
                "before": "3d",
                "after": "4d",
            }
        ],
        "notes": [],
    }


def test_a_file_with_errors_cannot_be_compared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a.yaml").write_text(BEFORE)
    Path("b.yaml").write_text(BEFORE.replace("rung: gentle", "rungs: gentle"))

    assert diff("a.yaml", "b.yaml") == (
        2,
        'b.yaml:7:6: ladder[1].rungs: unknown key; did you mean "rung"? [DUN-P003]\n',
    )
    assert diff("a.yaml", "c.yaml") == (2, "cannot read c.yaml: No such file or directory [DUN-P033]")
