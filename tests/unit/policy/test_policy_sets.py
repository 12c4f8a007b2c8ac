"""Several policy files used together, and what makes two of them the same."""

import hashlib
from pathlib import Path

import yaml

from dunning.domain.calendar import Duration
from dunning.domain.events import PolicyRef
from dunning.domain.policy import Policy
from dunning.domain.policy_file import load_policies, load_policy

DEPLOY = Path(__file__).parents[3] / "deploy"
LADDER = "ladder: [{rung: first, at: 0d, account: past_due}]\n"


def digest_of(text: str) -> str:
    loaded = load_policy(text, "p.yaml")
    assert loaded.policy is not None, loaded.problems
    return loaded.policy.digest


def shipped(name: str) -> Policy:
    loaded = load_policy((DEPLOY / name).read_bytes(), name)
    assert loaded.problems == ()
    assert loaded.policy is not None
    return loaded.policy


def test_the_digest_is_that_of_the_meaning() -> None:
    canonical = (
        '{"id":"p","ladder":[{"account":"past_due","at":[7,0],"name":"first"}],"quiet_hours":{"call":'
        '["21:00:00","08:00:00"],"push":["21:00:00","08:00:00"],"sms":["21:00:00","08:00:00"]},"version":1}'
    )
    plain = digest_of("id: p\nversion: 1\nladder: [{rung: first, at: 7d, account: past_due}]\n")
    same = digest_of(
        "# another spelling\nversion: 1\npriority: 100\nladder:\n- account: past_due\n  at: 1w\n  rung: 'first'\n"
        "id: p\ncontact: {}\nmatch: {segments: []}\n"
    )

    assert plain == hashlib.sha256(canonical.encode()).hexdigest()
    assert same == plain
    assert digest_of("id: p\nversion: 1\nladder: [{rung: first, at: 168h, account: past_due}]\n") != plain
    assert digest_of("id: p\nversion: 2\nladder: [{rung: first, at: 7d, account: past_due}]\n") != plain
    assert digest_of("id: p\nversion: 1\nladder: [{rung: first, at: 7d, account: restricted}]\n") != plain


def test_a_lead_that_is_written_out_means_the_same_as_the_default() -> None:
    text = (
        "id: p\nversion: 1\nladder:\n"
        "  - {rung: warn, at: 1d, notice: {template: suspension_warning, channels: [email]}}\n"
        "  - {rung: stop, at: 4d, account: suspended, warned_by: warn}\n"
    )

    assert digest_of(text.replace("warned_by: warn", "warned_by: warn, lead: 3d")) == digest_of(text)


def test_a_changed_file_under_the_same_version_is_refused() -> None:
    loaded = load_policies(
        [
            ("a.yaml", f"id: p\nversion: 1\n{LADDER}"),
            ("b.yaml", f"id: p\nversion: 1\npriority: 7\n{LADDER}"),
            ("c.yaml", f"# a copy\nversion: 1\nid: p\n{LADDER}"),
        ]
    )

    assert [str(problem) for problem in loaded.errors] == [
        "b.yaml:1:1: version: p version 1 is in a.yaml already and means something else; give this one a new version "
        "[DUN-P028]"
    ]
    assert loaded.policies.pinned(PolicyRef("p", 1)).source == "a.yaml"


def test_versions_stand_side_by_side_and_problems_keep_the_order_of_the_files() -> None:
    loaded = load_policies(
        [
            ("z.yaml", f"id: p\nversion: 1\n{LADDER}"),
            ("y.yaml", f"id: p\nversion: 2\n{LADDER}"),
            ("x.yaml", f"id: broken\n{LADDER}"),
            ("w.yaml", "id: broken\nversion: 1\n"),
        ]
    )

    assert [policy.ref for policy in loaded.policies] == [PolicyRef("p", 2)]
    assert loaded.policies.pinned(PolicyRef("p", 1)).source == "z.yaml"
    assert [(problem.file, problem.path) for problem in loaded.problems] == [
        ("x.yaml", "version"),
        ("w.yaml", "ladder"),
    ]


def test_a_policy_behind_one_that_takes_everything_is_never_chosen() -> None:
    files = [
        ("all.yaml", f"id: all\nversion: 1\n{LADDER}"),
        ("cards.yaml", f"id: cards\nversion: 1\nmatch: {{payment_types: [card]}}\n{LADDER}"),
        ("first.yaml", f"id: zz\nversion: 1\npriority: 1\nmatch: {{min_amount: {{EUR: 500}}}}\n{LADDER}"),
    ]

    assert [str(problem) for problem in load_policies(files).problems] == [
        "cards.yaml:1:1: warning: match: never chosen: all (all.yaml) is tried before it and matches all that this one "
        "does; give this one a lower `priority` [DUN-P029]"
    ]


def test_the_shipped_policies_have_no_problems() -> None:
    files = [(str(file), file.read_bytes()) for file in sorted((DEPLOY / "policies").glob("*.yaml"))]
    loaded = load_policies(files)

    assert loaded.problems == ()
    assert [policy.id for policy in loaded.policies] == ["invoices", "standard"]


def test_the_demo_is_the_standard_policy_with_days_of_two_seconds() -> None:
    demo, standard = shipped("policies-demo/demo.yaml"), shipped("policies/standard.yaml")

    assert [rung.at for rung in demo.ladder] == [Duration(seconds=2 * rung.at.days) for rung in standard.ladder]
    assert [rung.lead for rung in demo.ladder] == [
        rung.lead and Duration(seconds=2 * rung.lead.days) for rung in standard.ladder
    ]
    assert [(rung.name, rung.account, rung.warned_by) for rung in demo.ladder] == [
        (rung.name, rung.account, rung.warned_by) for rung in standard.ladder
    ]
    assert demo.retries is not None
    assert standard.retries is not None
    assert demo.retries.after == tuple(Duration(seconds=2 * distance.days) for distance in standard.retries.after)
    assert dict(demo.quiet_hours) == {}


def test_the_order_of_keys_in_a_real_policy_does_not_matter() -> None:
    text = (DEPLOY / "policies" / "standard.yaml").read_text("utf-8")
    turned = yaml.safe_dump(_reversed(yaml.safe_load(text)), sort_keys=False)

    assert digest_of(turned) == digest_of(text)


def _reversed(value: object) -> object:
    if isinstance(value, dict):
        return {key: _reversed(value[key]) for key in reversed(value)}
    return [_reversed(item) for item in value] if isinstance(value, list) else value
