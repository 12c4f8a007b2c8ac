"""Random histories: policies, what one account's platform sends, and who answers charges. Seeded: same seed, same.

Times are drawn from a coarse grid around the dates that the policy gives, so that things meet at one instant often.
"""

import random
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from tests.model.happenings import something
from tests.model.history import Data
from tests.model.random_account import CODES, PROCESSORS, Account
from tests.model.random_policies import policies
from tests.model.run import Charges


@dataclass(frozen=True)
class Scenario:
    """What both the model and the simulator are given."""

    policies: list[Data]
    lines: list[Data]
    until: datetime
    charges: Charges
    account: str = "acc_1"


def scenario(seed: int, given: list[Data] | None = None, times: int = 1) -> Scenario:
    """One account's history under `given` policies, or ones of its own. `times` as much as usual happens in it."""
    rng = random.Random(seed)
    chosen = given or policies(rng)
    day = datetime(2026, rng.choice([1, 3, 3, 5, 9, 10, 10, 11]), rng.randint(1, 28), rng.randint(0, 23), tzinfo=UTC)
    invoices = [f"in_{number}" for number in range(1, rng.choice([1, 1, 2, 3]) + 1)]
    account = Account(rng, chosen[0], day, answers(rng, invoices))
    account.overdue = rng.random() < 0.1
    account.processor = rng.choice(PROCESSORS) if rng.random() < 0.25 else None
    for invoice in invoices:
        for _ in range(rng.choice([1, 1, 2, 3]) + times - 1):
            account.failure(invoice, day if rng.random() < 0.5 else account.moment())
    for _ in range(rng.choice([0, 1, 2, 3, 4, 6, 8]) * times):
        something(account, rng.choice(invoices))
    rng.shuffle(account.lines)
    until = day + timedelta(days=rng.choice([30, 60, 100]))
    return Scenario(chosen, account.lines, until, account.charges)


def answers(rng: random.Random, invoices: list[str]) -> Charges:
    kind = rng.random()
    if kind < 0.35:
        return "fail"
    if kind < 0.45:
        return "succeed"
    if kind < 0.7:
        return None
    told = []
    for invoice in invoices:
        for number in range(2, 7):
            if rng.random() < 0.6:
                line: Data = {
                    "invoice_id": invoice,
                    "attempt_number": number,
                    "answer": "fail",
                    "failure": rng.choice(CODES),
                }
                told.append(line)
            elif rng.random() < 0.2:
                told.append({"invoice_id": invoice, "attempt_number": number, "answer": "succeed"})
    return told
