"""Versions with `valid_from`: the opening failure's time chooses, whenever it is read (rules 7, 8 and 13)."""

from typing import Any

import pytest

from dunning.domain.events import PolicyRef, StageChanged
from dunning.domain.policy import Policies
from dunning.domain.policy_file import load_policies
from tests.builders import Story, a_notice, a_policy, failed, paid, policies

APRIL, MAY, JUNE = "2026-04-01T00:00:00Z", "2026-05-01T00:00:00Z", "2026-06-01T00:00:00Z"


def version(number: int, valid_from: str | None = None, **keys: Any) -> dict[str, Any]:
    """A version whose only rung says its number."""
    rungs = [a_notice(f"of_version_{number}", "0d", account="past_due")]
    return a_policy(**{"version": number, "valid_from": valid_from, "ladder": rungs, **keys})


def pinned(story: Story) -> list[str]:
    """The policies that all transitions so far name, each once."""
    refs = {event.policy for event in story.outputs(StageChanged)}
    return sorted(f"{ref.id} {ref.version}" for ref in refs)


def chosen(at: str, *documents: dict[str, Any], read_at: str | None = None, **fields: Any) -> list[str]:
    story = Story(*documents).at(read_at or at, failed(at, **fields)).until("2027-01-01 00:00")
    return pinned(story) or story.set_aside


@pytest.mark.parametrize(
    ("failed_at", "expected"),
    [
        ("03-31 23:59:59", "standard 1"),
        ("04-01 00:00", "standard 2"),
        ("05-31 23:59:59", "standard 2"),
        ("06-01 00:00", "standard 3"),
    ],
)
@pytest.mark.parametrize("read_at", ["2026-06-01 12:00", "2026-12-01 00:00"])
def test_the_time_of_the_opening_failure_chooses_however_late_it_is_read(
    failed_at: str, expected: str, read_at: str
) -> None:
    versions = version(3, JUNE), version(1), version(2, APRIL)

    assert chosen(failed_at, *versions, read_at=read_at) == [expected]


def test_a_time_is_an_instant_whatever_its_offset() -> None:
    versions = version(1), version(2, "2026-04-01T00:00:00+02:00")

    assert chosen("03-31 21:59", *versions) == ["standard 1"]
    assert chosen("03-31 22:00", *versions) == ["standard 2"]


@pytest.mark.parametrize(
    ("versions", "expected"),
    [
        # in March, in April, in May, in June
        ([(1, None), (2, JUNE), (3, MAY)], [1, 1, 3, 3]),  # the higher version counts, not the later date
        ([(1, None), (2, APRIL), (3, None)], [3, 3, 3, 3]),  # without valid_from: it has always counted
        ([(1, APRIL), (2, MAY)], [0, 1, 2, 2]),
        ([(2, None), (1, MAY)], [2, 2, 2, 2]),
    ],
)
def test_the_highest_version_that_counts_by_then_takes_the_failure(
    versions: list[tuple[int, str | None]], expected: list[int]
) -> None:
    files = [version(number, valid_from) for number, valid_from in versions]

    found = [chosen(f"{month}-15 10:00", *files) for month in ("03", "04", "05", "06")]

    assert found == [[f"standard {number}"] if number else ["no_policy"] for number in expected]


def test_the_time_chooses_the_version_and_match_then_the_policy() -> None:
    files = (
        version(1),
        version(2, APRIL, match={"segments": ["enterprise"]}),
        a_policy(id="the_others", priority=200),
    )

    assert chosen("03-15 10:00", *files) == ["standard 1"]
    assert chosen("04-15 10:00", *files, segment="enterprise") == ["standard 2"]
    assert chosen("04-15 10:00", *files) == ["the_others 1"]


def test_each_version_has_a_priority_of_its_own() -> None:
    files = version(1, priority=10), version(2, APRIL, priority=30), a_policy(id="other", priority=20)

    assert chosen("03-15 10:00", *files) == ["standard 1"]
    assert chosen("04-15 10:00", *files) == ["other 1"]


