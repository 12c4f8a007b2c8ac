"""Promise 9: what cannot be read is set aside by every service that reads it, and is not in the way."""

import json
from typing import Any

import pytest

from dunning_verifier import Where, verify
from tests.unit.verifier.story import Story, a_recovered_case, assert_broken, assert_kept

ALL = ("retry_scheduler", "notification_dispatcher", "account_enforcement")
STAGES, RESULTS = "dunning.stage.changed", "dunning.notice.result"
CARD = "4111 1111 1111 1111"


def with_poison(value: bytes | None = b"{", *services: str) -> Story:
    """The recovered case with an unreadable record behind its failures, set aside by these services."""
    story = a_recovered_case().record("payment.failed", "2026-03-03T12:00:00Z", value=value, key="acc_1")
    if services:
        story.dead_lettered("2026-03-03T12:00:01Z", "payment.failed", 2, *services, value=value)
    return story


def a_body(**changes: Any) -> dict[str, Any]:
    """A readable failure of another account, with changes; None takes a field away."""
    data = {**Story("acc_2").failed("2026-03-03T12:00:00Z").events[0]["data"], **changes}
    return {name: value for name, value in data.items() if value is not None}


def test_a_poisoned_record_in_the_dead_letters_of_all_three_is_as_it_should_be() -> None:
    assert_kept(with_poison(b"{", *ALL))


def test_a_swallowed_poison_message_is_rejected() -> None:
    story = with_poison(b"{", "retry_scheduler", "account_enforcement")

    assert_broken(story, 9, "notification_dispatcher lost it: no dead letter", "payment.failed/0@2")


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (None, "a null value"),
        (b"\xff\xfe", "not UTF-8"),
        (b"[]", "not a JSON object"),
        (b'{"a": NaN}', "NaN is not a number"),
        (b'{"a":' * 10_000 + b"1" + b"}" * 10_000, "nested too deep"),
        (json.dumps(a_body(failed_at=None)).encode(), "failed_at is missing"),
        (json.dumps(a_body(failed_at="yesterday")).encode(), "failed_at is not a time"),
        (json.dumps(a_body(failed_at="2026-03-03T12:00Z")).encode(), "failed_at is not a time"),
        (json.dumps(a_body(failed_at="2026-03-03T12:00:00+0000")).encode(), "failed_at is not a time"),
        (json.dumps(a_body(account_id=7)).encode(), "account_id is not text"),
        (json.dumps(a_body(attempt_number="two")).encode(), "attempt_number is not a number"),
        (json.dumps(a_body(amount_minor=-1)).encode(), "amount_minor is negative"),
        (json.dumps(a_body(currency="QQQ")).encode(), "currency does not exist"),
        (json.dumps(a_body(invoice={"id": "in_9"})).encode(), "invoice.amount_due_minor is missing"),
        (json.dumps(a_body(metadata={"note": f"paid with {CARD}"})).encode(), "holds a card number"),
    ],
)
def test_what_nobody_can_read_has_to_be_set_aside(value: bytes | None, reason: str) -> None:
    assert_broken(with_poison(value), 9, reason, "payment.failed/0@2")


def test_a_future_version_has_to_be_set_aside_but_a_foreign_type_is_passed_over() -> None:
    story = a_recovered_case()
    story.record("payment.failed", "2026-03-03T12:00:00Z", id="1", type="payment.failed.v2", data=a_body())
    story.record("payment.failed", "2026-03-03T12:00:00Z", id="2", type="crm.touched.v1", data={"account_id": "a"})

    assert_broken(story, 9, "a future version: payment.failed.v2", "payment.failed/0@2")
    assert story.history().passed_over == 1


def test_what_its_maker_says_is_poison_has_to_be_set_aside() -> None:
    story = a_recovered_case().record("payment.failed", "2026-03-03T12:00:00Z", data=a_body())
    poison = {Where("payment.failed", 0, 2): "a time two hours ahead"}

    assert_broken(story, 9, "a time two hours ahead", "payment.failed/0@2", poison=poison)


def test_the_same_thing_said_differently_has_to_be_set_aside() -> None:
    story = a_recovered_case()
    data = story.find("payment.failed", attempt_number=1)["data"]
    story.record("payment.failed", "2026-03-03T12:00:00Z", data={**data, "amount_minor": 1})

    found = assert_broken(story, 9, "said before with another content", "payment.failed/0@2")
    assert found.account_id == "acc_1"


def test_bytes_that_changed_are_rejected() -> None:
    story = with_poison(b"{", *ALL)
    story.events[-1]["value"] = b"{}"

    assert_broken(story, 9, "not those of payment.failed/0@2", "payment.failed.account_enforcement.dlq/0@0")


