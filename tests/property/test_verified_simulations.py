"""Whatever happens in a simulation, the verifier, which shares no code with it, finds every promise kept."""

import json
from datetime import timedelta
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dunning_cli.simulation.processor import Processor
from dunning_cli.simulation.simulate import Simulation
from dunning_verifier import verify
from dunning_verifier.policy_file import Policies
from dunning_verifier.simulation import simulated
from tests.builders import a_policy, policies
from tests.property.test_decisions import LADDER, RETRIES, Heard, histories, line_of, processors

UNREACHABLE: list[dict[str, Any]] = [{**rung, "unreachable": "2d"} if "warned_by" in rung else rung for rung in LADDER]
CONDITIONS = {"reminder": {"tags_none": ["vip"]}, "suspended": {"unpaid_invoices_at_least": 2}}
DOCUMENTS = [
    a_policy(timezone="account", ladder=LADDER, retries=RETRIES),
    a_policy(timezone="account", ladder=UNREACHABLE, retries=RETRIES),
    a_policy(ladder=UNREACHABLE, retries=RETRIES, conditions=CONDITIONS),
]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(histories(), st.sampled_from(DOCUMENTS), processors)
def test_the_verifier_finds_nothing(history: list[Heard], document: dict[str, Any], processor: Processor) -> None:
    lines = [line_of(number, heard) for number, heard in enumerate(history)]
    told = Simulation(policies(document), processor).run(lines, lines[-1].at + timedelta(days=90))
    made = [json.loads(line.text) for line in told.lines]
    given_lines = [{"at": line.at.isoformat(), "topic": line.topic, "data": json.loads(line.value)} for line in lines]

    assert [str(each) for each in verify(simulated(given_lines, made, Policies.of([document])))] == []
