"""Each service alone: it does its part, waits for what only a peer can tell it, and goes on when that was told.

The peers are played by events that are written by hand. That time passed while a peer was silent shows in another case,
which comes to a later date meanwhile.
"""

from datetime import datetime, timedelta

import pytest

from tests.e2e.alone import Ground, alone
from tests.e2e.foreign import MINOR, RETRY_REQUESTED, Invoice
from tests.e2e.peers import dispatcher_reports, enforcement_moves
from tests.e2e.watch import Event
from tests.mail_server import MailServer

POLICIES = {
    "quick": """
id: quick
version: 1
match: {segments: [self_serve]}
timezone: UTC
fallback_timezone: UTC
retries: {strategy: ladder, after: [1s], max_retries: 3, timeout: 1h, window: 2h}
ladder:
  - {rung: suspension_warning, at: 0s, account: past_due, notice: {template: suspension_warning, channels: [email]}}
  - {rung: suspended, at: 1s, account: suspended, warned_by: suspension_warning, lead: 1s,
     notice: {template: suspended, channels: [email]}}
contact: {quiet_hours: none}
""",
    "slow": """
id: slow
version: 1
match: {segments: [later]}
timezone: UTC
fallback_timezone: UTC
retries: {strategy: ladder, after: [1h], window: 2h}
ladder:
  - {rung: payment_failed, at: 0s, account: past_due}
  - {rung: gentle_reminder, at: 4s, notice: {template: gentle_reminder, channels: [email]}}
  - {rung: restricted, at: 4s, account: restricted}
contact: {quiet_hours: none}
""",
}
pytestmark = pytest.mark.timeout(600)


async def test_the_retry_scheduler_asks_again_after_a_failed_answer_and_recovers_with_a_good_one(
    ground: Ground,
) -> None:
    invoice = Invoice("asked")
    async with alone("retry_scheduler", ground, POLICIES) as one:
        await one.world.fails(invoice)
        second = await one.seen.request(invoice.account_id, 2)
        await one.world.fails(invoice, attempt=2, retry_id=second.data["retry_id"])
        third = await one.seen.request(invoice.account_id, 3)
        await one.world.pays(invoice, attempt=3, retry_id=third.data["retry_id"])
        end = await one.seen.stage(invoice.account_id, "retry", "recovered")

    stages = ["scheduled", "requested", "scheduled", "requested", "recovered"]
    assert one.seen.stages(invoice.account_id, "retry") == stages
    assert end.data["reason"] == "paid"
    case_id = end.data["case_id"]
    assert [request["retry_id"] for request in requests(one.seen.of(invoice.account_id))] == [
        f"{case_id}:2",
        f"{case_id}:3",
    ]
    assert {request["amount_minor"] for request in requests(one.seen.of(invoice.account_id))} == {MINOR}


async def test_the_retry_scheduler_charges_nobody_whose_account_was_terminated(ground: Ground) -> None:
    invoice = Invoice("terminated", segment="later")
    async with alone("retry_scheduler", ground, POLICIES) as one:
        await one.world.fails(invoice)
        planned = await one.seen.stage(invoice.account_id, "retry", "scheduled")
        await enforcement_moves(
            one.world, invoice, planned.data["case_id"], ("suspended", "terminated"), "terminated", sequence=1
        )
        await one.seen.stage(invoice.account_id, "retry", "cancelled")

    assert one.seen.stages(invoice.account_id, "retry") == ["scheduled", "cancelled"]
    assert requests(one.seen.of(invoice.account_id)) == []


async def test_the_dispatcher_tells_of_a_suspension_only_when_it_was_published(ground: Ground) -> None:
    invoice, later = Invoice("suspended"), Invoice("reminded", segment="later")
    async with MailServer() as mail_server:
        smtp = {"DUNNING_SMTP_URL": f"smtp://127.0.0.1:{mail_server.port}"}
        async with alone("notification_dispatcher", ground, POLICIES, **smtp) as one:
            await one.world.fails(invoice)
            await one.world.fails(later)
            warned = await one.seen.result(invoice.account_id, "suspension_warning", "delivered")
            await one.seen.result(later.account_id, "gentle_reminder", "delivered")
            before = recipients(mail_server)
            case_id = warned.data["case_ids"][0]
            await enforcement_moves(one.world, invoice, case_id, ("past_due", "suspended"), "suspended", sequence=2)
            told = await one.seen.result(invoice.account_id, "suspended", "delivered")

    assert sorted(before) == sorted([invoice.email, later.email])
    assert recipients(mail_server) == [*before, invoice.email]
    assert told.data["template"] == "suspended"
    assert f"<{told.data['notice_id']}@".encode() in mail_server.mails[-1].content
    assert one.seen.stages(invoice.account_id, "notice") == ["suspension_warning", "suspended"]


async def test_enforcement_suspends_only_after_the_warning_was_delivered_and_its_lead_is_over(ground: Ground) -> None:
    invoice, later = Invoice("warned"), Invoice("restricted", segment="later")
    async with alone("account_enforcement", ground, POLICIES) as one:
        await one.world.fails(invoice)
        await one.world.fails(later)
        await one.seen.status(later.account_id, "restricted")
        before = one.seen.stages(invoice.account_id, "account")
        case_id = (await one.seen.stage(invoice.account_id, "account", "past_due")).data["case_id"]
        delivered_at = await dispatcher_reports(
            one.world, invoice, case_id, "suspension_warning", "delivered", sequence=2
        )
        suspended = await one.seen.stage(invoice.account_id, "account", "suspended")
        await one.world.pays(invoice)
        await one.seen.status(invoice.account_id, "active", reason="paid")

    assert before == ["past_due"]
    assert datetime.fromisoformat(suspended.data["effective_at"]) >= delivered_at + timedelta(seconds=1)
    assert one.seen.statuses(invoice.account_id) == ["active", "past_due", "suspended", "active"]


def requests(events: list[Event]) -> list[dict[str, object]]:
    """What was asked to be charged."""
    return [event.data for event in events if event.topic == RETRY_REQUESTED]


def recipients(server: MailServer) -> list[str]:
    """Who got a mail, in order."""
    return [mail.recipient for mail in server.mails]