def test_a_card_number_in_the_dead_letters_is_rejected_and_a_masked_one_is_not() -> None:
    value = json.dumps(a_body(metadata={"note": CARD})).encode()
    story = with_poison(value, *ALL)

    assert_broken(story, 9, "shows a card number", "payment.failed.retry_scheduler.dlq/0@0")
    for event in story.events[-3:]:
        event["value"] = value.replace(CARD.encode(), b"**** **** **** 1111")
    assert_kept(story)


def test_a_dead_letter_without_its_place_or_reason_is_rejected() -> None:
    story = with_poison(b"{", *ALL)
    story.events[-1]["headers"] = {}

    assert_broken(story, 9, "does not say where it came from", "payment.failed.account_enforcement.dlq/0@0")
    assert_broken(story, 9, "without a reason", "payment.failed.account_enforcement.dlq/0@0")


def test_a_readable_message_among_the_dead_letters_is_rejected() -> None:
    story = a_recovered_case().dead_lettered("2026-03-03T12:00:01Z", "payment.failed", 0)

    found = assert_broken(story, 9, "readable, but set aside by account_enforcement", "payment.failed/0@0")
    assert found.account_id == "acc_1"


@pytest.mark.parametrize("failed_at", ["2026-03-03T12:00:00z", "2026-03-03T11:59:60Z"])
def test_a_time_that_is_seldom_written_so_is_readable_all_the_same(failed_at: str) -> None:
    story = with_poison(json.dumps(a_body(failed_at=failed_at)).encode(), *ALL)

    assert_broken(story, 9, "readable, but set aside by account_enforcement", "payment.failed/0@2")


def test_a_failure_that_no_policy_takes_belongs_there() -> None:
    story = Story(policy={**Story().policy, "match": {"currencies": ["USD"]}}).failed("2026-03-02T10:00:00Z")
    story.dead_lettered("2026-03-02T10:00:01Z", "payment.failed", 0)

    assert_kept(story)


def test_a_partition_that_stands_still_behind_a_poisoned_record_is_rejected() -> None:
    story = with_poison(b"{", *ALL).with_events_of(Story("acc_2").failed("2026-03-03T13:00:00Z"))

    found = assert_broken(story, 9, "did not go on behind the unreadable payment.failed/0@2", "payment.failed/0@3")
    assert found.account_id == "acc_2"


def test_what_a_careful_reader_may_refuse_or_not_is_left_to_it() -> None:
    """An amount that is written as text: some readers take it, some do not."""
    for services in ((), ALL):
        story = a_recovered_case().record("payment.failed", "2026-03-03T12:00:00Z", data=a_body(amount_minor="4900"))
        if services:
            story.dead_lettered("2026-03-03T12:00:01Z", "payment.failed", 2, *services)
        assert not [one for one in verify(story.history()) if one.promise == 9]


def test_a_record_that_one_service_set_aside_twice_in_other_words_is_rejected() -> None:
    story = with_poison(b"{", *ALL)
    last = {name: value for name, value in story.events[-1].items() if name != "offset"}
    assert_kept(story.record(**last))  # the relay may publish it again as it is

    story.events[-1]["headers"] = {**last["headers"], "dlq-reason": "another one"}
    assert_broken(story, 9, "set payment.failed/0@2 aside before", "payment.failed.account_enforcement.dlq/0@1")


def test_a_dead_letter_of_what_its_service_does_not_read_is_rejected() -> None:
    story = a_recovered_case().dead_lettered("2026-03-03T12:00:01Z", RESULTS, 0, "retry_scheduler")

    assert_broken(story, 9, f"retry_scheduler set {RESULTS}/0@0 aside, which it does not read")


def test_a_dead_letter_of_a_record_that_never_was_is_rejected() -> None:
    story = a_recovered_case().dead_lettered("2026-03-03T12:00:01Z", "payment.failed", 7, "retry_scheduler")

    assert_broken(story, 9, "a dead letter of payment.failed/0@7, which never was in the log")


def test_a_word_of_a_peer_that_was_set_aside_is_rejected() -> None:
    story = a_recovered_case().dead_lettered("2026-03-03T12:00:01Z", STAGES, 1, "notification_dispatcher")

    assert_broken(story, 9, "readable, but set aside by notification_dispatcher", f"{STAGES}/0@1")


def test_a_dead_letter_under_another_key_is_rejected() -> None:
    story = with_poison(b"{", *ALL)
    story.events[-1]["key"] = "acc_2"

    told = "the dead letter's key is 'acc_2', that of payment.failed/0@2 is 'acc_1'"
    assert_broken(story, 9, told, "payment.failed.account_enforcement.dlq/0@0")


def test_a_card_number_in_the_reason_is_rejected() -> None:
    story = with_poison(b"{", *ALL)
    story.events[-1]["headers"]["dlq-detail"] = f"{CARD} is no amount"

    assert_broken(story, 9, "whose reason shows a card number", "payment.failed.account_enforcement.dlq/0@0")
