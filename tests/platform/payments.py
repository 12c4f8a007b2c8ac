"""How the payment platform answers a charge: the same in the world of a run and in its reference."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tests.platform.scenario import FAILED, SUCCEEDED, Data, Scenario, card_of, failure, success


@dataclass(frozen=True, slots=True)
class Answer:
    """An event of the payment platform, and what it would call it."""

    topic: str
    outcome: str  # succeeded or failed
    body: Data


def answer(scenario: Scenario, request: Data, now: datetime) -> Answer | None:
    """As the scenario says, and not after its time (rule 14). `request` is the data of a request's event."""
    said = scenario.answers.get((request["invoice_id"], request["attempt_number"]))
    if said is None or now >= datetime.fromisoformat(request["not_after"]):
        return None
    more = {"retry_id": request["retry_id"], "payment_method": _card(request)}
    account, invoice, attempt = request["account_id"], request["invoice_id"], request["attempt_number"]
    amount = request["amount_minor"]
    charged = {"payment_id": request["payment_id"], "amount_minor": amount}
    if said == "paid":
        body = success(account, invoice, now, 0, attempt_number=attempt, **more)
        return Answer(SUCCEEDED, "succeeded", body | charged)
    body = failure(account, invoice, attempt, now, said, **more)
    body["invoice"]["amount_due_minor"] = amount
    return Answer(FAILED, "failed", body | charged)


def _card(request: Data) -> dict[str, Any]:
    """What was asked to be charged."""
    account, _, which = (request["payment_method_id"] or "").partition("/")
    return card_of(account or request["account_id"], which or "first")