def test_a_version_that_ignores_begins_and_ends_like_any_other() -> None:
    ignoring = a_policy(version=2, valid_from=APRIL, ignore=True, ladder=None, retries=None)
    files = version(1), ignoring, version(3, MAY)

    assert [chosen(f"{month}-15 10:00", *files) for month in ("03", "04", "05")] == [["standard 1"], [], ["standard 3"]]


def test_an_earlier_failure_that_is_read_later_does_not_move_the_pin() -> None:
    story = Story(version(1), version(2, APRIL)).at("04-02 10:00", failed("04-02 10:00", attempt_number=2))

    assert pinned(story.at("04-02 11:00", failed("03-30 10:00")).until("04-10 00:00")) == ["standard 2"]


# --- cases that follow another ----------------------------------------------------------------------------------------

RETURNED = {"attempt_number": 2, "payment_id": "pay_2"}


def test_a_returned_payment_opens_its_case_with_the_version_of_its_own_time() -> None:
    story = Story(version(1), version(2, APRIL)).reads(failed("03-20 10:00"), paid("03-25 10:00"))

    assert pinned(story.reads(failed("04-05 10:00", **RETURNED)).until("04-10 00:00")) == ["standard 1", "standard 2"]
    assert story.outputs(StageChanged)[-1].policy == PolicyRef("standard", 2)


@pytest.mark.parametrize("late", [False, True])
def test_a_case_that_takes_failures_over_has_the_version_that_it_would_have_opened_with(late: bool) -> None:
    first, success, second = failed("03-20 10:00"), paid("03-25 10:00"), failed("04-05 10:00", **RETURNED)
    story = Story(version(1, retries=None), version(2, APRIL, retries=None)).at("04-05 10:00", first)

    story.at("04-05 11:00", *((second, success) if late else (success, second))).until("04-10 00:00")

    last = {event.track: (event.policy.version, event.to_stage) for event in story.outputs(StageChanged)}
    assert last == {"account": (2, "past_due"), "notice": (2, "of_version_2")}


def test_without_a_valid_from_it_keeps_the_version_of_the_case_before() -> None:
    kept = policies(version(1), version(2))

    assert kept.following(PolicyRef("standard", 1), failed("04-05 10:00").failed_at).version == 1


def test_a_version_that_ignores_follows_none() -> None:
    ignoring = a_policy(version=2, valid_from=APRIL, ignore=True, ladder=None, retries=None)
    kept = policies(version(1), ignoring)

    assert kept.following(PolicyRef("standard", 1), failed("04-05 10:00").failed_at).version == 1


def test_a_case_that_replaces_one_keeps_the_ladder_that_it_walks() -> None:
    story = Story(version(1)).at("04-05 10:00", failed("04-05 10:00")).until("04-05 10:00")
    since_deployed = policies(version(1), version(2, APRIL))
    for room in story.world.rooms:
        room.track.policies = lambda: since_deployed

    story.at("04-05 12:00", paid("04-01 10:00")).until("04-10 00:00")

    assert pinned(story) == ["standard 1"]
    assert story.lines("notice") == ["04-05 10:00 notice of_version_1 email sent"]


def test_an_open_request_is_not_handed_over_to_a_version_without_retries() -> None:
    versions = version(1, retries={"after": ["1d"]}), version(2, APRIL, retries=None)
    story = Story(*versions).reads(failed("03-31 10:00")).until("04-01 10:00")
    by_hand = failed("04-01 10:30", attempt_number=2, payment_id="pay_2", initiated_by="customer")
    story.at("04-01 11:00", by_hand).at("04-01 12:00", paid("04-01 10:15")).until("04-02 10:10")

    assert pinned(story) == ["standard 1"]
    assert story.since("04-01 12", "retry", "charge") == [
        "04-01 12:00 retry in_1 requested>recovered",
        "04-01 12:00 retry in_1 none>scheduled",
        "04-01 12:00 retry in_1 scheduled>requested",
        "04-02 10:00 retry in_1 requested>scheduled",
        "04-02 10:10 retry in_1 scheduled>requested",
        "04-02 10:10 charge in_1 #3 4900 EUR",
    ]


