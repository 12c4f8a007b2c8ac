"""Policy files: what is read from them, and what is said about the ones that are wrong."""

import re
import subprocess
import sys
from datetime import time
from pathlib import Path

import pytest

from dunning.domain.calendar import DailyHours, Duration
from dunning.domain.policy import Anchor, Match, Policy, Retries, Roll, Rung, RungNotice, Toward
from dunning.domain.policy_file import Code, Problem, Severity, load_policy
from dunning.domain.policy_file.pending import NOT_IN_FORCE
from dunning.domain.words import AccountStage, Channel

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
GOOD = """\
id: p
version: 1
ladder:
  - {rung: first, at: 0d, notice: {template: payment_failed, channels: [email]}, account: past_due}
"""


def problems_of(text: str | bytes, name: str = "p.yaml") -> list[str]:
    return [str(problem) for problem in load_policy(text, name).problems]


def good(text: str) -> Policy:
    loaded = load_policy(text, "p.yaml")
    assert loaded.policy is not None, loaded.problems
    return loaded.policy


def blocks(name: str) -> list[tuple[str, list[str]]]:
    """The (written, expected) pairs of a text file; `=> fine` says that nothing is reported."""
    pairs = []
    for block in (HERE / name).read_text("utf-8").split("\n\n")[1:]:
        lines = block.strip("\n").split("\n")
        expected = [line.removeprefix("=> ") for line in lines if line.startswith("=> ")]
        written = "\n".join(line for line in lines if not line.startswith("=> "))
        if written:
            pairs.append((written, [] if expected == ["fine"] else expected))
    return pairs


@pytest.mark.parametrize(("written", "expected"), blocks("keys.txt"))
def test_every_problem_of_a_key_is_reported_with_its_place_and_cure(written: str, expected: list[str]) -> None:
    assert problems_of(f"{GOOD}{written}\n") == expected


@pytest.mark.parametrize(("written", "expected"), blocks("rungs.txt"))
def test_every_problem_of_a_rung_is_reported_with_its_place_and_cure(written: str, expected: list[str]) -> None:
    assert problems_of(f"{GOOD}  - {written}\n") == expected


def test_the_two_errors_that_the_contracts_quote_come_out_as_quoted() -> None:
    misspelt_key = """\
id: standard
version: 1
ladder:
  - rung: payment_failed
    at: 0d
    notice: {template: payment_failed, channels: [email]}
  - rung: gentle_reminder
    aftr: 3d
    notice: {template: gentle_reminder, channels: [email]}
"""
    misspelt_rung = """\
id: standard
version: 1
timezone: UTC
ladder:
  - {rung: payment_failed, at: 0d, account: past_due}
  - {rung: gentle_reminder, at: 3d, notice: {template: gentle_reminder, channels: [email]}}
  - {rung: formal_notice, at: 7d, notice: {template: formal_notice, channels: [email]}}
  - rung: suspension_warning
    at: 11d
    notice: {template: suspension_warning, channels: [email]}
  - {rung: suspended, account: suspended, at: 2w, warned_by: suspension_warnign}
"""
    assert problems_of(misspelt_key, "policy.yaml") == [
        'policy.yaml:8:5: ladder[1].aftr: unknown key; did you mean "at"? [DUN-P003]'
    ]
    assert problems_of(misspelt_rung, "policies/standard.yaml") == [
        'policies/standard.yaml:11:62: ladder[4].warned_by: no rung named "suspension_warnign"; '
        'did you mean "suspension_warning"? [DUN-P014]'
    ]


def test_all_problems_of_a_file_come_at_once_in_its_order() -> None:
    text = "id: p\nversion: zero\nladder:\n  - {rung: r, at: 3, acount: restricted}\ntimezone: Nowhere\n"

    assert problems_of(text) == [
        'p.yaml:2:10: version: found "zero"; expected a whole number such as 1 [DUN-P006]',
        "p.yaml:4:19: ladder[0].at: found the number 3; a duration has a unit: 90s, 15m, 12h, 3d, 2w or 1d12h "
        "[DUN-P010]",
        'p.yaml:4:22: ladder[0].acount: unknown key; did you mean "account"? [DUN-P003]',
        'p.yaml:5:11: timezone: no time zone named "Nowhere"; write an IANA name such as "Europe/Berlin" or "account" '
        "[DUN-P012]",
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "p.yaml:1:1: the file is empty; a policy starts with `id:` [DUN-P001]"),
        ("# nothing yet\n", "p.yaml:1:1: the file is empty; a policy starts with `id:` [DUN-P001]"),
        ("[1]", "p.yaml:1:1: found a list; a policy is a mapping that starts with `id:` [DUN-P006]"),
        ("id: [", "p.yaml:1:6: not YAML: expected the node content, but found '<stream end>' [DUN-P001]"),
        ("id: p\n\tversion: 1", "p.yaml:2:1: not YAML: found character '\\t' that cannot start any token [DUN-P001]"),
        ("id: &a [*a]", "p.yaml:1:9: *a: nothing before this is anchored as &a [DUN-P001]"),
        (
            "id: !!python/object:os.system x",
            "p.yaml:1:5: the tag tag:yaml.org,2002:python/object:os.system: tags have no place in a policy [DUN-P001]",
        ),
        ("id: a\n---\nid: b", "p.yaml:2:1: a second document; write one policy per file [DUN-P001]"),
        ("? [a]\n: b", "p.yaml:1:3: a list or mapping as a key; a key is a word [DUN-P001]"),
        ("id: a\nb: \x00", "p.yaml:2:4: a character that YAML does not allow; remove it [DUN-P001]"),
        ('id: "\\UFFFFFFFF"', "p.yaml:1:8: not YAML: a number is too large [DUN-P001]"),
        (b"id: p\nver\xff: 1", "p.yaml:2:4: not UTF-8; save the file in this encoding [DUN-P001]"),
        ("[" * 10_000, "p.yaml:1:21: nested deeper than 20 levels [DUN-P002]"),
        ("x" * 262_145, "p.yaml:1:1: 262145 bytes; a policy file has at most 262144 [DUN-P002]"),
    ],
)
def test_a_file_that_cannot_be_read_says_where_it_stops_being_a_policy(text: str | bytes, expected: str) -> None:
    assert problems_of(text) == [expected]


