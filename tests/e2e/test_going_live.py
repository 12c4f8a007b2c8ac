"""The rehearsal of docs/going-live.md with small numbers: observe, act, brake, stop and back (rules 42, 43, 45)."""

import asyncio
from collections.abc import Iterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests import stack
from tests.cli import dunning
from tests.e2e.foreign import Invoice, a_foreign_client
from tests.e2e.platform import Platform
from tests.e2e.shared import a_platform
from tests.e2e.watch import Watch, eventually, mails_in, mails_to, watching

POLICY = """
id: quick
version: 1
timezone: UTC
fallback_timezone: UTC
retries: {strategy: ladder, after: [1s], window: 60d, timeout: 1s}
ladder:
  - {rung: payment_failed, at: 0s, notice: {template: payment_failed, channels: [email]}, account: past_due}
  - {rung: warning, at: 1s, notice: {template: suspension_warning, channels: [email]}}
  - {rung: suspended, at: 3s, account: suspended, warned_by: warning, lead: 2s}
"""
LEAD = timedelta(seconds=2)
LIMIT = 5
A_YEAR_AGO = (datetime.now(UTC) - timedelta(days=365)).isoformat()
pytestmark = pytest.mark.timeout(900)


@pytest.fixture
def platform(servers: stack.Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    settings = {
        "DUNNING_START": datetime.now(UTC).isoformat(),
        "DUNNING_MODE": "observe",
        "DUNNING_MAX_RESTRICTIONS_PER_DAY": str(LIMIT),
    }
    with a_platform(tmp_path_factory.mktemp("live"), servers, {"quick": POLICY}, **settings) as running:
        yield running


class Rehearsal:
    """The platform, what it really says, and what it only would say."""

    def __init__(self, platform: Platform, real: Watch, observed: Watch) -> None:
        self.platform = platform
        self.real = real
        self.observed = observed

    async def says(self, *arguments: str) -> Any:
        """What the command prints, of this stack."""
        said = await asyncio.to_thread(dunning, *arguments, "--data-dir", str(self.platform.data_dir))
        assert said.exit_code == 0, said.text
        return said

    async def switches(self, mode: str) -> None:
        await self.says("mode", "set", "all", mode, "--by", "ada", "--reason", "rehearsal")

    def suspended(self) -> list[str]:
        return sorted({event.key or "" for event in self.real.events if event.is_stage("account", "suspended")})


async def test_the_rehearsal(platform: Platform) -> None:
    """One story, for each part begins where the one before left the platform."""
    async with AsyncExitStack() as stack_:
        prefix = platform.topic_prefix
        world = await stack_.enter_async_context(a_foreign_client(platform.kafka, prefix))
        real = await stack_.enter_async_context(watching(platform.kafka, prefix))
        observed = await stack_.enter_async_context(watching(platform.kafka, f"{prefix}observed."))
        rehearsal = Rehearsal(platform, real, observed)

        old = [Invoice(f"old{number}") for number in range(20)]
        for invoice in old:
            await world.fails(invoice, at=A_YEAR_AGO)
        first = [Invoice(f"first{number}") for number in range(3)]
        for invoice in first:
            await world.fails(invoice)
        await _observing(rehearsal, old, first)
        await _acting(rehearsal, first)
        await _braking(rehearsal, world)
        await _stopping(rehearsal, world)

    assert {event.key for event in real.events} & {invoice.account_id for invoice in old} == set()


async def _observing(rehearsal: Rehearsal, old: list[Invoice], first: list[Invoice]) -> None:
    """End to end: warnings count as delivered, so that suspensions are seen; nothing really happens, nothing is old."""
    for invoice in first:
        await rehearsal.observed.status(invoice.account_id, "suspended")
        await rehearsal.observed.request(invoice.account_id, 2)
    report = (await rehearsal.says("report", "dry-run", "--format", "json")).json
    case = await rehearsal.says("case", "show", "--account", first[0].account_id, "--invoice", first[0].id)
    text = await rehearsal.says("report", "dry-run")

    today = datetime.now(UTC).date().isoformat()
    sent = {(each["rung"], each["channel"]): each["number"] for each in report["notices"] if each["day"] == today}
    assert sent == {("payment_failed", "email"): 3, ("warning", "email"): 3}
    assert [(each["number"], each["amount_minor"]) for each in report["charges"]] == [(3, 3 * 4900)]
    assert [(each["status"], each["accounts"]) for each in report["restrictions"]] == [("suspended", 3)]
    assert any("suspended" in line for line in text.lines)
    assert any("mode observe: this is what it would do" in line for line in case.lines)
    assert any("account suspended" in line for line in case.lines if line.startswith("stages"))
    assert rehearsal.real.events == []
    assert mails_in(rehearsal.platform.mail_dir) == []
    assert {event.key for event in rehearsal.observed.events} & {invoice.account_id for invoice in old} == set()


async def _acting(rehearsal: Rehearsal, first: list[Invoice]) -> None:
    """Nothing observed counts: there is a real request and a real warning, whose lead the suspension waits for."""
    switched_at = datetime.now(UTC)
    await rehearsal.switches("act")
    for invoice in first:
        await rehearsal.real.request(invoice.account_id, 2)
        warned = await rehearsal.real.result(invoice.account_id, "warning", "delivered")
        suspended = await rehearsal.real.stage(invoice.account_id, "account", "suspended")
        delivered_at = datetime.fromisoformat(warned.data["at"])
        assert delivered_at > switched_at
        assert datetime.fromisoformat(suspended.data["effective_at"]) >= delivered_at + LEAD
        mails = mails_to(rehearsal.platform.mail_dir, invoice.email)
        assert len(mails) == 1  # of the notices that piled up before the suspension only the last, which is the warning


async def _braking(rehearsal: Rehearsal, world: Any) -> None:
    """A processor's outage: many fail at once. No more accounts than may are suspended, until somebody opens it."""
    many = [Invoice(f"many{number}") for number in range(12)]
    await world.all_fail(many)
    for invoice in many:
        await rehearsal.real.result(invoice.account_id, "warning", "delivered")
    await eventually(lambda: len(rehearsal.suspended()) == LIMIT, lambda: f"five: {rehearsal.suspended()}")
    held = 3 + len(many) - LIMIT
    shown = await _shown_held(rehearsal, held)
    assert shown["shut_at"] is not None
    assert len(rehearsal.suspended()) == LIMIT

    await world.pays(many[0] if many[0].account_id not in rehearsal.suspended() else many[-1])
    await rehearsal.says("brake", "open", "--by", "ada", "--reason", "all real")
    await eventually(
        lambda: len(rehearsal.suspended()) >= 3 + len(many) - 1, lambda: f"the others: {rehearsal.suspended()}"
    )


async def _shown_held(rehearsal: Rehearsal, held: int) -> Any:
    while True:
        shown = (await rehearsal.says("brake", "show", "--format", "json")).json
        if shown["held"] == held:
            return shown
        await asyncio.sleep(0.2)


async def _stopping(rehearsal: Rehearsal, world: Any) -> None:
    """Read and recorded, and nothing goes out; then it goes on where it was."""
    await rehearsal.switches("stop")
    before, mails = len(rehearsal.real.events), len(mails_in(rehearsal.platform.mail_dir))
    late, paid = Invoice("late"), Invoice("paid")
    await world.fails(late)
    await world.fails(paid)
    await world.pays(paid)
    await eventually_case(rehearsal, late)
    await eventually_case(rehearsal, paid)
    assert (len(rehearsal.real.events), len(mails_in(rehearsal.platform.mail_dir))) == (before, mails)

    await rehearsal.switches("act")
    await rehearsal.real.stage(late.account_id, "account", "past_due")
    await rehearsal.real.result(late.account_id, "warning", "delivered")
    await rehearsal.real.stage(paid.account_id, "retry", "recovered")
    assert mails_to(rehearsal.platform.mail_dir, paid.email) == []


async def eventually_case(rehearsal: Rehearsal, invoice: Invoice) -> None:
    """Until all three services know of it."""
    arguments = ("case", "list", "--account", invoice.account_id, "--format", "json")
    while True:
        found = (await rehearsal.says(*arguments)).json
        if found and len(found[0]["stages"]) == 3:
            return
        await asyncio.sleep(0.2)
