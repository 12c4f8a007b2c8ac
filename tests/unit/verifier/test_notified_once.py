"""Promise 5, the notices: at most one mail for each, and none that nobody speaks of."""

from tests.unit.verifier.story import Story, a_suspended_case, assert_broken, assert_kept

RESULTS = "dunning.notice.result"


def a_mailed_case() -> Story:
    """The suspended case with its two mails in the sink."""
    return a_suspended_case().mailed("payment_failed", name="1.eml").mailed("suspension_warning", name="2.eml")


def test_a_mail_for_every_notice_that_was_sent_is_as_it_should_be() -> None:
    assert_kept(a_mailed_case())


def test_two_mails_of_one_notice_are_rejected() -> None:
    story = a_mailed_case().mailed("suspension_warning", name="3.eml")

    found = assert_broken(story, 5, "was mailed 2 times", "2.eml, 3.eml")
    assert (found.case_id, found.account_id) == (story.case, "acc_1")


def test_a_notice_that_was_sent_twice_is_rejected() -> None:
    story = a_suspended_case().noticed("2026-03-13T10:00:05Z", "suspension_warning", "sent")

    assert_broken(story, 5, "was sent before, at dunning.notice.result/0@2", f"{RESULTS}/0@4")


def test_a_mail_without_a_result_is_rejected_once_all_is_settled() -> None:
    story = a_mailed_case().mailed("final_notice", name="3.eml")

    assert_broken(story, 5, "was mailed, but has no result", "3.eml")
    assert_kept(story, settled=False)


def test_a_mail_whose_outcome_is_unknown_is_as_it_should_be() -> None:
    story = a_mailed_case().mailed("final_notice", name="3.eml")
    story.noticed("2026-04-01T10:00:00Z", "final_notice", "unknown")

    assert_kept(story)


def test_a_mail_that_was_said_to_be_suppressed_is_rejected() -> None:
    story = a_mailed_case().mailed("final_notice", name="3.eml")
    story.noticed("2026-04-01T10:00:00Z", "final_notice", "suppressed")

    assert_broken(story, 5, "was mailed (3.eml), but its result is suppressed", f"{RESULTS}/0@4")


def test_a_notice_that_was_said_to_be_sent_without_a_mail_is_rejected() -> None:
    story = a_suspended_case().mailed("payment_failed")

    assert_broken(story, 5, "is said to be sent, but there is no such mail", f"{RESULTS}/0@2")


def test_one_notice_id_for_two_rungs_is_rejected() -> None:
    story = a_suspended_case().noticed("2026-04-01T10:00:00Z", "final_notice", "failed", notice_id="n-1")
    story.noticed("2026-04-02T10:00:00Z", "terminated", "failed", notice_id="n-1")

    assert_broken(story, 5, "used for different rungs", f"{RESULTS}/0@5")


def test_a_notice_that_goes_out_again_under_another_id_is_rejected() -> None:
    story = a_suspended_case().noticed("2026-03-16T10:00:00Z", "payment_failed", "sent", notice_id="n-2")

    assert_broken(story, 5, "email notice of payment_failed went out before, as", f"{RESULTS}/0@4")


def test_a_warning_that_goes_out_again_to_nobody_new_is_rejected() -> None:
    story = a_suspended_case().noticed("2026-03-14T10:00:00Z", "suspension_warning", "sent", notice_id="n-2")

    assert_broken(story, 5, "email notice of suspension_warning went out before, as", f"{RESULTS}/0@4")


def test_a_warning_to_a_new_address_before_it_is_known_to_be_delivered_is_as_it_should_be() -> None:
    story = Story().signal("customer.updated", "2026-03-01T10:00:00Z", customer={"email": "old@example.com"})
    story.with_events_of(a_suspended_case())
    story.signal("customer.updated", "2026-03-16T13:00:00Z", customer={"email": "new@example.com"})
    story.noticed("2026-03-16T13:00:01Z", "suspension_warning", "sent", "delivered", notice_id="n-2")
    for event in story.events[-2:]:  # behind those of the other story
        event.update(id=f"{event['id']}/behind", sequence=event["sequence"] + 4)

    assert_kept(story)


def test_a_warning_to_a_new_address_after_a_bounce_is_as_it_should_be() -> None:
    story = a_suspended_case(suspended_at="2026-03-17T10:00:00Z")
    story.signal(
        "notice.bounced", "2026-03-17T12:00:00Z", notice_id=f"{story.case}-suspension_warning", channel="email"
    )
    story.signal("customer.updated", "2026-03-17T13:00:00Z", customer={"email": "new@example.com"})
    story.noticed("2026-03-17T13:00:01Z", "suspension_warning", "sent", "delivered", notice_id="n-2")

    assert_kept(story)


def test_a_warning_that_grew_too_old_goes_out_once_more() -> None:
    story = a_suspended_case().noticed("2026-03-30T10:00:00Z", "suspension_warning", notice_id="n-2")

    assert_kept(story)


def test_the_same_notice_by_another_channel_is_another_one() -> None:
    story = a_suspended_case().noticed(
        "2026-03-16T10:00:00Z", "payment_failed", "sent", notice_id="n-2", channel="in_app"
    )

    assert_kept(story)