def test_aliases_may_save_typing_but_not_multiply_without_end() -> None:
    ten = ", ".join(["*{0}"] * 10)
    levels = [f"{name}: &{name} [{ten.format(before)}]" for before, name in ("ab", "bc", "cd", "de", "ef", "fg")]

    saved = good(f"{GOOD}retries: {{after: &days [1d, 3d], technical_after: *days}}\n")

    assert saved.retries is not None
    assert saved.retries.technical_after == (Duration(1), Duration(3))
    assert problems_of("a: &a [x]\n" + "\n".join(levels)) == [
        "p.yaml:5:4: more than 20000 values, counting those that aliases repeat [DUN-P002]"
    ]


def test_a_ladder_has_at_least_one_rung_and_at_most_a_hundred() -> None:
    rungs = "".join(f"  - {{rung: r{number}, at: 0d, account: past_due}}\n" for number in range(101))

    assert problems_of("id: p\nversion: 1\nladder: []\n") == [
        "p.yaml:3:9: ladder: an empty list; a ladder has at least one rung [DUN-P008]"
    ]
    assert problems_of(f"id: p\nversion: 1\nladder:\n{rungs}") == [
        "p.yaml:4:3: ladder: 101 entries; at most 100 are allowed [DUN-P008]"
    ]


def test_a_policy_that_ignores_needs_no_ladder() -> None:
    policy = good("id: internal\nversion: 2\nignore: true\nmatch: {segments: [internal]}\n")

    assert policy.ignore
    assert policy.ladder == ()
    assert problems_of("id: p\nversion: 1\n") == [
        "p.yaml:1:1: ladder: required, but missing; only a policy with `ignore: true` needs no ladder [DUN-P005]"
    ]


def test_every_key_in_force_is_read() -> None:
    text = """\
id: standard
version: 3
match: {segments: [self_serve], countries: [DE, "NO"], currencies: [EUR], payment_types: [card], min_amount: {EUR: 500}}
priority: 20
anchor: due_date
timezone: Europe/Berlin
fallback_timezone: America/New_York
roll: none
retries:
  strategy: ladder
  after: [1d, 36h]
  max_retries: 8
  window: 4w
  hours: ["08:00", "20:00"]
  technical_after: [5m]
  timeout: 2d
  roll: none
ladder:
  - {rung: warning, at: 0d, notice: {template: suspension_warning, channels: [email, in_app], fallback: [sms, letter]}}
  - {rung: stop, at: 1w, account: suspended, warned_by: warning, lead: 3d, unreachable: wait}
  - {rung: end, at: 14d, account: terminated, warned_by: warning, collections: true}
contact: {quiet_hours: ["21:00", "08:00"]}
"""
    hours = DailyHours(time(21), time(8))
    policy = good(text)

    assert policy == Policy(
        id="standard",
        version=3,
        match=Match(
            segments=frozenset({"self_serve"}),
            countries=frozenset({"DE", "NO"}),
            currencies=frozenset({"EUR"}),
            payment_types=frozenset({"card"}),
            min_amount={"EUR": 500},
        ),
        priority=20,
        anchor=Anchor.DUE_DATE,
        timezone="Europe/Berlin",
        fallback_timezone="America/New_York",
        retries=Retries(
            after=(Duration(1), Duration(seconds=129_600)),
            max_retries=8,
            technical_after=(Duration(seconds=300),),
            window=Duration(28),
            hours=DailyHours(time(8), time(20)),
            timeout=Duration(2),
        ),
        ladder=(
            Rung(
                "warning",
                Duration(0),
                RungNotice("suspension_warning", (Channel.EMAIL, Channel.IN_APP), (Channel.SMS, Channel.LETTER)),
            ),
            Rung("stop", Duration(7), None, AccountStage.SUSPENDED, "warning", Duration(3)),
            Rung("end", Duration(14), None, AccountStage.TERMINATED, "warning", Duration(14), collections=True),
        ),
        quiet_hours={Channel.EMAIL: hours, Channel.SMS: hours, Channel.PUSH: hours, Channel.CALL: hours},
        digest=policy.digest,
        source="p.yaml",
    )


