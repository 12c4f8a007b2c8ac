"""`kill -9` of every process in turn, in the middle of traffic: nothing is lost and nothing happens twice."""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress

import pytest

from tests.e2e.foreign import NOTICE_RESULT, Form, Invoice
from tests.e2e.own_stack import SUPERVISOR, OwnStack, own_stack
from tests.e2e.shop import Shop, a_shop
from tests.e2e.watch import Event, Watch, eventually, mails_in, watching

SEED = 3
TRACKS = {"retry": "recovered", "notice": "recovered", "account": "active"}  # and where each ends with money
GIVEN_UP = ("exhausted", "waiting_for_customer")
INVOICES_PER_WAVE = 40
PARTS = (
    "notification_dispatcher",
    "retry_scheduler",
    "account_enforcement",
    "kafka",
    "postgres",
    "mail_sink",
    SUPERVISOR,
)
POLICY = """
id: hurried
version: 1
timezone: UTC
fallback_timezone: UTC
retries: {strategy: ladder, after: [1s, 2s], technical_after: [1s, 1s], timeout: 4s, window: 1h}
ladder:
  - {rung: payment_failed,     at: 0s, account: past_due, notice: {template: payment_failed, channels: [email]}}
  - {rung: suspension_warning, at: 4s, notice: {template: suspension_warning, channels: [email]}}
  - {rung: suspended,          at: 8s, account: suspended, warned_by: suspension_warning, lead: 4s,
     notice: {template: suspended, channels: [email]}}
contact: {quiet_hours: none}
"""
# A mail that was on the wire when the dispatcher died is given up when its lease is over: so the lease is short here,
# and what one mail may take has to be shorter.
SETTINGS = {
    "DUNNING_ERRAND_LEASE_SECONDS": "30",
    "DUNNING_ERRAND_PAUSE_SECONDS": "1",
    "DUNNING_SMTP_CONNECT_TIMEOUT_SECONDS": "3",
    "DUNNING_SMTP_COMMAND_TIMEOUT_SECONDS": "2",
    "DUNNING_SMTP_ANSWER_TIMEOUT_SECONDS": "10",
}


@pytest.mark.timeout(900)
async def test_every_case_ends_as_it_should_whatever_is_killed_on_the_way() -> None:
    chance = random.Random(SEED)
    with own_stack(POLICY, **SETTINGS) as stack:
        kafka, ledger = stack.platform.kafka, stack.data_dir / "charges.ndjson"
        await stack.stamp_on_arrival()
        async with watching(kafka) as seen, a_shop(kafka, ledger, SEED, seen) as shop, an_operator(stack, shop, seen):
            invoices: list[Invoice] = []
            for part in PARTS:
                wave = [Invoice(f"{part}.{number}") for number in range(INVOICES_PER_WAVE)]
                await traffic_with_a_kill(stack, shop, chance, wave, invoices, part)
                for invoice in wave:
                    await taken_by_all(seen, shop, invoice)
                invoices += wave
            for invoice in invoices:
                await ended(seen, shop, invoice)
            await every_mail_is_accounted_for(stack, seen)

        verdict = stack.platform.verify("--settled", "--ledger", str(ledger))
        assert verdict.returncode == 0, verdict.stdout + verdict.stderr
        times = Counter(mail.header("Message-ID") for mail in mails_in(stack.platform.mail_dir))
        assert max(times.values()) == 1


async def traffic_with_a_kill(
    stack: OwnStack, shop: Shop, chance: random.Random, wave: Sequence[Invoice], older: Sequence[Invoice], part: str
) -> None:
    """New failures and, mixed among them, payments of older ones; somewhere in between a process dies."""
    payers = chance.sample(older, len(older) // 6)
    happenings = [(shop.fails, invoice) for invoice in wave] + [(shop.pays, invoice) for invoice in payers]
    chance.shuffle(happenings)
    dies_at = chance.randrange(len(happenings))
    async with asyncio.TaskGroup() as beside:
        for number, (happens, invoice) in enumerate(happenings):
            if number == dies_at:
                beside.create_task(stack.kill(part))
            await happens(invoice, chance.choice(list(Form)))


async def taken_by_all(seen: Watch, shop: Shop, invoice: Invoice) -> None:
    """Until each of the services has begun with a case; what was paid while one was away may be no case to it."""
    account = invoice.account_id

    def is_taken() -> bool:
        return not shop.owes(invoice) or all(seen.stages(account, track) for track in TRACKS)

    await eventually(is_taken, lambda: f"{account} on all tracks: {seen.story(account)}")


async def ended(seen: Watch, shop: Shop, invoice: Invoice) -> None:
    """Until whoever paid is active again, and whoever did not is suspended, was told so, and is charged no more."""
    account = invoice.account_id

    def has_ended() -> bool:
        stages = {track: seen.stages(account, track) for track in TRACKS}
        if not shop.owes(invoice):
            return all(not stages[track] or stages[track][-1] == end for track, end in TRACKS.items())
        told = any(event.topic == NOTICE_RESULT and event.data["rung"] == "suspended" for event in seen.of(account))
        return told and stages["account"][-1] == "suspended" and stages["retry"][-1] in GIVEN_UP

    await eventually(has_ended, lambda: f"{account} to end, owing {shop.owes(invoice)}: {seen.story(account)}")


async def every_mail_is_accounted_for(stack: OwnStack, seen: Watch) -> None:
    """Until the dispatcher has said of each mail that arrived what it knows of it."""

    def missing() -> set[str]:
        told = {event.data["notice_id"] for event in seen.events if event.topic == NOTICE_RESULT}
        return {mail.header("X-Dunning-Notice-Id") for mail in mails_in(stack.platform.mail_dir)} - told

    await eventually(lambda: not missing(), lambda: f"results of {missing()}")


@asynccontextmanager
async def an_operator(stack: OwnStack, shop: Shop, seen: Watch) -> AsyncIterator[None]:
    """Somebody who looks after warnings whose fate is unknown, without whom nobody would be suspended after them."""
    working = asyncio.create_task(look_after_unknown_warnings(stack, shop, seen))
    try:
        yield
    finally:
        working.cancel()
        with suppress(asyncio.CancelledError):
            await working


async def look_after_unknown_warnings(stack: OwnStack, shop: Shop, seen: Watch) -> None:
    """What did arrive after all is reported; who got nothing is written to at another address (rules 30 and 31)."""
    done: set[str] = set()
    while True:
        unknown = await eventually(
            lambda: next((each for each in seen.events if is_unknown_warning(each, done)), None), "any", for_ever=True
        )
        notice_id, account = unknown.data["notice_id"], unknown.data["account_id"]
        done.add(notice_id)
        if any(mail.header("X-Dunning-Notice-Id") == notice_id for mail in mails_in(stack.platform.mail_dir)):
            await shop.signals(account, "notice.delivered", f'"notice_id":"{notice_id}","channel":"email"')
        else:
            address = f"second.{account}@customers.example"
            await shop.signals(account, "customer.updated", f'"customer":{{"email":"{address}"}}')


def is_unknown_warning(event: Event, done: set[str]) -> bool:
    """A warning that may or may not have arrived, and that nobody has looked after yet."""
    return event.is_result("suspension_warning", "unknown") and event.data["notice_id"] not in done
