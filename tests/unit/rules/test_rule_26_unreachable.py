"""A customer whom nothing reaches: the rung waits for a time, and then comes all the same (rules 26 and 39)."""

from typing import Any

from msgspec.structs import replace

from account_enforcement.case import EnforcedAccount
from account_enforcement.decide import AccountTrack
from dunning.domain import ids
from dunning.domain.events import Customer, Input, NoticeResult, StageChanged
from dunning.domain.words import Channel
from tests.builders import (
    ADA,
    PAST_DUE,
    Story,
    a_notice,
    a_policy,
    bounced,
    failed,
    instant,
    moved,
    paid,
    policies,
    signal,
)

SUSPENDED = {"rung": "suspended", "at": "14d", "account": "suspended", "warned_by": "warning", "unreachable": "10d"}
NO_PHONE, NO_WAY = replace(ADA, phone=None), replace(ADA, phone=None, email=None)


def a_warning(*channels: str, fallback: tuple[str, ...] = ()) -> dict[str, Any]:
    return a_notice("warning", "11d", *channels, fallback=list(fallback), template="suspension_warning")


def story_of(warning: dict[str, Any], customer: Customer, *more: dict[str, Any], **keys: Any) -> Story:
    story = Story(a_policy(ladder=[PAST_DUE, warning, SUSPENDED, *more], retries=None, **keys))
    return story.reads(failed("03-02 10:00", customer=customer))


def steps(story: Story) -> list[tuple[str, str]]:
    """When the account took a step after the first one, and why."""
    moves = [(at, each) for at, each in story.events if isinstance(each, StageChanged) and each.track == "account"]
    return [(at.strftime("%m-%d %H:%M"), each.reason) for at, each in moves[1:]]


def test_the_time_counts_from_the_rung_s_date_where_the_last_channel_ended_before_it() -> None:
    story = story_of(a_warning("email", fallback=("sms",)), NO_WAY).until("06-01 00:00")

    assert steps(story) == [("03-26 10:00", "customer_unreachable")]


def test_the_time_counts_from_the_end_of_the_last_channel_where_that_came_later() -> None:
    story = story_of(a_warning("email", fallback=("sms",)), NO_PHONE).reads(bounced("03-20 12:00", "warning"))

    assert steps(story.until("06-01 00:00")) == [("03-16 10:00", "grace_period_expired")]  # delivered by then

    early = story_of(a_warning("email", fallback=("sms",)), NO_PHONE).reads(bounced("03-15 12:00", "warning"))
    late = story_of(a_warning("email"), NO_PHONE, contact={"quiet_hours": "none"})
    late.reads(bounced("03-13 12:00", "warning"), moved("03-18 10:00", email="new@example.com"))
    late.reads(bounced("03-19 10:00", "warning"))

    assert steps(early.until("06-01 00:00")) == [("03-26 10:00", "customer_unreachable")]
    assert steps(late.until("06-01 00:00")) == [("03-29 10:00", "customer_unreachable")]


def test_without_the_key_it_waits_for_ever() -> None:
    waits = {**SUSPENDED, "unreachable": "wait"}

    story = Story(a_policy(ladder=[PAST_DUE, a_warning("email"), waits], retries=None))

    assert steps(story.reads(failed("03-02 10:00", customer=NO_WAY)).until("2027-03-01 00:00")) == []


def test_one_channel_that_delivered_is_enough_and_its_bounce_is_not() -> None:
    delivered = story_of(a_warning("email", "sms"), NO_PHONE).until("06-01 00:00")
    came_back = story_of(a_warning("email", "sms"), NO_PHONE).reads(bounced("03-14 09:00", "warning"))

    assert steps(delivered) == [("03-16 10:00", "grace_period_expired")]
    assert steps(came_back.until("06-01 00:00")) == [("03-26 10:00", "customer_unreachable")]


def test_a_delivery_while_the_time_runs_gives_the_customer_the_lead() -> None:
    story = story_of(a_warning("email"), NO_WAY).reads(moved("03-25 10:00", email="new@example.com"))

    assert steps(story.until("06-01 00:00")) == [("03-28 10:00", "grace_period_expired")]


