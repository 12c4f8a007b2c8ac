"""Facts about an account, and what a case pins (rules 12 and 13)."""

import pytest
from msgspec.structs import replace

from account_enforcement.case import EnforcedAccount
from account_enforcement.decide import AccountTrack
from dunning.domain.events import Customer, Input, Signal, StageChanged
from tests.builders import (
    ADA,
    LADDER,
    PAST_DUE,
    Story,
    a_notice,
    a_policy,
    failed,
    instant,
    moved,
    new_card,
    overdue,
    paid,
    policies,
    signal,
)
from tests.notice_desk import Desk

IN_BERLIN = replace(ADA, timezone="Europe/Berlin")


def test_facts_are_kept_also_where_there_is_no_case() -> None:
    story = Story(a_policy(ladder=LADDER[:1])).reads(moved("03-01 10:00", email="ada@example.com"))

    story.reads(failed("03-02 10:00", customer=None)).until("03-02 10:00")

    assert story.lines("notice") == ["03-02 10:00 notice payment_failed email sent"]


def test_a_policy_for_payment_types_is_chosen_by_what_the_failure_itself_names() -> None:
    """A card that is known of the account says nothing of a transfer that did not come."""
    cards = a_policy(id="cards", match={"payment_types": ["card"]}, ladder=[PAST_DUE], retries=None)
    others = a_policy(id="others", ladder=[PAST_DUE], retries=None)

    def chosen(*inputs: Input) -> str:
        story = Story(cards, others).at("03-02 10:00", *inputs).until("03-02 10:00")
        first: StageChanged = story.outputs(StageChanged)[0]
        return first.policy.id

    assert chosen(failed("03-02 10:00")) == "cards"
    assert chosen(new_card("03-01 10:00"), failed("03-02 10:00", payment_method=None)) == "others"


def test_the_newest_fact_wins_and_facts_in_payment_events_count_as_of_their_time() -> None:
    quiet = {"quiet_hours": ["16:00", "18:00"]}
    story = Story(a_policy(timezone="account", ladder=[a_notice("hello", "1d", "sms")], contact=quiet))
    story.reads(moved("03-02 09:00", timezone="Asia/Tokyo"))

    story.at("03-02 11:00", failed("03-02 08:00", customer=IN_BERLIN)).until("03-04 00:00")

    assert story.lines("notice") == ["03-03 09:00 notice hello sms sent"]  # until then it is before 18:00 in Tokyo


def test_the_zone_is_pinned_when_the_case_opens_and_a_new_one_counts_from_the_next_case_on() -> None:
    story = Story(a_policy(timezone="account", ladder=LADDER[:2])).reads(failed("03-28 00:30", customer=IN_BERLIN))
    story.reads(moved("03-28 12:00", timezone="UTC")).until("04-01 00:00")

    story.reads(paid("04-01 00:00"), failed("04-25 00:30", attempt_number=2, customer=None)).until("05-01 00:00")

    assert story.lines("notice") == [
        "03-28 00:30 notice payment_failed email sent",
        "03-30 23:30 notice reminder email sent",
        "04-25 00:30 notice payment_failed email sent",
        "04-28 00:30 notice reminder email sent",
    ]


def test_a_case_that_takes_failures_over_pins_the_zone_that_is_known_by_then() -> None:
    story = Story(a_policy(timezone="account", ladder=LADDER[:2])).reads(failed("03-26 00:30", customer=IN_BERLIN))
    second = failed("03-28 00:30", attempt_number=2, initiated_by="customer", customer=replace(ADA, timezone="UTC"))

    story.reads(second).at("03-28 02:00", paid("03-27 00:00")).until("04-02 00:00")

    assert story.since("03-28 02", "notice") == [
        "03-28 02:00 notice payment_failed email sent",
        "03-31 00:30 notice reminder email sent",
    ]


def test_a_case_that_takes_over_what_was_read_before_an_erasure_knows_no_zone_any_more() -> None:
    policy = a_policy(timezone="account", fallback_timezone="UTC", ladder=LADDER[:2])
    story = Story(policy).reads(failed("03-26 00:30", customer=None))
    story.reads(failed("03-28 00:30", attempt_number=2, initiated_by="customer", customer=IN_BERLIN))

    story.reads(signal("account.erased", "03-28 01:00")).at("03-28 02:00", paid("03-27 00:00")).until("04-02 00:00")

    assert story.since("03-28 02", "notice") == [
        "03-28 02:00 notice payment_failed email suppressed",
        "03-31 00:30 notice reminder email suppressed",
    ]


