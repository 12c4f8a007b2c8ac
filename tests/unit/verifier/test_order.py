"""Promise 3: in order, without gaps, and nothing after a newer word."""

from tests.unit.verifier.story import Story, a_recovered_case, a_suspended_case, assert_broken, assert_kept

STAGES = "dunning.stage.changed"
STATUS = "dunning.account.status"


def three_charges() -> Story:
    """Three requests, each answered the next day."""
    story = Story().failed("2026-03-02T10:00:00Z").moved("retry", "2026-03-02T10:00:01Z", "none", "scheduled")
    for day in (3, 4, 5):
        story.requested(f"2026-03-0{day}T10:00:00Z", day - 1, f"2026-03-0{day + 1}T10:00:00Z")
        story.failed(f"2026-03-0{day}T10:00:02Z", day - 1)
        story.moved("retry", f"2026-03-0{day}T10:00:03Z", "requested", "scheduled")
    return (
        story.moved("account", "2026-03-02T10:00:01Z", "active", "past_due")
        .status("2026-03-02T10:00:01Z", "active", "past_due")
        .moved("notice", "2026-03-02T10:00:01Z", "none", "payment_failed")
    )


def test_a_lost_transition_is_rejected() -> None:
    story = a_recovered_case().without(STAGES, to_stage="past_due")

    found = assert_broken(story, 3, "account track: sequence 2 follows 0", f"{STAGES}/0@6")
    assert (found.case_id, found.account_id) == (story.case, "acc_1")


def test_a_gap_is_rejected() -> None:
    story = three_charges().without("dunning.retry.requested", attempt_number=3)

    assert_broken(story, 3, "charge requests: sequence 3 follows 1", "dunning.retry.requested/0@2")


def test_a_lost_status_is_rejected_unless_the_topic_was_compacted() -> None:
    story = a_suspended_case().without(STATUS, status="past_due")

    assert_broken(story, 3, "account status: sequence 2 follows 0", f"{STATUS}/0@1")
    assert_kept(story, statuses_compacted=True)


def test_a_relay_that_died_may_repeat_everything_up_to_the_newest() -> None:
    story = three_charges()
    for attempt in (3, 4):
        story.again("dunning.retry.requested", attempt_number=attempt)

    assert_kept(story)


def test_a_lone_old_word_at_the_end_is_rejected() -> None:
    """The late word of a stale instance stays the last in a compacted topic."""
    story = a_suspended_case().again(STATUS, status="past_due")

    found = assert_broken(story, 3, "an old word came last: 1, though 2 was published before", f"{STATUS}/0@2")
    assert found.account_id == "acc_1"


def test_a_lone_old_word_between_newer_ones_is_rejected() -> None:
    story = three_charges()
    story.again("dunning.retry.requested", attempt_number=2)
    last, stale = story.find("dunning.retry.requested", attempt_number=4), story.events[-1]
    last["offset"], stale["offset"] = stale["offset"], last["offset"]

    assert_broken(story, 3, "an old word came late: 1 after 2", "dunning.retry.requested/0@3")


def test_a_reordered_account_is_rejected() -> None:
    story = a_suspended_case()
    first, second = (story.find(STAGES, to_stage=stage) for stage in ("past_due", "suspended"))
    first["offset"], second["offset"] = second["offset"], first["offset"]

    assert_broken(story, 3, "account track: sequence 2 follows 0", f"{STAGES}/0@0")


def test_an_account_scattered_over_partitions_is_rejected() -> None:
    story = three_charges()
    story.find("dunning.retry.requested", attempt_number=3)["partition"] = 1

    assert_broken(story, 3, "scattered over partitions", "dunning.retry.requested/1@1")


def test_an_account_that_moved_to_another_partition_once_is_in_order() -> None:
    story = three_charges()
    story.find("dunning.retry.requested", attempt_number=4)["partition"] = 1

    assert_kept(story)


def test_a_record_under_a_wrong_key_is_rejected() -> None:
    story = a_recovered_case()
    story.find(STAGES, to_stage="requested")["key"] = None

    assert_broken(story, 3, "the record's key is None, not the account", f"{STAGES}/0@3")


def test_a_transition_that_starts_where_no_former_one_ended_is_rejected() -> None:
    story = a_recovered_case().changed(STAGES, {"to_stage": "recovered", "track": "retry"}, from_stage="exhausted")

    assert_broken(story, 3, "retry track: from exhausted, but it stood at scheduled", f"{STAGES}/0@5")


def test_a_first_transition_from_nowhere_is_rejected() -> None:
    story = a_recovered_case().changed(STAGES, {"to_stage": "past_due"}, from_stage="restricted")

    assert_broken(story, 3, "account track: from restricted, but it stood at active", f"{STAGES}/0@1")


def test_a_status_that_forgets_the_former_one_is_rejected() -> None:
    story = a_suspended_case().changed(STATUS, {"status": "suspended"}, previous_status="active")

    assert_broken(story, 3, "account status: from active, but it stood at past_due", f"{STATUS}/0@1")


def test_a_transition_that_took_effect_a_day_before_its_former_one_is_rejected() -> None:
    story = a_suspended_case().changed(STAGES, {"to_stage": "suspended"}, effective_at="2026-03-01T10:00:00Z")

    assert_broken(story, 3, "before the one that came first", f"{STAGES}/0@3")


def test_a_bounce_that_is_reported_late_has_its_own_time() -> None:
    story = a_suspended_case().noticed("2026-03-01T10:00:00Z", "payment_failed", "bounced")

    assert_kept(story)


def test_an_account_that_gets_better_without_becoming_active_is_rejected() -> None:
    story = a_suspended_case().moved("account", "2026-03-17T10:00:00Z", "suspended", "past_due")

    assert_broken(story.status("2026-03-17T10:00:00Z", "suspended", "past_due"), 3, "from suspended back to past_due")


def test_a_step_that_was_published_before_it_took_effect_is_rejected() -> None:
    """Early, and dated as if it had been in time."""
    story = a_suspended_case()
    story.find(STAGES, to_stage="suspended")["at"] = "2026-03-06T10:00:00Z"

    told = "published at 2026-03-06T10:00:00+00:00, before it took effect at 2026-03-16T10:00:00+00:00"
    assert_broken(story, 3, told, f"{STAGES}/0@3")
