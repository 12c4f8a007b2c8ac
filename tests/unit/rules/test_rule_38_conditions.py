"""Conditions on the whole account: a rung waits until all of them hold (rule 38)."""

from typing import Any

from tests.builders import LADDER, PAST_DUE, SUSPENDED, WARNING, Story, a_notice, a_policy, failed, paid, signal

FIRST = failed("03-02 10:00")
LIMITED = {"rung": "limited", "at": "3d", "account": "restricted"}


def second(failed_at: str, **more: Any) -> Any:
    return failed(failed_at, **{"invoice_id": "in_2", "payment_id": "pay_2", **more})


def tagged(at: str, tag: str = "vip") -> Any:
    return signal("account.tagged", at, tag=tag)


def untagged(at: str, tag: str = "vip") -> Any:
    return signal("account.untagged", at, tag=tag)


def story_of(conditions: dict[str, Any], *rungs: dict[str, Any]) -> Story:
    return Story(a_policy(ladder=list(rungs) or [PAST_DUE, LIMITED], retries=None, conditions=conditions))


def test_a_rung_waits_until_enough_invoices_are_unpaid() -> None:
    story = story_of({"limited": {"unpaid_invoices_at_least": 2}}).reads(FIRST, second("03-10 12:00"))

    assert story.until("03-20 00:00").since("03-03 00:00") == [
        "03-10 12:00 account in_1 past_due>restricted",
        "03-10 12:00 status acc_1 past_due>restricted",
        "03-10 12:00 account in_2 active>past_due",
        "03-13 12:00 account in_2 past_due>restricted",
    ]


def test_an_invoice_that_was_paid_meanwhile_does_not_count() -> None:
    story = story_of({"limited": {"unpaid_invoices_at_least": 2}}).reads(FIRST, second("03-02 12:00"))

    story.reads(paid("03-04 10:00", invoice_id="in_2")).until("04-20 00:00")

    assert story.since("03-03 00:00", "account") == ["03-04 10:00 account in_2 past_due>active"]


def test_a_rung_waits_for_a_balance_in_any_one_of_the_currencies_never_added_up() -> None:
    conditions = {"limited": {"balance_at_least": {"EUR": 5000, "USD": 5000}}}
    in_dollars = second("03-02 12:00", currency="USD", amount_due_minor=4000)
    third = failed("03-10 12:00", invoice_id="in_3", payment_id="pay_3", amount_due_minor=100)

    story = story_of(conditions).reads(FIRST, in_dollars, third).until("03-10 12:00")

    assert story.since("03-03 00:00", "account") == [
        "03-10 12:00 account in_1 past_due>restricted",
        "03-10 12:00 account in_2 past_due>restricted",
        "03-10 12:00 account in_3 active>past_due",
    ]


def test_a_part_of_the_money_keeps_the_balance_below() -> None:
    story = story_of({"limited": {"balance_at_least": {"EUR": 4000}}}).reads(FIRST, paid("03-04 10:00", remaining=3999))

    assert story.until("04-20 00:00").since("03-03 00:00") == []


def test_an_unnamed_currency_does_not_count() -> None:
    story = story_of({"limited": {"balance_at_least": {"USD": 1}}}).reads(FIRST).until("04-20 00:00")

    assert story.since("03-03 00:00") == []


def test_a_tag_stops_the_rung_until_it_is_taken_off_and_the_newest_word_counts() -> None:
    conditions = {"limited": {"tags_none": ["vip", "strategic"]}}

    taken_off = story_of(conditions).reads(tagged("03-01 10:00"), FIRST, untagged("03-08 10:00")).until("04-01 00:00")
    late = story_of(conditions).reads(FIRST, tagged("03-04 10:00")).at("03-04 12:00", untagged("03-01 10:00"))
    another = story_of(conditions).reads(FIRST, tagged("03-04 10:00", "loyal")).until("03-05 10:00")

    assert taken_off.since("03-03 00:00", "account") == ["03-08 10:00 account in_1 past_due>restricted"]
    assert late.until("04-01 00:00").since("03-03 00:00") == []
    assert another.since("03-03 00:00", "account") == ["03-05 10:00 account in_1 past_due>restricted"]


def test_all_conditions_must_hold() -> None:
    both = {"limited": {"unpaid_invoices_at_least": 1, "tags_none": ["vip"], "balance_at_least": {"EUR": 4901}}}

    assert story_of(both).reads(FIRST).until("04-01 00:00").since("03-03 00:00") == []


def test_a_plain_notice_waits_for_its_conditions_and_so_does_what_comes_behind_it() -> None:
    conditions = {"formal": {"tags_none": ["vip"]}}

    story = story_of(conditions, *LADDER[:5]).reads(tagged("03-01 10:00"), FIRST, untagged("03-20 12:00"))

    assert story.until("03-26 00:00").since("03-03 00:00", "notice", "account") == [
        "03-05 10:00 notice reminder email sent",
        "03-20 12:00 notice formal email superseded",
        "03-20 12:00 notice warning email sent",
        "03-23 12:00 account in_1 past_due>suspended",
        "03-23 12:00 notice suspended email sent",
    ]


def test_an_account_rung_does_not_pass_a_notice_that_waits_for_its_conditions() -> None:
    rungs = [PAST_DUE, a_notice("formal", "2d"), LIMITED]

    story = story_of({"formal": {"tags_none": ["vip"]}}, *rungs).reads(tagged("03-01 10:00"), FIRST)

    assert story.reads(untagged("03-09 10:00")).until("04-01 00:00").since("03-03 00:00") == [
        "03-09 10:00 notice formal email sent",
        "03-09 10:00 account in_1 past_due>restricted",
        "03-09 10:00 status acc_1 past_due>restricted",
    ]


def test_conditions_that_held_when_their_rung_happened_stop_nothing_behind_it_later() -> None:
    rungs = [PAST_DUE, a_notice("formal", "2d"), LIMITED]

    story = (
        story_of({"formal": {"tags_none": ["vip"]}}, *rungs).reads(FIRST, tagged("03-05 09:00")).until("03-06 00:00")
    )

    assert story.since("03-03 00:00", "notice", "account") == [
        "03-04 10:00 notice formal email sent",
        "03-05 10:00 account in_1 past_due>restricted",
    ]


def test_a_restriction_that_waited_for_its_conditions_moves_those_behind_it() -> None:
    rungs: list[dict[str, Any]] = [PAST_DUE, LIMITED, WARNING, SUSPENDED, a_notice("after", "20d")]

    story = story_of({"limited": {"tags_none": ["vip"]}}, *rungs).reads(tagged("03-01 10:00"), FIRST)

    assert story.reads(untagged("03-09 10:00")).until("04-10 00:00").since("03-03 00:00", "notice", "account") == [
        "03-09 10:00 account in_1 past_due>restricted",
        "03-17 10:00 notice warning email sent",
        "03-20 10:00 account in_1 restricted>suspended",
        "03-26 10:00 notice after email sent",
    ]


def test_a_suspension_needs_its_warning_and_its_conditions() -> None:
    rungs: list[dict[str, Any]] = [PAST_DUE, WARNING, SUSPENDED]

    story = story_of({"suspended": {"tags_none": ["vip"]}}, *rungs).reads(FIRST, tagged("03-14 10:00"))

    assert story.reads(untagged("03-18 10:00")).until("04-10 00:00").since("03-13 00:00", "account") == [
        "03-18 10:00 account in_1 past_due>suspended",
    ]