# --- what is on file --------------------------------------------------------------------------------------------------


def on_file(*documents: dict[str, Any], files: list[int]) -> Policies:
    """All these versions were put on file once; the policy files hold some of them by now."""
    kept = policies(*documents)
    refs = [PolicyRef("standard", number) for number in range(1, 10)]
    known = {ref: kept.pinned(ref) for ref in refs if any(each["version"] == ref.version for each in documents)}
    return Policies(known, frozenset(ref for ref in refs if ref.version in files))


def takes(kept: Policies, failed_at: str) -> int:
    policy = kept.choose(failed(failed_at), None)
    return policy.version if policy else 0


def test_a_version_whose_file_is_gone_goes_on_with_failures_before_the_next_one_is_valid() -> None:
    kept = on_file(version(1), version(2), version(3, APRIL), files=[3])

    assert (takes(kept, "03-31 10:00"), takes(kept, "04-01 10:00")) == (2, 3)


def test_a_version_whose_file_is_gone_takes_nothing_where_the_files_take_everything() -> None:
    assert takes(on_file(version(1, APRIL), version(2), files=[2]), "04-15 10:00") == 2


def test_a_higher_version_that_is_not_among_the_files_takes_nothing() -> None:
    kept = on_file(version(1), version(2, APRIL), version(3, MAY), files=[2])

    assert (takes(kept, "03-15 10:00"), takes(kept, "05-15 10:00")) == (1, 2)
    assert takes(on_file(version(1), version(2, APRIL), files=[1]), "04-15 10:00") == 1


def test_a_version_between_those_of_the_files_was_taken_back() -> None:
    kept = on_file(version(1), version(2), version(3, APRIL), files=[1, 3])

    assert (takes(kept, "03-15 10:00"), takes(kept, "04-15 10:00")) == (1, 3)


def test_a_policy_without_any_file_takes_nothing() -> None:
    assert takes(on_file(version(1), version(2, APRIL), files=[]), "04-15 10:00") == 0


# --- what lint says ---------------------------------------------------------------------------------------------------


def lint(*files: str) -> list[str]:
    head = "ladder: [{rung: first, at: 0d, account: past_due}]\nid: "
    return [
        str(problem) for problem in load_policies([(f"{n}.yaml", head + text) for n, text in enumerate(files)]).problems
    ]


def test_a_version_that_a_higher_one_takes_everything_from_is_said_to_be_never_chosen() -> None:
    assert lint("p\nversion: 1", f"p\nversion: 2\nvalid_from: {JUNE}", f"p\nversion: 3\nvalid_from: {MAY}") == [
        "1.yaml:1:1: warning: valid_from: never chosen: version 3 (2.yaml) is higher and counts from "
        "2026-05-01T00:00:00Z on; remove this one, or let the other begin later [DUN-P029]"
    ]
    assert lint("p\nversion: 3", f"p\nversion: 2\nvalid_from: {JUNE}") == [
        "1.yaml:1:1: warning: valid_from: never chosen: version 3 (0.yaml) is higher and counts at all times; "
        "remove this one, or let the other begin later [DUN-P029]"
    ]


def test_versions_that_follow_each_other_are_fine() -> None:
    assert lint("p\nversion: 1", f"p\nversion: 2\nvalid_from: {MAY}", f"p\nversion: 3\nvalid_from: {JUNE}") == []
    assert lint("p\nversion: 1", "p\nversion: 2", f"q\nversion: 2\nvalid_from: {MAY}\npriority: 1") == []


def test_a_policy_that_is_behind_another_only_for_a_while_waits_for_its_time() -> None:
    narrow = "match: {segments: [a]}"

    assert lint(f"a\nversion: 1\n{narrow}", f"a\nversion: 2\nvalid_from: {MAY}", "b\nversion: 1") == []
    assert lint("a\nversion: 1", f"a\nversion: 2\nvalid_from: {MAY}", "b\nversion: 1") == [
        "2.yaml:1:1: warning: match: never chosen: a (0.yaml) is tried before it and matches all that this one does; "
        "give this one a lower `priority` [DUN-P029]"
    ]
