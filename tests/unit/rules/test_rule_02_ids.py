"""Rule 2: ids that we write are the same at every redelivery, and anybody can reckon them again."""

from uuid import NAMESPACE_URL, uuid5

from dunning.domain.events import AccountStatus, NoticeResult, RetryRequested, StageChanged
from tests.builders import Story, a_policy, failed

CASE = str(uuid5(NAMESPACE_URL, "acc_1/in_1/1"))


def test_an_event_id_can_be_reckoned_from_what_the_event_is() -> None:
    story = Story(a_policy()).reads(failed("03-02 10:00")).until("03-03 12:00")

    transitions = [(each.track, each.sequence, each.event_id) for each in story.outputs(StageChanged)]
    assert transitions == [
        (track, sequence, str(uuid5(NAMESPACE_URL, f"dunning.stage.changed.v1/{CASE}/{track}/{sequence}")))
        for track, sequence in [("retry", 1), ("notice", 1), ("account", 1), ("retry", 2)]
    ]
    (request,) = story.outputs(RetryRequested)
    assert request.event_id == str(uuid5(NAMESPACE_URL, f"dunning.retry.requested.v1/{CASE}/1"))
    statuses = [(each.sequence, each.event_id) for each in story.outputs(AccountStatus)]
    assert statuses == [
        (number, str(uuid5(NAMESPACE_URL, f"dunning.account.status.v1/acc_1/{number}"))) for number in (1, 2)
    ]
    results = story.outputs(NoticeResult)
    assert [each.event_id for each in results] == [
        str(uuid5(NAMESPACE_URL, f"dunning.notice.result.v1/{results[0].notice_id}/{outcome}"))
        for outcome in ("sent", "delivered")
    ]