def test_what_is_left_out_has_the_defaults_of_the_rules() -> None:
    policy = good(f"{GOOD}retries: {{after: [1d, 3d]}}\n")

    assert policy.retries == Retries(
        after=(Duration(1), Duration(3)),
        max_retries=2,
        technical_after=(Duration(seconds=600), Duration(seconds=3_600), Duration(seconds=21_600)),
    )
    assert (policy.priority, policy.anchor, policy.timezone, policy.fallback_timezone) == (
        100,
        Anchor.FIRST_FAILURE,
        "account",
        "UTC",
    )
    assert good(GOOD).retries is None


@pytest.mark.parametrize(
    ("written", "quiet"),
    [
        ("", {Channel.SMS, Channel.PUSH, Channel.CALL}),
        ("contact: {}\n", {Channel.SMS, Channel.PUSH, Channel.CALL}),
        ("contact: {quiet_hours: none}\n", set()),
        (
            'contact: {quiet_hours: ["21:00", "08:00"]}\n',
            {Channel.EMAIL, Channel.SMS, Channel.PUSH, Channel.CALL},
        ),
    ],
)
def test_quiet_hours_hold_for_these_channels(written: str, quiet: set[Channel]) -> None:
    assert dict(good(GOOD + written).quiet_hours) == dict.fromkeys(quiet, DailyHours(time(21), time(8)))


def test_templates_of_ones_own_are_known_when_they_are_named() -> None:
    text = GOOD.replace("payment_failed", "welcome_back")

    assert load_policy(text, "p.yaml", templates={"welcome_back"}).problems == ()
    assert [problem.code for problem in load_policy(text, "p.yaml").problems] == [Code.UNKNOWN_TEMPLATE]


def test_a_warning_keeps_no_policy_from_being_used() -> None:
    loaded = load_policy(f"{GOOD}retries: {{after: [3d], window: 2d}}\n", "p.yaml")

    assert loaded.policy is not None
    assert loaded.problems == (
        Problem(
            file="p.yaml",
            line=5,
            column=32,
            path="retries.window",
            message="only 0 of 1 planned retries fit into 2d",
            code=Code.WINDOW_TOO_SHORT,
            severity=Severity.WARNING,
        ),
    )


def test_every_key_that_is_not_in_force_is_refused_somewhere_above() -> None:
    refused = set()
    for name in ("keys.txt", "rungs.txt"):
        lines = [line for _, expected in blocks(name) for line in expected if line.endswith("[DUN-P007]")]
        refused |= {re.sub(r"\[\d+\]", "[]", line.split(": ")[1]) for line in lines}

    assert refused == set(NOT_IN_FORCE)


def test_the_reference_explains_every_code_and_no_other() -> None:
    reference = (ROOT / "docs" / "policy-reference.md").read_text("utf-8")
    explained = re.findall(r"^\| `(DUN-P\d{3})` \|", reference, re.MULTILINE)

    assert explained == sorted(code.value for code in Code)


@pytest.mark.parametrize(
    ("written", "roll", "for_retries"),
    [
        ("", None, None),
        ("roll: {business_days: next}\n", Roll(Toward.NEXT, ("account_country",)), None),
        ("roll: {business_days: previous, calendars: [DE-BY, US]}\n", Roll(Toward.PREVIOUS, ("DE-BY", "US")), None),
        ("roll: {business_days: next, calendars: []}\n", Roll(Toward.NEXT, ()), None),
        ("retries: {after: [1d], roll: {business_days: previous}}\n", None, Roll(Toward.PREVIOUS)),
    ],
)
def test_rungs_and_retries_have_business_days_of_their_own(
    written: str, roll: Roll | None, for_retries: Roll | None
) -> None:
    policy = good(GOOD + written)

    assert (policy.roll, policy.retries.roll if policy.retries else None) == (roll, for_retries)


def test_the_calendars_of_all_countries_are_read_only_for_a_policy_that_names_one() -> None:
    read = "from dunning.domain.policy_file import load_policy; import sys; load_policy(sys.argv[1], 'p.yaml')"
    ask = f"{read}; print('holidays' in sys.modules)"

    def imported(text: str) -> str:
        return subprocess.run([sys.executable, "-c", ask, text], capture_output=True, check=True, text=True).stdout

    assert imported(GOOD) == "False\n"
    assert imported(f"{GOOD}roll: {{business_days: next, calendars: [DE]}}\n") == "True\n"
