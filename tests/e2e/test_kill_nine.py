"""`kill -9` of every process in turn, in the middle of traffic: nothing is lost and nothing happens twice."""

import asyncio
import random
from collections import Counter
from collections.abc import Sequence

import pytest

from tests.e2e.foreign import Form, Invoice
from tests.e2e.hurried import POLICY, SETTINGS, Post, an_operator, ended, every_mail_is_accounted_for, taken_by_all
from tests.e2e.own_stack import SUPERVISOR, OwnStack, own_stack
from tests.e2e.shop import Shop, a_shop
from tests.e2e.watch import mails_in, watching

SEED = 3
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


@pytest.mark.timeout(900)
async def test_every_case_ends_as_it_should_whatever_is_killed_on_the_way() -> None:
    chance = random.Random(SEED)
    with own_stack(POLICY, **SETTINGS) as stack:
        kafka, ledger = stack.platform.kafka, stack.data_dir / "charges.ndjson"
        await stack.stamp_on_arrival()
        post = Post(stack.platform.mail_dir)
        async with watching(kafka) as seen, a_shop(kafka, ledger, SEED, seen) as shop, an_operator(post, shop, seen):
            invoices: list[Invoice] = []
            for part in PARTS:
                wave = [Invoice(f"{part}.{number}") for number in range(INVOICES_PER_WAVE)]
                await traffic_with_a_kill(stack, shop, chance, wave, invoices, part)
                for invoice in wave:
                    await taken_by_all(seen, shop, invoice)
                invoices += wave
            for invoice in invoices:
                await ended(seen, shop, invoice)
            await every_mail_is_accounted_for(post, seen)

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
