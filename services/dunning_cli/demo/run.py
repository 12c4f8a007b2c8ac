"""One `dunning demo` from beginning to end: fresh data, stack, show, stories, verdict, stop."""

import asyncio
import shutil
import signal
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from aiokafka.errors import KafkaError
from rich.console import Console
from rich.rule import Rule

from dunning.domain.policy import Policy
from dunning.domain.policy_file import load_policies
from dunning.runtime.policy_directory import read_policy_files
from dunning.runtime.problem import KAFKA_UNREACHABLE
from dunning_cli.demo.arrival import stamp_on_arrival
from dunning_cli.demo.own_space import own_space
from dunning_cli.demo.screen import Screen, figures, screen_for
from dunning_cli.demo.show import Casting, Outcome, perform
from dunning_cli.demo.stories import Choice, choose
from dunning_cli.demo.verification import Evidence, Judgement, judge
from dunning_cli.errors import CommandError
from dunning_cli.stack.background import up_in_background
from dunning_cli.stack.down import stop_stack
from dunning_cli.stack.env_file import read_env_file
from dunning_cli.stack.errors import StackError
from dunning_cli.stack.infra import MAIL_DIR
from dunning_cli.stack.layout import Layout
from dunning_cli.stack.reach import DATABASE, KAFKA
from dunning_cli.stack.report import Report
from dunning_cli.stack.run import UpOptions
from dunning_cli.stack.scopes import ALL_SCOPES
from dunning_cli.story import next_steps, render, timeline

NOT_A_DEMO = "DUN-L020"
_MARK = "made-by-dunning-demo"


@dataclass(frozen=True, slots=True)
class DemoOptions:
    """What was asked for. `day_seconds` is how long a day of the policy lasts."""

    data_dir: Path
    policy_dir: Path
    invoices: int
    seconds: float
    seed: int
    keep: bool
    day_seconds: float = 2.0


def run_demo(options: DemoOptions) -> int:
    """The exit code: 0 when the verifier is content and accounts were suspended and recovered."""
    console = Console()
    began = time.monotonic()
    _fresh_data(options.data_dir)
    with own_space(keep=options.keep) as prefix:
        try:
            code = _play(console, options, prefix)
        finally:
            if not options.keep:
                console.print("Stopping everything.")
                stop_stack(options.data_dir, Report())
    console.print(f"The demo took {time.monotonic() - began:.0f} seconds.")
    if options.keep:
        console.print(f"Everything still runs: `dunning down --data-dir {options.data_dir}` stops it.", soft_wrap=True)
    return code


def end_well_when_asked() -> None:
    """`kill` and a closed terminal end the demo as Ctrl-C does: everything that it started is stopped."""

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, interrupt)


def _play(console: Console, options: DemoOptions, prefix: str) -> int:
    up_in_background(UpOptions(options.data_dir, options.policy_dir, ALL_SCOPES), Report())
    settings = read_env_file(Layout.at(options.data_dir).env_file)
    casting = _casting(options, settings, _policy_in(options.policy_dir), prefix)
    _say_where(console, settings, running=True)
    with screen_for(console, [rung.name for rung in casting.policy.ladder]) as screen:
        outcome = asyncio.run(_performed(casting, screen))
    _tell(console, casting, outcome)
    judgement = judge(_evidence(casting, options.policy_dir, outcome))
    _tell_judgement(console, judgement, outcome)
    _say_where(console, settings, running=options.keep)
    return _exit_code(judgement, outcome)


async def _performed(casting: Casting, screen: Screen) -> Outcome:
    """The show. One line instead of a traceback where Kafka went away in the middle of it."""
    await stamp_on_arrival(casting.settings[KAFKA], casting.prefix)
    try:
        return await perform(casting, screen)
    except ExceptionGroup as group:
        if group.split(KafkaError)[1] is None:
            raise StackError(KAFKA_UNREACHABLE, f"Kafka stopped answering: {group.exceptions[0]}") from group
        raise


