"""One run: servers, six instances, a shop with customers, faults; then everything heals, and the verifier judges."""

import asyncio
import json
import random
import shutil
import time
from collections import Counter
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.chaos.faults import Lines, World, happen
from tests.chaos.instances import kept
from tests.chaos.plan import SIDES, Kind, planned
from tests.chaos.settled import everything_is_read
from tests.e2e.foreign import Form, Invoice
from tests.e2e.hurried import POLICY, SETTINGS, Post, an_operator, ended, every_mail_is_accounted_for
from tests.e2e.own_stack import OwnStack, own_stack
from tests.e2e.platform import Platform
from tests.e2e.shop import Shop, a_shop
from tests.e2e.watch import Watch, watching
from tests.proxy import database_proxy, kafka_proxy
from tests.stack import DATABASE, KAFKA, dunning_process, services_environment

_LANES = 4  # how many customers can have trouble at the same time
_PAYS_EVERY = 5  # about every so many failures, somebody pays an older invoice


@dataclass(frozen=True)
class Outcome:
    """What happened, and what was said of it."""

    faults: Counter[Kind]
    ended_by_themselves: Sequence[str]
    unwell: Sequence[str]
    stubborn: Sequence[str]
    looked_at: dict[str, int]
    violations: Sequence[dict[str, Any]]
    settled_after_seconds: float

    @property
    def is_good(self) -> bool:
        """Whether every promise was kept, nobody ended without being told to or in spite of it, and all were ready at
        the end."""
        return not (self.violations or self.ended_by_themselves or self.unwell or self.stubborn)


async def play(
    seed: int, seconds: float, *, per_second: float, kinds: Collection[Kind] = tuple(Kind), evidence: Path | None = None
) -> Outcome:
    """One run of so many seconds. `evidence` gets the logs and all events where something was wrong."""
    with own_stack(POLICY, only="infra") as servers:
        url = servers.platform.settings[DATABASE]
        async with AsyncExitStack() as stack:
            lines = {
                side: Lines(
                    await stack.enter_async_context(kafka_proxy(servers.platform.kafka)),
                    await stack.enter_async_context(database_proxy(url)),
                )
                for side in SIDES
            }
            migrated = await asyncio.to_thread(
                dunning_process, _environment(servers, servers.platform.kafka, url), "migrate"
            )
            assert migrated.returncode == 0, migrated.stdout + migrated.stderr
            await servers.stamp_on_arrival()
            environments = {
                side: _environment(servers, its.kafka.address, its.database.url_instead_of(url))
                for side, its in lines.items()
            }
            instances = await stack.enter_async_context(kept(servers.data_dir / "logs", environments))
            world = World(servers, url, lines, instances)
            seen = await stack.enter_async_context(watching(servers.platform.kafka))
            try:
                faults, settled_after_seconds = await _play(world, seen, seed, seconds, per_second, kinds)
                unwell = await instances.well()
                stubborn = await instances.stop()
                verdict = _verdict(servers.platform, servers.data_dir / "charges.ndjson")
            except BaseException:
                _keep(evidence, servers, seen)
                raise
        outcome = Outcome(
            faults,
            instances.ended_by_themselves,
            unwell,
            stubborn,
            verdict["looked_at"],
            verdict["violations"],
            settled_after_seconds,
        )
        if not outcome.is_good:
            _keep(evidence, servers, seen)
        return outcome


async def _play(
    world: World, seen: Watch, seed: int, seconds: float, per_second: float, kinds: Collection[Kind]
) -> tuple[Counter[Kind], float]:
    platform = world.servers.platform
    ledger, post = world.servers.data_dir / "charges.ndjson", Post(platform.mail_dir)
    async with a_shop(platform.kafka, ledger, seed, seen) as shop, an_operator(post, shop, seen):
        begun_at = time.monotonic()
        async with _traffic(shop, seed, per_second) as invoices:
            faults = await happen(world, planned(seed, seconds, kinds), begun_at)
            await asyncio.sleep(max(0.0, begun_at + seconds - time.monotonic()))
        healed_at = time.monotonic()
        for invoice in invoices:
            await ended(seen, shop, invoice)
        await every_mail_is_accounted_for(post, seen)
        await everything_is_read(platform.kafka, world.database_url)
        return faults, time.monotonic() - healed_at


@asynccontextmanager
async def _traffic(shop: Shop, seed: int, per_second: float) -> AsyncIterator[list[Invoice]]:
    """Payments fail for the length of the block; what was begun then is said to the end."""
    failed: list[Invoice] = []
    over = asyncio.Event()
    async with asyncio.TaskGroup() as lanes:
        for lane in range(_LANES):
            lanes.create_task(_lane(shop, random.Random(f"{seed}/{lane}"), lane, per_second / _LANES, failed, over))
        try:
            yield failed
        finally:
            over.set()


async def _lane(
    shop: Shop, chance: random.Random, lane: int, per_second: float, failed: list[Invoice], over: asyncio.Event
) -> None:
    number = 0
    while not over.is_set():
        number += 1
        invoice = Invoice(f"{lane}.{number}")
        await shop.fails(invoice, chance.choice(list(Form)))
        failed.append(invoice)
        if chance.randrange(_PAYS_EVERY) == 0:
            await shop.pays(chance.choice(failed), chance.choice(list(Form)))
        try:
            await asyncio.wait_for(over.wait(), chance.uniform(0, 2 / per_second))
        except TimeoutError:
            continue


def _environment(servers: OwnStack, kafka: str, database_url: str) -> dict[str, str]:
    """What an instance is told."""
    named = {
        KAFKA: kafka,
        DATABASE: database_url,
        "DUNNING_SMTP_URL": servers.platform.settings["DUNNING_SMTP_URL"],
        "DUNNING_POLICY_DIR": str(servers.policy_dir),
        "DUNNING_KAFKA_SESSION_TIMEOUT_SECONDS": "6",
        "DUNNING_START_TIMEOUT_SECONDS": "600",  # one outage may follow another
        **SETTINGS,
    }
    return services_environment(named)


def _verdict(platform: Platform, ledger: Path) -> dict[str, Any]:
    said = platform.verify("--settled", "--ledger", str(ledger), "--format", "json")
    if said.returncode not in (0, 1):
        raise AssertionError(said.stdout + said.stderr)
    found: dict[str, Any] = json.loads(said.stdout)
    return found


def _keep(evidence: Path | None, servers: OwnStack, seen: Watch) -> None:
    if evidence is None:
        return
    shutil.rmtree(evidence, ignore_errors=True)
    shutil.copytree(servers.data_dir / "logs", evidence / "logs")
    with (evidence / "published.ndjson").open("w") as file:
        for event in seen.events:
            value = (event.value or b"").decode(errors="replace")
            said = {"topic": event.topic, "offset": event.offset, "key": event.key, "headers": event.headers}
            file.write(json.dumps({**said, "value": value}) + "\n")
