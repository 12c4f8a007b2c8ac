"""The verifier can say no: one good run is accepted, and everything that breaks it in one place is rejected, with the
promise that was broken, the case, and the place that shows it."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest

from dunning_verifier import Violation, verify
from dunning_verifier.clock import instant
from tests.unit.verifier.story import Event, Story, assert_kept
from tests.unit.verifier.whole_run import POLICY, VISA, whole_run

STAGES, REQUESTS = "dunning.stage.changed", "dunning.retry.requested"
RESULTS, STATUS, FAILED = "dunning.notice.result", "dunning.account.status", "payment.failed"
OUTPUTS = (STAGES, REQUESTS, RESULTS, STATUS)
ONE, TWO, THREE = (Story(f"acc_{number}", f"in_{number}").case for number in (1, 2, 3))
Break = Callable[[Story], object]


def lost(topic: str, **data: Any) -> Break:
    return lambda story: story.without(topic, **data)


def said(topic: str, where: Event, **data: Any) -> Break:
    return lambda story: story.changed(topic, where, **data)


def swapped(topic: str, first: Event, second: Event) -> Break:
    """Two records of a topic the other way round."""

    def swap(story: Story) -> None:
        one, other = story.find(topic, **first), story.find(topic, **second)
        one["offset"], other["offset"] = other["offset"], one["offset"]

    return swap


def another(**envelope: Any) -> Break:
    """The last transition of the first account once more, with something else in its envelope."""

    def again(story: Story) -> None:
        story.again(STAGES, to_stage="suspended")
        story.events[-1].update(envelope)

    return again


def charged_again(story: Story) -> None:
    charges = story.charges or []
    story.charges = [*charges, replace(charges[0], line=2)]


def mailed_again(story: Story) -> None:
    story.mails = [*(story.mails or []), replace((story.mails or [])[1], name="9.eml")]


def mailed_at_night(story: Story) -> None:
    story.mails = [replace(mail, arrived_at=instant("2026-03-13T02:00:00Z")) for mail in story.mails or []]


def of_the_second(story: Story) -> Story:
    """Goes on with the account that recovered."""
    story.account, story.invoice, story.case = "acc_2", "in_2", TWO
    return story


def after_success(story: Story) -> None:
    of_the_second(story)._sequences["dunning.stage.changed", TWO, "retry"] = 4  # it counts per story
    story.moved("retry", "2026-03-04T09:00:05Z", "recovered", "scheduled")


def refused_by_visa(story: Story) -> None:
    failure = {"code": "card_declined", "network": "visa", "network_decline_code": "04"}
    story.changed(FAILED, {"account_id": "acc_2", "attempt_number": 1}, failure=failure, payment_method=VISA)


def told_no(story: Story) -> None:
    story.signal("consent.changed", "2026-03-12T10:00:00Z", channel="email", allowed=False)


def over_the_cap(story: Story) -> None:
    story.changed(RESULTS, {"rung": "suspension_warning", "outcome": "sent"}, at="2026-03-13T10:00:00Z")
    story.policy = {**POLICY, "contact": {"quiet_hours": "none", "caps": {"email": {"30d": 1}}}}


def dead_letter(number: int, **changes: Any) -> Break:
    return lambda story: story.events[-number].update(changes)


SUSPENDED, PAST_DUE_2 = {"to_stage": "suspended"}, {"case_id": TWO, "to_stage": "past_due"}
WARNED = {"case_ids": [ONE], "rung": "suspension_warning"}
BROKEN: dict[str, tuple[int, str | None, str, Break]] = {
    # promise 1: every input takes effect exactly once
    "one id, two contents": (
        1,
        ONE,
        f"{STAGES}/0@15",
        lambda s: another(data={**s.find(STAGES, **SUSPENDED)["data"], "reason": "x"})(s),
    ),
    "one sequence, two ids": (1, ONE, f"{STAGES}/0@15", another(id="of-a-zombie")),
    "recovered, and nobody paid": (1, TWO, f"{STAGES}/0@9", lost("payment.succeeded", account_id="acc_2")),
    "a failure that one service never saw": (1, THREE, f"{FAILED}/0@3", lost(STAGES, case_id=THREE, track="account")),
    "a case that no failure opens": (1, THREE, f"{STAGES}/0@12", lost(FAILED, account_id="acc_3")),
    # promise 2: state and its events change together
    "a request without its transition": (2, TWO, f"{REQUESTS}/0@0", lost(STAGES, to_stage="requested")),
    "a transition without its request": (2, TWO, f"{STAGES}/0@7", lost(REQUESTS)),
    "a notice of a rung that was never entered": (
        2,
        ONE,
        f"{RESULTS}/0@2",
        lost(STAGES, case_id=ONE, to_stage="suspension_warning"),
    ),
    "a track that another service wrote": (
        2,
        ONE,
        f"{STAGES}/0@3",
        lambda s: s.find(STAGES, **SUSPENDED).update(source="/dunning/retry_scheduler"),
    ),
    # promise 3: in order, without gaps, no late word
    "a lost transition": (3, TWO, f"{STAGES}/0@10", lost(STAGES, **PAST_DUE_2)),
    "a reordered account": (
        3,
        ONE,
        f"{STAGES}/0@0",
        swapped(STAGES, {"case_id": ONE, "to_stage": "past_due"}, SUSPENDED),
    ),
    "a stale status as the last word": (
        3,
        None,
        f"{STATUS}/0@6",
        lambda s: s.again(STATUS, account_id="acc_1", status="past_due"),
    ),
    "a lost status": (3, None, f"{STATUS}/0@1", lost(STATUS, account_id="acc_1", status="past_due")),
    "a key that is not the account": (
        3,
        ONE,
        f"{STAGES}/0@3",
        lambda s: s.find(STAGES, **SUSPENDED).update(key="acc_2"),
    ),
    "a stage out of nowhere": (3, ONE, f"{STAGES}/0@3", said(STAGES, SUSPENDED, from_stage="restricted")),
    # promise 4: what was paid is left alone
    "a charge of what was paid": (
        4,
        TWO,
        f"{REQUESTS}/0@0",
        lambda s: s.find("payment.succeeded", account_id="acc_2").update(at="2026-03-03T09:00:00Z"),
    ),
    "a suspension of what was paid": (4, ONE, f"{STAGES}/0@3", lambda s: s.succeeded("2026-03-15T10:00:00Z")),
    "a warning about what was paid": (4, ONE, f"{RESULTS}/0@2", lambda s: s.succeeded("2026-03-12T10:00:00Z")),
    "an event after success": (4, TWO, f"{STAGES}/0@15", after_success),
    "a step of what is disputed": (
        4,
        ONE,
        f"{STAGES}/0@3",
        lambda s: s.signal("dispute.opened", "2026-03-14T10:00:00Z", invoice_id="in_1"),
    ),
    # promise 5: one charge per attempt, one notice per address
    "a doubled charge": (5, TWO, "ledger line 2", charged_again),
    "a charge that nobody asked for": (
        5,
        None,
        "ledger line 1",
        lambda s: setattr(s, "charges", [replace((s.charges or [])[0], retry_id="x")]),
    ),
    "a charge of more than is owed": (5, TWO, f"{REQUESTS}/0@0", said(REQUESTS, {}, amount_minor=9900)),
    "an attempt that was made before": (5, TWO, f"{REQUESTS}/0@0", said(REQUESTS, {}, attempt_number=1)),
    "a notice mailed twice": (5, ONE, "2.eml, 9.eml", mailed_again),
    "a notice sent twice": (
        5,
        ONE,
        f"{RESULTS}/0@9",
        lambda s: s.noticed("2026-03-13T10:00:05Z", "suspension_warning", "sent"),
    ),
    # promise 6: nobody is suspended unwarned
    "a suspension without a delivered warning": (6, ONE, f"{STAGES}/0@3", lost(RESULTS, **WARNED, outcome="delivered")),
    "a warning that bounced": (
        6,
        ONE,
        f"{STAGES}/0@3",
        lambda s: s.signal("notice.bounced", "2026-03-14T10:00:00Z", invoice_id="in_1", rung="suspension_warning"),
    ),
    "a suspension a day after its warning": (
        6,
        ONE,
        f"{STAGES}/0@3",
        said(RESULTS, {**WARNED, "outcome": "delivered"}, at="2026-03-15T10:00:00Z"),
    ),
    "a suspension before its date": (
        6,
        ONE,
        f"{STAGES}/0@3",
        said(STAGES, SUSPENDED, effective_at="2026-03-15T10:00:00Z"),
    ),
    # promise 7: network limits
    "a card that Visa never approves": (7, TWO, f"{REQUESTS}/0@0", refused_by_visa),
    # promise 8: quiet hours, caps, consent
    "a mail in quiet hours": (8, ONE, f"{RESULTS}/0@2", mailed_at_night),
    "a notice in quiet hours": (
        8,
        ONE,
        f"{RESULTS}/0@2",
        said(RESULTS, {**WARNED, "outcome": "sent"}, at="2026-03-13T22:00:00Z"),
    ),
    "a mail over the cap": (8, ONE, f"{RESULTS}/0@2", over_the_cap),
    "a mail without consent": (8, ONE, f"{RESULTS}/0@2", told_no),
    # promise 9: what cannot be read is set aside
    "a swallowed poison message": (9, None, f"{FAILED}/0@4", lambda s: s.events.pop()),
    "a dead letter without its reason": (
        9,
        None,
        f"{FAILED}.account_enforcement.dlq/0@0",
        dead_letter(1, headers={"dlq-topic": FAILED, "dlq-partition": 0, "dlq-offset": 4}),
    ),
    "a dead letter of other bytes": (9, None, f"{FAILED}.account_enforcement.dlq/0@0", dead_letter(1, value=b"{}")),
    "a readable message set aside": (
        9,
        None,
        f"{FAILED}/0@0",
        lambda s: s.dead_lettered("2026-03-04T12:00:01Z", FAILED, 0),
    ),
    # promise 10: nothing is lost
    "a failure that nobody saw": (
        10,
        Story("acc_7", "in_7").case,
        f"{FAILED}/0@5",
        lambda s: s.with_events_of(Story("acc_7", "in_7").failed("2026-03-05T10:00:00Z")),
    ),
    "a status that lags behind": (10, None, f"{STATUS}/0@0", lost(STATUS, account_id="acc_1", status="suspended")),
    "a wrong sum": (
        10,
        None,
        f"{STATUS}/0@5",
        said(STATUS, {"account_id": "acc_3", "previous_status": "past_due"}, to_reinstate=[]),
    ),
    "an amount that the inputs contradict": (
        10,
        THREE,
        f"{STATUS}/0@4",
        lost(STATUS, account_id="acc_3", previous_status="past_due"),
    ),
    "a rung that never came": (10, THREE, f"{STAGES}/0@13", lost(STAGES, case_id=THREE, to_stage="suspension_warning")),
}


def test_the_good_run_is_accepted() -> None:
    assert_kept(whole_run())


@pytest.mark.parametrize("what", BROKEN)
def test_what_breaks_a_promise_is_rejected_with_case_and_place(what: str) -> None:
    promise, case_id, where, break_it = BROKEN[what]
    story = whole_run()
    break_it(story)

    found = [(one.promise, one.case_id, str(one.where)) for one in told(story)]
    assert (promise, case_id, where) in found


def test_every_promise_has_its_broken_histories() -> None:
    assert {promise for promise, *_ in BROKEN.values()} == set(range(1, 11))


def test_no_record_can_be_lost_without_being_missed() -> None:
    unnoticed = [place_of(event) for event in records() if not told(whole_run_without(event))]

    assert unnoticed == []


def test_no_two_records_of_one_account_in_a_topic_can_change_places_without_being_noticed() -> None:
    unnoticed = []
    for topic in OUTPUTS:
        mine = [event for event in whole_run().events if event["topic"] == topic]
        for one, other in pairwise(mine):
            if counted_by(one) == counted_by(other):
                story = whole_run()
                swapped(topic, one["data"], other["data"])(story)
                unnoticed += [] if told(story) else [place_of(one)]

    assert unnoticed == []


def told(story: Story) -> list[Violation]:
    return verify(story.history())


def records() -> Iterator[Event]:
    """All that was published, but the last word on a case's notices: nobody outside knows that one is still to come."""
    published = [event for event in whole_run().events if event["topic"] in OUTPUTS or event["topic"].endswith(".dlq")]
    last = {event["data"]["case_ids"][0]: event for event in published if event["topic"] == RESULTS}
    return (event for event in published if event not in last.values())


def whole_run_without(event: Event) -> Story:
    story = whole_run()
    story.events = [each for each in story.events if place_of(each) != place_of(event)]
    return story


def place_of(event: Event) -> str:
    return f"{event['topic']}/0@{event['offset']}"


def counted_by(event: Event) -> tuple[Any, ...]:
    """What its sequence counts."""
    return event["data"].get("case_id"), event["data"].get("track"), event["data"]["account_id"]
