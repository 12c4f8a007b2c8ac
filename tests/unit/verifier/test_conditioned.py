"""A rung waits for its conditions: nobody is suspended whom a tag protects (rule 38)."""

from tests.unit.verifier.story import STANDARD, Story, a_suspended_case, assert_broken, assert_kept

STAGES = "dunning.stage.changed"


def protected() -> Story:
    story = a_suspended_case()
    story.policy = {**STANDARD, "conditions": {"suspended": {"tags_none": ["vip"]}}}
    return story


def test_a_suspension_of_who_was_tagged_is_rejected() -> None:
    story = protected().signal("account.tagged", "2026-03-05T10:00:00Z", tag="vip")

    assert_broken(story, 6, "account step to suspended, though the account was tagged vip", f"{STAGES}/0@3")


def test_another_tag_or_one_that_was_taken_off_or_could_not_be_known_is_in_nobody_s_way() -> None:
    assert_kept(protected().signal("account.tagged", "2026-03-05T10:00:00Z", tag="new"))
    assert_kept(protected().signal("account.tagged", "2026-03-16T09:59:30Z", tag="vip"))
    off = protected().signal("account.tagged", "2026-03-05T10:00:00Z", tag="vip")
    assert_kept(off.signal("account.untagged", "2026-03-06T10:00:00Z", tag="vip"))
