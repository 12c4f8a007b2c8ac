"""A crowd through the services and through the simulator, and where the two differ."""

import difflib
import random
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

from dunning.testing.hand_clock import HandClock
from tests.model.compare import essences, policies_of, policy_text
from tests.model.history import Data
from tests.model.live.crowd import Crowd
from tests.model.live.ending import ending
from tests.model.live.expected import Expected, entangled, expected
from tests.model.live.lockstep import IN_ORDER, Stage, stage
from tests.model.live.services import Deaf, hears_everything, live_settings, make_tables, make_topics, running
from tests.model.run import order
from tests.stack import Servers


@dataclass(frozen=True)
class Result:
    """What was compared, and the differences: each a text for a person."""

    line_by_line: int  # accounts
    endings: int
    left_out: int
    steps: int
    published: int
    differences: Mapping[str, str]  # by account

    def __str__(self) -> str:
        compared = f"{self.line_by_line} accounts line by line, {self.endings} more in how they ended"
        return f"{compared}, {self.left_out} left out; {self.published} events at {self.steps} instants"


async def play(crowd: Crowd, servers: Servers, prefix: str, seed: int, deaf: Deaf = hears_everything) -> Result:
    """All of it, on servers that are there; `seed` decides in which order topics are read. What services are `deaf` to
    the simulator hears all the same."""
    policies = policies_of(crowd.policies)
    simulated = {account: expected(given, policies) for account, given in crowd.members.items()}
    free = [account for account, said in simulated.items() if not entangled(said.lines)]
    members = {account: simulated[account] for account in free}
    at_work = await on_the_stage(crowd, members, servers, prefix, seed, deaf)
    differences, line_by_line = {}, 0
    for account in free:
        lines = crowd.members[account].lines
        compare = essences if in_one_order(lines) else ending
        line_by_line += compare is essences
        told = sorted(at_work.published[account], key=order)
        if found := difference(compare, simulated[account].lines, told):
            differences[account] = found
    left_out = len(crowd.members) - len(free)
    published = sum(map(len, at_work.published.values()))
    return Result(line_by_line, len(free) - line_by_line, left_out, at_work.steps, published, differences)


async def on_the_stage(
    crowd: Crowd, members: Mapping[str, Expected], servers: Servers, prefix: str, seed: int, deaf: Deaf
) -> Stage:
    """Returned when it is over, with what was published."""
    rng = random.Random(seed)
    clock = HandClock(crowd.begins - timedelta(days=1))
    answers = {retry_id: answer for said in members.values() for retry_id, answer in said.answers.items()}
    lines = [line for account in members for line in crowd.members[account].lines]
    with TemporaryDirectory(prefix="dunning-test-") as folder:
        for number, policy in enumerate(crowd.policies):
            (Path(folder) / f"{number:04}.yaml").write_text(policy_text(policy))
        settings = live_settings(servers.kafka_bootstrap_servers, servers.database_url, prefix, Path(folder))
        await make_topics(settings, rng)
        await make_tables(settings)
        async with running(settings, clock, deaf) as parts, stage(settings, parts, clock, answers) as at_work:
            await at_work.play(lines, crowd.until, rng)
            return at_work


def in_one_order(lines: list[Data]) -> bool:
    """Whether there is only one order in which these can be read: at each instant one topic, or the file's order."""
    topics: dict[str, set[str]] = defaultdict(set)
    bound = set()
    for line in lines:
        topics[line["at"]].add(line["topic"])
        if line["data"].get("kind") in IN_ORDER:
            bound.add(line["at"])
    return all(len(read) == 1 or at in bound for at, read in topics.items())


def difference(compare: Callable[[list[Data]], list[str]], simulated: list[Data], live: list[Data]) -> str:
    return "\n".join(difflib.unified_diff(compare(simulated), compare(live), "simulate", "live", lineterm="", n=0))
