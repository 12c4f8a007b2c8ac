"""One module per promise (docs/verifier.md), each a pass over the history that yields violations."""

from collections.abc import Callable, Iterator

from dunning_verifier.checks import (
    asked,
    budget,
    capped,
    charged_once,
    conditioned,
    consented,
    dated,
    dead_letters,
    exactly_once,
    final_state,
    nothing_lost,
    notified_once,
    order,
    owed,
    paid,
    quiet,
    rests,
    spoken,
    stages,
    statuses,
    together,
    warned,
    witness,
)
from dunning_verifier.history import History
from dunning_verifier.values import Violation

CHECKS: tuple[Callable[[History], Iterator[Violation]], ...] = (
    exactly_once.check,
    together.check,
    stages.check,
    statuses.check,
    order.check,
    paid.check,
    rests.check,
    charged_once.check,
    asked.check,
    budget.check,
    notified_once.check,
    spoken.check,
    warned.check,
    conditioned.check,
    dated.check,
    quiet.check,
    capped.check,
    consented.check,
    dead_letters.check,
    nothing_lost.check,
    owed.check,
    final_state.check,
    witness.check,
)


def verify(history: History) -> list[Violation]:
    """Every violation that the history shows, by promise."""
    return [violation for check in CHECKS for violation in check(history)]
