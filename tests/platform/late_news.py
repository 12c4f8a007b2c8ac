"""A payment a moment before something is due: whoever is due to act has to wait until it is read (rule 40)."""

import json
from bisect import insort
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from dunning.runtime.store import TopicPartition
from tests.platform.scenario import PARTITIONS, SUCCEEDED, Sent, success

if TYPE_CHECKING:
    from tests.platform.world import World

_BEFORE = timedelta(milliseconds=200)
_LATE_SECONDS = (2.0, 7.0)
_LATE_SECONDS_AT_STARTS = 9.0


def bring_news(world: "World", due_at: datetime) -> None:
    """Where the ambush says so, pay just before a case is due. All services hear of it late, and those that would act
    may be starting anew just then, when what they read before says nothing of the present."""
    found = _due(world, due_at)
    if found is None or due_at - _BEFORE <= world.clocks.now() or not world.faults.ambush.brings_news():
        return
    service, account, invoice = found
    world.clocks.jump(due_at - _BEFORE)
    now = world.clocks.now()
    at = TopicPartition(SUCCEEDED, world.rng.randrange(PARTITIONS))
    body = success(account, invoice, now, 0, payment_id=f"in_time_{invoice}")
    sent = Sent(now, at.topic, at.partition, account, json.dumps(body).encode())
    insort(world.scenario.sent, sent, key=lambda each: each.at)
    world.send(sent)
    start_anew = world.rng.random() < 0.6
    late_until = world.loop.time() + (_LATE_SECONDS_AT_STARTS if start_anew else world.rng.choice(_LATE_SECONDS))
    for slot in world.slots:
        world.faults.slow_until[slot.service, at] = late_until
    world.faults.note("payment just before something is due", service)
    if start_anew:
        for slot in world.slots:
            if slot.service == service and slot.process is not None:
                world.faults.note("killed", slot.process.name)
                slot.process.kill()


def _due(world: "World", due_at: datetime) -> tuple[str, str, str] | None:
    """Service, account and invoice of what is due then and was not paid yet."""
    paid = {
        json.loads(sent.value)["invoice"]["id"]
        for sent in world.scenario.sent
        if sent.topic == SUCCEEDED and not sent.poison
    }
    for name, database in world.databases.items():
        for due in database.store._tables.cases._due[:1]:
            planned = (
                due.due_at.second == due.due_at.microsecond == 0
            )  # not counted from when something really happened
            if due.due_at == due_at and planned and due.invoice_id not in paid:
                return name, due.account_id, due.invoice_id
    return None