def test_an_account_zone_that_does_not_exist_is_the_fallback() -> None:
    unknown = replace(ADA, timezone="Mars/Olympus")
    story = Story(a_policy(timezone="account", fallback_timezone="Europe/Berlin", ladder=LADDER[:2]))

    story.reads(failed("03-28 00:30", customer=unknown)).until("04-01 00:00")

    assert story.lines("reminder") == ["03-30 23:30 notice reminder email sent"]


def test_a_policy_may_name_its_own_zone() -> None:
    story = Story(a_policy(timezone="Europe/Berlin", ladder=LADDER[:2])).reads(failed("03-28 00:30"))

    assert story.until("04-01 00:00").lines("reminder") == ["03-30 23:30 notice reminder email sent"]


def test_policies_are_tried_by_priority_then_id_and_the_first_that_matches_is_pinned() -> None:
    def named(name: str, **keys: object) -> dict[str, object]:
        return a_policy(id=name, ladder=[a_notice(name, "0d", account="past_due")], **keys)

    candidates = [
        named("b", match={"currencies": ["EUR"]}),
        named("a", match={"segments": ["enterprise"]}),
        named("c", match={"min_amount": {"EUR": 5000}}, priority=1),
        named("d", match={"countries": ["FR"]}, priority=2),
        named("z"),
    ]

    def chosen(**fields: object) -> str:
        story = Story(*candidates).reads(failed("03-02 10:00", **fields)).until("03-02 10:00")
        return str(story.outputs(StageChanged)[-1].policy.id)

    assert chosen() == "b"
    assert chosen(segment="enterprise") == "a"
    assert chosen(amount_due_minor=5000) == "c"
    assert chosen(customer=Customer(country="fr")) == "d"
    assert chosen(currency="USD") == "z"
    assert chosen(currency="USD", amount_due_minor=9000) == "z"


def test_of_several_versions_the_highest_takes_new_cases() -> None:
    story = Story(a_policy(version=2, ladder=LADDER[:1]), a_policy(version=1), a_policy(version=3, retries=None))

    story.reads(failed("03-02 10:00")).until("03-02 10:00")

    assert {each.policy.version for each in story.outputs(StageChanged)} == {3}
    assert story.lines("retry") == []


def test_without_a_matching_policy_a_failure_is_a_dead_letter() -> None:
    story = Story(a_policy(match={"currencies": ["USD"]})).reads(failed("03-02 10:00")).until("04-01 00:00")

    assert story.set_aside == ["no_policy"]
    assert story.lines() == []


def test_an_ignoring_policy_matches_without_opening_a_case() -> None:
    ignored = a_policy(id="trial", priority=1, ignore=True, ladder=None, retries=None, match={"segments": ["trial"]})
    story = Story(ignored, a_policy()).reads(failed("03-02 10:00", segment="trial")).until("04-01 00:00")

    assert story.set_aside == []
    assert story.lines() == []


def test_the_ladder_may_count_from_the_due_date() -> None:
    story = Story(a_policy(anchor="due_date", ladder=LADDER[:3], retries=None))
    due = {"due_at": failed("02-27 09:00").failed_at}

    story.reads(overdue("03-01 12:00", **due)).until("03-10 00:00")

    assert story.lines() == [
        "03-01 12:00 notice payment_failed email sent",
        "03-01 12:00 account in_1 active>past_due",
        "03-01 12:00 status acc_1 active>past_due",
        "03-02 09:00 notice reminder email sent",
        "03-06 09:00 notice formal email sent",
    ]


def test_without_a_due_date_the_anchor_is_the_first_failure() -> None:
    story = Story(a_policy(anchor="due_date", ladder=LADDER[:2], retries=None)).reads(overdue("03-01 12:00"))

    assert story.until("03-10 00:00").lines("reminder") == ["03-04 12:00 notice reminder email sent"]


def test_a_method_that_arrived_before_its_late_failure_is_charged_at_once() -> None:
    story = Story(a_policy(ladder=LADDER[:1])).reads(new_card("03-02 12:00"))

    story.at("03-02 15:00", failed("03-02 10:00")).until("03-02 15:00")

    assert story.lines("charge") == ["03-02 15:00 charge in_1 #2 4900 EUR"]


def test_a_method_of_before_the_failure_is_not_news() -> None:
    story = Story(a_policy(ladder=LADDER[:1])).reads(failed("03-02 10:00", payment_method=None))

    story.at("03-02 15:00", new_card("03-02 09:00")).until("03-02 15:00")

    assert story.lines("charge") == []