def test_a_notice_that_waits_for_quiet_hours_stops_the_time() -> None:
    night = {"contact": {"quiet_hours": ["09:00", "08:00"]}}  # an hour a day

    story = story_of(a_warning("email"), NO_WAY, **night).reads(moved("03-26 09:30", email="new@example.com"))
    story.reads(bounced("03-27 08:30", "warning")).until("06-01 00:00")

    assert story.since("03-26 00:00", "notice") == [
        "03-27 08:00 notice warning email sent",
        "03-27 08:30 notice warning email bounced",
    ]
    assert steps(story) == [("04-06 08:30", "customer_unreachable")]


def test_the_time_rests_while_the_case_is_paused() -> None:
    story = story_of(a_warning("email"), NO_WAY)
    story.reads(signal("case.paused", "03-20 10:00", invoice_id="in_1", reason="asked", until=instant("03-24 10:00")))

    assert steps(story.until("06-01 00:00")) == [("03-30 10:00", "customer_unreachable")]


def test_what_comes_behind_keeps_its_distance_from_the_step() -> None:
    story = story_of(a_warning("email"), NO_WAY, a_notice("after", "20d", "in_app"))

    assert story.until("06-01 00:00").lines("notice")[-1] == "04-01 10:00 notice after in_app sent"


# --- account enforcement alone: what it may conclude from the results that it heard -----------------------------------


CASE = ids.case_id("acc_1", "in_1", 1)


def result(outcome: str, at: str, channel: str = "email", notice_id: str = "") -> NoticeResult:
    return NoticeResult(
        event_id=f"{channel} {outcome} {at}", sequence=1, causation_id="", notice_id=notice_id or f"{channel} notice",
        case_ids=(CASE,), account_id="acc_1", invoice_id="in_1", rung="warning", channel=channel,
        template="suspension_warning", locale="en", outcome=outcome, reason=None, provider=None,
        provider_message_id=None, at=instant(at),
    )  # fmt: skip


def due_after(*inputs: Input, channels: tuple[str, ...] = ("email", "sms"), fallback: tuple[str, ...] = ()) -> Any:
    """When account enforcement would suspend, having read these before the rung's date."""
    shelf = policies(a_policy(ladder=[PAST_DUE, a_warning(*channels, fallback=fallback), SUSPENDED], retries=None))
    track, account = AccountTrack(lambda: shelf), EnforcedAccount("acc_1")
    for event in inputs:
        track.decide(account, event, instant("03-14 00:00"))
    case = account.cases["in_1"]
    case.next_rung = 1  # past due by now
    return track.wake_at(account, case, instant("03-14 00:00"))


FIRST = failed("03-02 10:00", customer=None)
FAILED_MAIL, FAILED_SMS = result("failed", "03-13 11:00"), result("unknown", "03-13 12:00", "sms")


def test_every_channel_of_the_warning_must_have_ended_and_every_fallback() -> None:
    assert due_after(FIRST) is None  # the dispatcher may be down: never hasten
    assert due_after(FIRST, FAILED_MAIL) is None
    assert due_after(FIRST, FAILED_MAIL, FAILED_SMS) == instant("03-26 10:00")
    assert due_after(FIRST, FAILED_MAIL, channels=("email",), fallback=("sms",)) is None
    assert due_after(FIRST, FAILED_MAIL, FAILED_SMS, channels=("email",), fallback=("sms",)) == instant("03-26 10:00")


def test_results_may_be_heard_before_the_failure_and_in_any_order() -> None:
    assert due_after(FAILED_SMS, FAILED_MAIL, FIRST) == instant("03-26 10:00")


def test_what_is_unknown_may_turn_out_to_be_delivered() -> None:
    told = result("delivered", "03-13 13:00", "sms")

    assert due_after(FIRST, FAILED_MAIL, FAILED_SMS, told) == instant("03-16 13:00")


def test_the_end_of_another_rung_s_notices_is_not_kept() -> None:
    shelf = policies(a_policy(ladder=[PAST_DUE, a_notice("hello", "1d"), a_warning("email"), SUSPENDED], retries=None))
    track, account = AccountTrack(lambda: shelf), EnforcedAccount("acc_1")
    for event in (FIRST, replace(result("failed", "03-03 11:00"), rung="hello")):
        track.decide(account, event, instant("03-14 00:00"))

    assert account.cases["in_1"].deliveries == []


def to(address: str, round_number: int = 1, channel: Channel = Channel.EMAIL) -> str:
    return ids.notice_id(CASE, "warning", channel, address, round_number)