def _fresh_data(data_dir: Path) -> None:
    """Stop and remove what an earlier demo left; anything else in the way stays untouched."""
    if data_dir.exists() and any(data_dir.iterdir()):
        if not (data_dir / _MARK).exists():
            message = f"{data_dir} was not made by `dunning demo`: name another --data-dir, or remove it yourself"
            raise CommandError(NOT_A_DEMO, message)
        stop_stack(data_dir, Report())
        shutil.rmtree(data_dir)
    data_dir.mkdir(parents=True, exist_ok=True)
    (data_dir / _MARK).touch()


def _policy_in(policy_dir: Path) -> Policy:
    loaded = load_policies(read_policy_files([policy_dir]))
    return next(iter(loaded.policies))


def _casting(options: DemoOptions, settings: Mapping[str, str], policy: Policy, prefix: str) -> Casting:
    return Casting(
        settings=settings,
        prefix=prefix,
        ledger=options.data_dir / "charges.ndjson",
        poison=options.data_dir / "poison.ndjson",
        policy=policy,
        invoices=options.invoices,
        seconds=options.seconds,
        seed=options.seed,
        day_seconds=options.day_seconds,
    )


def _tell(console: Console, casting: Casting, outcome: Outcome) -> None:
    """The figures once more where no live table was, then two stories."""
    reader = outcome.reader
    if not console.is_terminal:
        console.print(figures(reader.tally.snapshot(), [rung.name for rung in casting.policy.ladder]))
    choices = choose(reader.accounts, reader.story_of)
    _tell_story(console, "A suspended account", choices.suspended)
    _tell_story(console, "A recovered account", choices.recovered)


def _tell_story(console: Console, title: str, choice: Choice | None) -> None:
    console.print(Rule(f"{title}: {choice.account_id if choice else 'none'}", align="left"))
    if choice is None:
        return
    for line in render(timeline(choice.events)):
        console.print(line, markup=False, soft_wrap=True)
    upcoming = next_steps(choice.events)
    console.print(f"What comes next: {'; '.join(upcoming) or 'nothing, all is over'}.", markup=False, soft_wrap=True)


def _evidence(casting: Casting, policy_dir: Path, outcome: Outcome) -> Evidence:
    return Evidence(
        bootstrap_servers=casting.settings[KAFKA],
        database_url=casting.settings[DATABASE],
        policy_dir=policy_dir,
        mail_dir=casting.settings.get(MAIL_DIR),
        ledger=casting.ledger,
        poison=casting.poison,
        prefix=casting.prefix,
        settled=outcome.settled,
    )


def _tell_judgement(console: Console, judgement: Judgement, outcome: Outcome) -> None:
    console.print(Rule("What the verifier found", align="left"))
    if not outcome.settled:
        console.print("It had not become quiet in time, so what should have happened by the end is not checked.")
    console.print(judgement.words, markup=False, highlight=False)


def _say_where(console: Console, settings: Mapping[str, str], *, running: bool) -> None:
    mail_dir = settings.get(MAIL_DIR)
    if mail_dir:
        count = sum(1 for _ in Path(mail_dir).glob("*.eml")) if Path(mail_dir).exists() else 0
        console.print(f"Mails: {mail_dir} ({count:,} files)", soft_wrap=True)
    if running:
        for name, value in sorted(settings.items()):
            if name.startswith("DUNNING_METRICS_"):
                service = name.removeprefix("DUNNING_METRICS_").removesuffix("_URL").lower()
                console.print(f"Metrics of {service}: {value}", soft_wrap=True)


def _exit_code(judgement: Judgement, outcome: Outcome) -> int:
    snapshot = outcome.reader.tally.snapshot()
    happened = bool(snapshot.ever.get("suspended")) and bool(snapshot.stages["account"].get("active"))
    return 0 if judgement.is_clean and happened else 1