def test_a_reinstatement_that_is_read_before_an_older_failure_passes_its_rungs_all_the_same() -> None:
    story = Story(a_policy(ladder=LADDER[:2])).reads(signal("account.reinstated", "03-03 10:00"))

    story.at("03-03 11:00", failed("03-02 10:00")).until("03-06 00:00")

    assert story.lines("account", "notice") == ["03-05 10:00 notice reminder email sent"]


def test_of_promises_the_newest_is_kept_also_where_the_failure_is_read_later() -> None:
    loaded = policies(a_policy(ladder=[PAST_DUE]))
    track, account = AccountTrack(lambda: loaded), EnforcedAccount("acc_1")

    def saves(event: Input) -> bool:
        account.touched.clear()
        track.decide(account, event, instant("03-02 10:00"))
        return account.touched == {"in_1"}

    def promised(at: str, pay_by: str) -> Signal:
        return signal("promise.made", at, invoice_id="in_1", details={"pay_by": pay_by})

    assert saves(promised("03-01 10:00", "2026-03-09"))
    assert not saves(promised("02-28 10:00", "2026-03-05"))
    assert saves(failed("03-02 10:00"))
    assert not saves(promised("03-01 09:00", "2026-03-06"))
    assert account.cases["in_1"].noted["promise.made"].said == {"pay_by": "2026-03-09"}


def test_what_the_failure_does_not_say_is_pinned_as_it_is_known_from_before() -> None:
    story = Story(a_policy(timezone="account", ladder=LADDER[:2], match={"countries": ["FR"]}))
    story.reads(moved("03-01 10:00", timezone="Europe/Berlin", country="FR"), failed("03-28 00:30", customer=None))

    assert story.until("04-01 00:00").lines("reminder") == ["03-30 23:30 notice reminder email suppressed"]


@pytest.mark.parametrize("erased_first", [True, False])
@pytest.mark.parametrize(("said_at", "kept"), [("03-01 10:00", []), ("03-03 10:00", ["payment_method.expiring"])])
def test_an_erasure_takes_the_method_that_expires_by_their_own_times(
    erased_first: bool, said_at: str, kept: list[str]
) -> None:
    loaded = policies(a_policy(ladder=[PAST_DUE]))
    track, account = AccountTrack(lambda: loaded), EnforcedAccount("acc_1")
    expiring = signal("payment_method.expiring", said_at, details={"payment_method": {"last4": "4242"}})
    erased = signal("account.erased", "03-02 10:00")

    for event in (erased, expiring) if erased_first else (expiring, erased):
        track.decide(account, event, instant("03-03 10:00"))

    assert list(account.noted) == kept


def test_a_method_that_expires_and_a_plan_are_kept_and_an_erasure_takes_the_method() -> None:
    loaded = policies(a_policy(ladder=[PAST_DUE]))
    track, account = AccountTrack(lambda: loaded), EnforcedAccount("acc_1")
    card = {"type": "card", "brand": "visa", "last4": "4242", "exp_month": 3, "exp_year": 2026}
    plan = [{"due_at": "2026-04-01T00:00:00Z", "amount_minor": 4900}]
    signals = [
        signal("payment_method.expiring", "03-01 10:00", details={"payment_method": {**card, "fingerprint": "fp_1"}}),
        signal("plan.agreed", "03-01 10:00", invoice_id="in_1", details={"installments": plan}),
    ]

    for event in signals:
        track.decide(account, event, instant("03-01 10:00"))
    assert account.noted["payment_method.expiring"].said == {"payment_method": card}
    assert account.cases["in_1"].noted["plan.agreed"].said == {"installments": plan}

    account.changed = False
    track.decide(account, signal("account.erased", "03-02 10:00"), instant("03-02 10:00"))
    assert (account.noted, account.changed) == ({}, True)


def test_a_fact_that_is_said_again_is_as_new_as_it_was_said_last() -> None:
    """What was said in between is older, also where it is read afterwards."""
    desk = Desk(a_policy(ladder=[a_notice("hello", "0d")], retries=None))
    for said_at, email in (("03-01 10:00", "a@example.com"), ("03-01 12:00", "a@example.com")):
        desk.reads(moved(said_at, email=email), said_at)
    desk.reads(moved("03-01 11:00", email="b@example.com"), "03-01 13:00")

    desk.reads(failed("03-02 10:00", customer=None), "03-02 10:00")

    ((_, order, _),) = desk.until("03-02 10:00").orders
    assert order.address == "a@example.com"
