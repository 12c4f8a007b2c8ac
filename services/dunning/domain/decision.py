"""What a service answers to one input: events to publish, errands to run, or a rejection."""

from datetime import datetime
from typing import Any

from msgspec import Struct, field

from dunning.domain.events import Output


class Errand(Struct, frozen=True):
    """Work on the outside world, owed once: the kernel leases it to a worker and reports back what became of it.

    `payload` is JSON-ready and complete, so that a worker needs no state but this. `errand_id` is stable: giving the
    same errand twice is one errand.
    """

    errand_id: str
    account_id: str
    invoice_id: str
    kind: str
    not_before: datetime
    payload: dict[str, Any]


class Postpone(Struct, frozen=True):
    """A worker's answer in place of a report: surely nothing reached anybody, so the errand may be tried again later.

    It is allowed even after the errand was begun, because the other side said so itself (such as a 4xx answer) or could
    not have acted yet (such as a connection lost before the mail was complete).
    """

    reason: str
    seconds_min: float  # how long to wait at least; the kernel may let it grow with every try
    refused: bool = True  # by the other side, which so often is a failure; False: nobody could be asked (promise 10)


class CannotDecideYet(Exception):
    """Something that every instance will have is missing here, such as a policy version that another one just put on
    file. Nothing may be decided, nothing is wrong with the input: the turn is taken again later."""


class MoneyMoved(Struct, frozen=True):
    """Money of a case that was recovered (`kind` is `recovered`) or given up (`lost`), for metrics.

    `seconds_open` is how long the case was open by then; None for a part of the money, after which it goes on.
    """

    kind: str
    currency: str
    amount_minor: int
    seconds_open: float | None


class Decision(Struct):
    """The consequences of one input for one account, in order. The account's new state is the account itself."""

    events: list[Output] = field(default_factory=list)
    errands: list[Errand] = field(default_factory=list)
    withdrawn: list[str] = field(default_factory=list)  # errand ids that should not be begun any more
    rejected: str | None = None  # a reason: the input is a dead letter and changed nothing
    money: list[MoneyMoved] = field(default_factory=list)
    counted: list[str] = field(default_factory=list)  # words for the `dunning_noted_total` metric, e.g. "late_failure"
