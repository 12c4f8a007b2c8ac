"""SIGTERM in the middle of work: the service finishes what is at hand, and the next start goes on from there."""

import json

import pytest

from tests.e2e.alone import Alone, Ground, alone
from tests.e2e.foreign import ACCOUNT_STATUS, NOTICE_RESULT, STAGE_CHANGED, Invoice
from tests.e2e.watch import Event, eventually
from tests.mail_server import MailServer

POLICY = """
id: calm
version: 1
timezone: UTC
fallback_timezone: UTC
retries: {strategy: ladder, after: [30d], window: 60d}
ladder:
  - {rung: payment_failed, at: 0s, account: past_due, notice: {template: payment_failed, channels: [email]}}
contact: {quiet_hours: none}
"""
# So small that the work cannot be over before the signal comes.
SMALL = {"DUNNING_BATCH_RECORDS": "5", "DUNNING_LANES": "1", "DUNNING_TIMER_BATCH_ACCOUNTS": "5"}
pytestmark = pytest.mark.timeout(600)


@pytest.mark.parametrize(
    ("service", "number", "steps"),
    [
        ("retry_scheduler", 1000, ["stage scheduled"]),
        ("account_enforcement", 500, ["status active", "stage past_due", "status past_due"]),
        ("notification_dispatcher", 200, ["stage payment_failed", "result sent", "result delivered"]),
    ],
)
async def test_a_service_that_is_stopped_at_work_ends_well_and_the_next_start_repeats_nothing(
    ground: Ground, service: str, number: int, steps: list[str]
) -> None:
    invoices = [Invoice(f"n{each}") for each in range(number)]
    async with MailServer() as mail_server:
        smtp = {"DUNNING_SMTP_URL": f"smtp://127.0.0.1:{mail_server.port}"}
        async with alone(service, ground, {"calm": POLICY}, **smtp, **SMALL) as one:
            await one.world.all_fail(invoices)
            await eventually(lambda: at_work(one, invoices, steps), "the first of them to be through")
            exit_code = await one.service.stop()
            done_before = through(one, invoices, steps)
            await one.service.start()
            await eventually(
                lambda: through(one, invoices, steps) == number, lambda: f"{through(one, invoices, steps)} of {number}"
            )
            second_exit_code = await one.service.stop()

    assert (exit_code, second_exit_code) == (0, 0)
    assert 0 < done_before < number
    assert one.service.facts("did not stop in time") == []
    assert all(json.loads(line)["service"] == service for line in one.service.said())
    for invoice in invoices:
        assert sorted(map(step, one.seen.of(invoice.account_id))) == sorted(steps)
    if service == "notification_dispatcher":
        assert sorted(mail.recipient for mail in mail_server.mails) == sorted(invoice.email for invoice in invoices)


def through(one: Alone, invoices: list[Invoice], steps: list[str]) -> int:
    """For how many all steps were published."""
    return sum(len(one.seen.of(invoice.account_id)) >= len(steps) for invoice in invoices)


def at_work(one: Alone, invoices: list[Invoice], steps: list[str]) -> bool:
    """Whether something is done, so that the rest is under way."""
    return through(one, invoices, steps) > 0


def step(event: Event) -> str:
    """One step in two words."""
    names = {STAGE_CHANGED: ("stage", "to_stage"), ACCOUNT_STATUS: ("status", "status")}
    word, field = names.get(event.topic, ("result", "outcome") if event.topic == NOTICE_RESULT else ("", "retry_id"))
    return f"{word} {event.data[field]}"
