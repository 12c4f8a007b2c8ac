"""`python -m dunning_verifier`: judges a run, real or simulated.

Exit codes: 0 every promise was kept, 1 one was not, 2 something could not be read, 3 there was nothing to verify.
"""

import argparse
import asyncio
import json
import sys
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

from dunning_verifier import evidence, reader
from dunning_verifier.checks import verify
from dunning_verifier.clock import Span, instant
from dunning_verifier.counts import counts
from dunning_verifier.history import History
from dunning_verifier.policy_file import BadPolicy, Policies
from dunning_verifier.simulation import BadLines, read_simulation
from dunning_verifier.values import Tolerance, Violation

_SHOWN_MAX = 200
_EXAMPLES = """examples:
  python -m dunning_verifier --bootstrap 127.0.0.1:9092 --policy-dir deploy/policies --mail-dir .dunning/mail --settled
  python -m dunning_verifier --ndjson events.ndjson published.ndjson --policy-dir policy.yaml
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Read, check, report."""
    options = _options(arguments)
    try:
        history = _history(options)
    except (evidence.CannotRead, BadPolicy, BadLines) as error:
        sys.stderr.write(f"{error}\n")
        return 2
    violations = verify(history)
    if options.format == "json":
        _report_json(history, violations)
    else:
        _report_text(history, violations)
    if violations:
        return 1
    return 3 if history.is_empty() else 0


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="dunning_verifier",
        description="Checks the platform's promises by its topics, mails and the processor's ledger.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--bootstrap", metavar="HOST:PORT", help="Kafka to read the topics from")
    source.add_argument(
        "--ndjson", nargs=2, type=Path, metavar=("INPUTS", "OUTPUTS"), help="files of `dunning simulate`"
    )
    parser.add_argument("--policy-dir", type=Path, action="append", required=True, help="folder or file; repeatable")
    parser.add_argument("--topic-prefix", default="")
    parser.add_argument("--mail-dir", type=Path, help="folder of .eml files; without it no mail is checked")
    parser.add_argument("--database", metavar="URL", help="the services' tables as a second witness, read only")
    parser.add_argument("--ledger", type=Path, help="the processor's charges as NDJSON; without it none is checked")
    parser.add_argument("--poison", type=Path, help="NDJSON of the records that were made unreadable on purpose")
    parser.add_argument("--replays", type=Path, help="NDJSON of the dead letters that were replayed, with their bodies")
    parser.add_argument("--settled", action="store_true", help="nothing is due or under way: check the end as well")
    parser.add_argument("--start", type=instant, metavar="TIME", help="failures dated before it open no case")
    parser.add_argument("--statuses-compacted", action="store_true", help="older account statuses may be gone")
    parser.add_argument("--skew", type=_duration, default=Tolerance().skew, help="between clocks (default 1s)")
    parser.add_argument(
        "--lag", type=_duration, default=Tolerance().lag, help="of reading behind the log (default 60s)"
    )
    parser.add_argument("--format", choices=("text", "json"), default="text")
    return parser.parse_args(arguments)


def _duration(text: str) -> timedelta:
    span = Span.parse(text)
    return timedelta(days=span.days, seconds=span.seconds)


def _history(options: argparse.Namespace) -> History:
    policies = Policies.read(*options.policy_dir)
    if not policies.by_ref:
        raise BadPolicy(f"no policy in {', '.join(map(str, options.policy_dir))}")
    if options.ndjson:
        inputs, outputs = options.ndjson
        return read_simulation(inputs, outputs, policies)
    poison = evidence.read_poison(options.poison, options.topic_prefix) if options.poison else {}
    run = asyncio.run(reader.read_all(options.bootstrap, options.topic_prefix, options.mail_dir, options.database))
    told = evidence.read_replays(options.replays, options.topic_prefix) if options.replays else []
    named = {replay.letter for replay in told}
    on_file = [replay for replay in (run.tables.replays if run.tables else []) if replay.letter not in named]
    return History.of(
        run.log.records,
        log_ends=run.log.ends,
        mails=run.mails,
        tables=run.tables,
        charges=evidence.read_charges(options.ledger) if options.ledger else None,
        policies=policies,
        poison=poison,
        replays=told + on_file,
        tolerance=Tolerance(options.skew, options.lag),
        settled=options.settled,
        starts_at=options.start or (run.tables.starts_at if run.tables else None),
        statuses_compacted=options.statuses_compacted,
    )


def _report_text(history: History, violations: list[Violation]) -> None:
    looked_at = ", ".join(f"{number} {name}" for name, number in counts(history).items())
    lines = [f"looked at: {looked_at}", *map(str, violations[:_SHOWN_MAX])]
    if len(violations) > _SHOWN_MAX:
        lines.append(f"… and {len(violations) - _SHOWN_MAX} more")
    if violations:
        lines.append(f"{len(violations)} violations")
    elif history.is_empty():
        lines.append("nothing to verify")
    else:
        lines.append("every promise was kept")
    sys.stdout.write("\n".join(lines) + "\n")


def _report_json(history: History, violations: list[Violation]) -> None:
    told = [
        {
            "promise": one.promise,
            "what": one.what,
            "where": str(one.where) if one.where else None,
            "account_id": one.account_id,
            "case_id": one.case_id,
        }
        for one in violations
    ]
    json.dump({"looked_at": counts(history), "violations": told}, sys.stdout, indent=2)
    sys.stdout.write("\n")


if __name__ == "__main__":
    sys.exit(main())
