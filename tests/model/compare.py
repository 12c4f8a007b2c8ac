"""What the simulator and the model say of the same history, and where they differ."""

import json
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson
import yaml

from dunning.domain.policy_file import load_policies
from dunning.runtime.policy_directory import read_policy_files
from dunning_cli.simulation.lines import read_charges, read_inputs
from dunning_cli.simulation.processor import Processor, Scripted, Silent
from dunning_cli.simulation.simulate import Simulation
from tests.model.generate import Scenario
from tests.model.history import Data
from tests.model.policies import Policy, read_policy
from tests.model.run import Charges, tell

NAMED_REASONS = {
    "retries_exhausted",
    "budget_exhausted",
    "paid",
    "paid_elsewhere",
    "payment_failed",
    "grace_period_expired",
    "customer_unreachable",
    "voided",
    "reinstated",
    "superseded",
    "no_address",
    "no_consent",
    "channel_shut",
    "address_bounced",
    "address_tried",
    "erased",
    "paused",
    "disputed",
}
COMPARED = {
    "dunning.stage.changed": (
        "case_id",
        "invoice_id",
        "track",
        "from_stage",
        "to_stage",
        "effective_at",
        "policy",
        "amount_minor",
        "currency",
    ),
    "dunning.retry.requested": (
        "retry_id",
        "case_id",
        "invoice_id",
        "payment_id",
        "amount_minor",
        "currency",
        "payment_method_id",
        "attempt_number",
        "not_before",
        "not_after",
        "decline_class",
    ),
    "dunning.account.status": ("status", "previous_status", "since", "open_cases", "to_reinstate"),
    "dunning.notice.result": ("case_ids", "rung", "channel", "template", "outcome", "at"),
}


class Unusable(Exception):
    """The simulator does not take the policy."""


@dataclass(frozen=True)
class Readings:
    """Policy files as the simulator and as the model read them: once for all accounts that share them."""

    simulator: Any
    model: list[Policy]


def policy_text(policy: Data) -> str:
    return yaml.dump(policy, Dumper=yaml.CSafeDumper, sort_keys=False)


def event_text(lines: list[Data]) -> str:
    return "".join(json.dumps(line) + "\n" for line in lines)


def readings_of(policies: list[Data]) -> Readings:
    """Both readings of the same text."""
    texts = [policy_text(one) for one in policies]
    return Readings(_policies_in(texts), [read_policy(text) for text in texts])


def policies_of(policies: list[Data]) -> Any:
    """The simulator's own reading of the files."""
    return _policies_in([policy_text(one) for one in policies])


def _policies_in(texts: list[str]) -> Any:
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / f"{number}.yaml" for number in range(len(texts))]
        for path, text in zip(paths, texts, strict=True):
            path.write_text(text)
        loaded = load_policies(read_policy_files(paths))
    if loaded.errors:
        raise Unusable("\n".join(str(problem) for problem in loaded.problems))
    return loaded.policies


def simulated(given: Scenario, policies: Any = None) -> tuple[list[Data], list[str]]:
    """The output of `dunning simulate` and what it says on standard error."""
    loaded = policies if policies is not None else policies_of(given.policies)
    simulation = Simulation(loaded, processor(given.charges))
    told = simulation.run(read_inputs("events", event_bytes(given.lines)), given.until)
    return [orjson.loads(line.text) for line in told.lines], [f"{each.number}: {each.what}" for each in told.remarks]


def processor(charges: Charges) -> Processor:
    if charges is None:
        return Silent()
    if isinstance(charges, str):
        return Scripted(succeeds=charges == "succeed")
    return Scripted(succeeds=False, told=read_charges("charges", event_bytes(charges)))


def event_bytes(lines: list[Data]) -> bytes:
    """As `event_text`, for a reader in a hurry."""
    return b"\n".join(map(orjson.dumps, lines))


def modelled(given: Scenario, policies: list[Policy] | None = None) -> list[Data]:
    known = policies if policies is not None else [read_policy(policy_text(one)) for one in given.policies]
    return tell(known, given.account, given.lines, given.until, given.charges).published