def test_a_new_address_stops_the_time_until_the_result_of_its_own_notice_is_heard() -> None:
    first = failed("03-02 10:00", customer=Customer(email="old@example.com"))
    old = result("failed", "03-13 11:00", notice_id=to("old@example.com"))
    change = moved("03-13 12:00", email="new@example.com")
    new = result("failed", "03-20 11:00", notice_id=to("new@example.com"))
    mail: Any = {"channels": ("email",)}

    assert due_after(first, old, **mail) == instant("03-26 10:00")
    assert due_after(first, old, moved("03-13 12:00", email="old@example.com"), **mail) == instant("03-26 10:00")
    assert due_after(first, old, change, **mail) is None
    said_by_a_payment = paid("03-13 12:00", remaining=900, customer=Customer(email="new@example.com"))
    assert due_after(first, old, said_by_a_payment, **mail) is None
    assert due_after(first, old, change, new, **mail) == instant("03-30 11:00")
    assert due_after(first, new, old, change, **mail) == instant("03-30 11:00")
    assert due_after(first, old, change, moved("03-12 12:00", email="older@example.com"), new, **mail) == instant(
        "03-30 11:00"
    )


def test_an_erased_address_is_waited_for_no_more() -> None:
    first = failed("03-02 10:00", customer=Customer(email="old@example.com"))
    nobody = result("suppressed", "03-13 11:00", notice_id=to(""))
    erased = signal("account.erased", "03-05 10:00")

    assert due_after(first, nobody, channels=("email",)) is None
    assert due_after(first, erased, nobody, channels=("email",)) == instant("03-26 10:00")


def test_an_address_of_before_an_erasure_is_not_waited_for_whenever_it_is_read() -> None:
    first = failed("03-02 10:00", customer=Customer(email="old@example.com"))
    nobody = result("suppressed", "03-13 11:00", notice_id=to(""))
    erased = signal("account.erased", "03-05 10:00")
    older, newer = moved("03-04 10:00", email="older@example.com"), moved("03-06 10:00", email="new@example.com")

    assert due_after(erased, first, nobody, channels=("email",)) == instant("03-26 10:00")
    assert due_after(first, erased, older, nobody, channels=("email",)) == instant("03-26 10:00")
    assert due_after(first, erased, newer, nobody, channels=("email",)) is None


def test_who_is_named_after_an_erasure_is_waited_for_on_channels_that_need_no_address() -> None:
    erased, first = signal("account.erased", "03-01 10:00"), failed("03-02 10:00", customer=None)
    nobody = result("suppressed", "03-13 11:00", "push")
    an_id, named = moved("03-13 12:00", id="cus_1"), moved("03-13 12:00", name="Ada Example")
    ended = result("failed", "03-20 11:00", "push", to("acc_1", channel=Channel.PUSH))

    assert due_after(erased, first, nobody, an_id, channels=("push",)) == instant("03-26 10:00")
    assert due_after(first, nobody, named, channels=("push",)) == instant("03-26 10:00")
    assert due_after(erased, first, nobody, named, channels=("push",)) is None
    assert due_after(erased, first, nobody, named, ended, channels=("push",)) == instant("03-30 11:00")


def test_an_address_that_was_older_than_the_present_one_is_not_waited_for_in_a_case_that_opened_in_between() -> None:
    """The case does not name one itself, and its warning went to the present one."""
    present, opening = moved("03-01 10:00", email="old@example.com"), failed("03-02 10:00", customer=None)
    older, newer = moved("02-28 10:00", email="older@example.com"), moved("03-03 10:00", email="new@example.com")
    ended = result("suppressed", "03-13 11:00", notice_id=to("old@example.com"))

    assert due_after(present, opening, older, ended, channels=("email",)) == instant("03-26 10:00")
    assert due_after(present, opening, newer, ended, channels=("email",)) is None
    told = failed("03-02 10:00", customer=Customer(email="older@example.com"))
    assert due_after(moved("03-02 11:00", email="old@example.com"), told, ended, channels=("email",)) == instant(
        "03-26 10:00"
    )


def test_no_address_is_kept() -> None:
    shelf = policies(a_policy(ladder=[PAST_DUE, a_warning("email", "sms", "letter"), SUSPENDED], retries=None))
    track, account = AccountTrack(lambda: shelf), EnforcedAccount("acc_1")
    track.decide(account, failed("03-02 10:00"), instant("03-02 10:00"))

    assert len(account.cases["in_1"].addressed) == 3
    assert not [word for word in (ADA.email, ADA.phone, ADA.postal_address) if str(word) in repr(account)]
