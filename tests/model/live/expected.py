"""What `dunning simulate` says of a member of the crowd, and what its processor answered to each request."""

import json
from dataclasses import dataclass, field
from typing import Any

from dunning.domain.events import PaymentFailed, PaymentMethod, RetryRequested
from dunning_cli.simulation.lines import read_inputs
from dunning_cli.simulation.processor import Answer, Processor
from dunning_cli.simulation.simulate import Simulation
from tests.model.compare import event_text, processor
from tests.model.generate import Scenario
from tests.model.history import Data
from tests.model.story import REQUEST, STAGE


@dataclass
class Expected:
    """The simulator's output for one account."""

    lines: list[Data]
    answers: dict[str, Answer]  # by retry id


@dataclass
class Recording:
    """A processor whose answers are kept, so that the live one gives the same to the same request."""

    inner: Processor
    answers: dict[str, Answer] = field(default_factory=dict)

    def answer(self, request: RetryRequested, last: PaymentFailed, method: PaymentMethod | None) -> Answer | None:
        given = self.inner.answer(request, last, method)
        if given is not None:
            self.answers[request.retry_id] = given
        return given


def expected(given: Scenario, policies: Any) -> Expected:
    recording = Recording(processor(given.charges))
    told = Simulation(policies, recording).run(read_inputs("events", event_text(given.lines).encode()), given.until)
    return Expected([json.loads(line.text) for line in told.lines], recording.answers)


def entangled(lines: list[Data]) -> bool:
    """Whether charges of two invoices meet at one instant. The simulator asks for one, hears its answer and then asks
    for the other or not (rule 46); live both are asked for before anybody answers."""
    charging: dict[str, set[str]] = {}
    asked_at = {line["at"] for line in lines if line["topic"] == REQUEST}
    for line in lines:
        data = line["data"]
        if line["topic"] == STAGE and data["track"] == "retry" and line["at"] in asked_at:
            charging.setdefault(line["at"], set()).add(data["invoice_id"])
    return any(len(invoices) > 1 for invoices in charging.values())
