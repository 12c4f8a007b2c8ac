"""What is told of a notice whose case is closed, by the notice's id alone: only open cases are at hand (rule 30)."""

from dataclasses import replace
from typing import Any

import pytest
from msgspec.structs import replace as changed

from dunning.domain.events import ErrandReport, Input, NoticeResult, TimerDue
from dunning.domain.words import Channel
from dunning.runtime.meant import cases_meant
from dunning.runtime.repository import StateRepository
from dunning.testing.hand_clock import HandClock
from dunning.testing.memory import MemoryStore
from dunning.testing.toy import toy_service
from notification_dispatcher.case import NoticeAccount, NoticeCase
from notification_dispatcher.decide import NoticeTrack
from notification_dispatcher.service import notice_of
from tests.builders import ADA, a_notice, a_policy, failed, instant, moved, paid, policies, signal

IN_FORCE = policies(a_policy(ladder=[a_notice("hello", "0d")], retries=None))


class Dispatching:
    """The dispatcher's decisions on what a store in memory has at hand."""

    def __init__(self) -> None:
        self.track = NoticeTrack(lambda: IN_FORCE, frozenset(Channel), frozenset())
        repository = StateRepository(NoticeAccount, NoticeCase)
        own: dict[str, Any] = {"decide": self.track.decide, "repository": repository, "thing_of": notice_of}
        self.service: Any = replace(toy_service(), **own)
        self.clock = HandClock(instant("03-02 10:00"))
        self.store: MemoryStore[Any] = MemoryStore(self.service, clock=self.clock, shards=1)

    async def read(self, when: str, event: Input) -> Any:
        self.clock.now = instant(when)
        async with self.store.transaction() as tx:
            accounts = await tx.load(await cases_meant(tx, self.service, [event]))
            decision = self.track.decide(accounts["acc_1"], event, self.clock.now)
            await tx.save(accounts.values())
        return decision, accounts["acc_1"]


@pytest.mark.parametrize(("email", "marked"), [("new@example.com", {}), (ADA.email, {"email": ADA.email})])
async def test_a_bounce_marks_the_address_that_it_is_about(email: str, marked: dict[str, str]) -> None:
    desk, at = Dispatching(), "03-02 10:00"
    await desk.read(at, failed(at))
    ordered, _ = await desk.read(at, TimerDue("timer", "acc_1", "in_1", instant(at)))
    ((notice_id),) = (errand.errand_id for errand in ordered.errands)
    await desk.read(at, ErrandReport("report", "acc_1", "in_1", notice_id, "accepted", instant(at)))
    await desk.read("03-02 12:00", paid("03-02 12:00"))
    await desk.read("03-03 10:00", moved("03-03 10:00", email=email))

    bounce = changed(signal("notice.bounced", "03-03 11:00", notice_id=notice_id), invoice_id=None)
    told, account = await desk.read("03-03 11:00", changed(bounce, channel=Channel.EMAIL, permanent=True))

    assert [(each.outcome, each.notice_id) for each in told.events if isinstance(each, NoticeResult)] == [
        ("bounced", notice_id)
    ]
    assert account.bounced == marked