def essence(line: Data) -> str:
    """What is compared of a line, as text that a person can read."""
    data = line["data"]
    told = {name: plain(data.get(name)) for name in COMPARED[line["topic"]]}
    reason = named_reason(line)
    if reason is not None:
        told["reason"] = reason
    shown_sequence = "" if line["topic"] == "dunning.notice.result" else f"#{line['sequence']} "
    parts = " ".join(f"{name}={value}" for name, value in told.items())
    return f"{plain(line['at'])} {line['topic'].removeprefix('dunning.')} {line['key']} {shown_sequence}{parts}"


def named_reason(line: Data) -> str | None:
    data = line["data"]
    if line["topic"] == "dunning.account.status" or data.get("track") == "notice":
        return None
    return data["reason"] if data.get("reason") in NAMED_REASONS else None


def essences(lines: list[Data]) -> list[str]:
    """The order of one case's results at one instant is free between notices and channels, not within one."""
    return [essence(line) for line in arranged(lines)]


def arranged(lines: list[Data]) -> list[Data]:
    """Results of one case and instant by rung and channel."""
    found = list(lines)
    for group in grouped(lines).values():
        for place, number in zip(group, sorted(group, key=lambda one: sending_of(lines[one])), strict=True):
            found[place] = lines[number]
    return found


def say_the_same(one: list[Data], other: list[Data]) -> bool:
    """Whether what is compared is the very same, down to the form of each instant; then its text is too."""
    return len(one) == len(other) and all(map(is_alike, arranged(one), arranged(other)))


def is_alike(one: Data, other: Data) -> bool:
    """Of two lines."""
    mine, others = one["data"], other["data"]
    return (
        one["topic"] == other["topic"]
        and one["at"] == other["at"]
        and one["key"] == other["key"]
        and (one["sequence"] == other["sequence"] or one["topic"] == "dunning.notice.result")
        and named_reason(one) == named_reason(other)
        and all(mine.get(name) == others.get(name) for name in COMPARED[one["topic"]])
    )


def grouped(lines: list[Data]) -> dict[tuple[str, str], list[int]]:
    groups: dict[tuple[str, str], list[int]] = {}
    for number, line in enumerate(lines):
        if line["topic"] == "dunning.notice.result":
            groups.setdefault((line["at"], line["data"]["case_ids"][0]), []).append(number)
    return groups


def sending_of(line: Data) -> tuple[str, str]:
    return line["data"]["rung"], line["data"]["channel"]


def plain(value: Any) -> Any:
    """Instants in one form, lists in one order."""
    if isinstance(value, str) and len(value) >= 20 and value[10] == "T":
        return datetime.fromisoformat(value).isoformat().replace("+00:00", "Z")
    if isinstance(value, list):
        return sorted((plain(one) for one in value), key=str)
    if isinstance(value, dict):
        return {name: plain(value[name]) for name in sorted(value)}
    return value


def both(given: Scenario, readings: Readings | None = None) -> tuple[list[str], list[str]]:
    """The simulator's words and the model's; an exception is one of its words."""
    real, model = both_tell(given, readings or readings_of(given.policies))
    return words(real), words(model)


def words(told: list[Data] | str) -> list[str]:
    return [told] if isinstance(told, str) else essences(told)


def both_tell(given: Scenario, readings: Readings) -> Iterator[list[Data] | str]:
    """What the simulator publishes, then what the model does; or what broke."""
    try:
        yield simulated(given, readings.simulator)[0]
    except Exception as error:  # noqa: BLE001 a crash is a difference
        yield f"simulator: {error!r}"
    try:
        yield modelled(given, readings.model)
    except Exception as error:  # noqa: BLE001 a crash is a difference
        yield f"model: {error!r}"


def differs(given: Scenario, readings: Readings | None = None) -> bool:
    """Their words are made only where what is told is not the very same at once."""
    real, model = both_tell(given, readings or readings_of(given.policies))
    if isinstance(real, list) and isinstance(model, list) and say_the_same(real, model):
        return False
    return words(real) != words(model)
