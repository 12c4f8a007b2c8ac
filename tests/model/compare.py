"""What the simulator and the model say of the same history, and where they differ."""

import json
import tempfile
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

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


def policy_text(policy: Data) -> str:
    return yaml.safe_dump(policy, sort_keys=False)


def event_text(lines: list[Data]) -> str:
    return "".join(json.dumps(line) + "\n" for line in lines)


def policies_of(policies: list[Data]) -> Any:
    """The simulator's own reading of the files."""
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / f"{number}.yaml" for number in range(len(policies))]
        for path, policy in zip(paths, policies, strict=True):
            path.write_text(policy_text(policy))
        loaded = load_policies(read_policy_files(paths))
    if loaded.errors:
        raise Unusable("\n".join(str(problem) for problem in loaded.problems))
    return loaded.policies


def simulated(given: Scenario, policies: Any = None) -> tuple[list[Data], list[str]]:
    """The output of `dunning simulate` and what it says on standard error."""
    loaded = policies if policies is not None else policies_of(given.policies)
    simulation = Simulation(loaded, processor(given.charges))
    told = simulation.run(read_inputs("events", event_text(given.lines).encode()), given.until)
    return [json.loads(line.text) for line in told.lines], [f"{each.number}: {each.what}" for each in told.remarks]


def processor(charges: Charges) -> Processor:
    if charges is None:
        return Silent()
    if isinstance(charges, str):
        return Scripted(succeeds=charges == "succeed")
    return Scripted(succeeds=False, told=read_charges("charges", event_text(charges).encode()))


def modelled(given: Scenario) -> list[Data]:
    policies = [read_once(json.dumps(one)) for one in given.policies]
    return tell(policies, given.account, given.lines, given.until, given.charges).published


@lru_cache(maxsize=100)
def read_once(policy: str) -> Policy:
    """The model's own reading of the file."""
    return read_policy(policy_text(json.loads(policy)))


def essence(line: Data) -> str:
    """What is compared of a line, as text that a person can read."""
    data = line["data"]
    told = {name: plain(data.get(name)) for name in COMPARED[line["topic"]]}
    reason = data.get("reason")
    if reason in NAMED_REASONS and data.get("track") != "notice" and line["topic"] != "dunning.account.status":
        told["reason"] = reason
    shown_sequence = "" if line["topic"] == "dunning.notice.result" else f"#{line['sequence']} "
    parts = " ".join(f"{name}={value}" for name, value in told.items())
    return f"{plain(line['at'])} {line['topic'].removeprefix('dunning.')} {line['key']} {shown_sequence}{parts}"


def essences(lines: list[Data]) -> list[str]:
    """The order of one case's results at one instant is free between notices and channels, not within one."""
    found = [essence(line) for line in lines]
    for (at, case), group in grouped(lines).items():
        del at, case
        for place, number in zip(group, sorted(group, key=lambda one: sending_of(lines[one])), strict=True):
            found[place] = essence(lines[number])
    return found


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


def both(given: Scenario, policies: Any = None) -> tuple[list[str], list[str]]:
    """The simulator's words and the model's; an exception is one of its words."""
    try:
        real = essences(simulated(given, policies)[0])
    except Unusable:
        raise
    except Exception as error:  # noqa: BLE001 a crash is a difference
        real = [f"simulator: {error!r}"]
    try:
        model = essences(modelled(given))
    except Exception as error:  # noqa: BLE001 a crash is a difference
        model = [f"model: {error!r}"]
    return real, model


def differs(given: Scenario, policies: Any = None) -> bool:
    real, model = both(given, policies)
    return real != model
