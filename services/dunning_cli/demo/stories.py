"""Which two accounts' stories are worth telling, out of thousands."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from dunning.contracts.topics import ACCOUNT_STATUS, NOTICE_RESULT, RETRY_REQUESTED, STAGE_CHANGED
from dunning_cli.story import Told

LINES_MAX = 60


@dataclass(frozen=True, slots=True)
class Choice:
    """An account and its story."""

    account_id: str
    events: Sequence[Told]


@dataclass(frozen=True, slots=True)
class Choices:
    """One account that ended suspended or terminated, and one that recovered, where there is one."""

    suspended: Choice | None
    recovered: Choice | None


def choose(accounts: Iterable[str], story_of: Callable[[str], Sequence[Told]]) -> Choices:
    """The richest stories of a readable length."""
    best: dict[str, tuple[int, Choice]] = {}
    for account_id in accounts:
        events = story_of(account_id)
        ending = _ending(events)
        if not ending or len(events) > LINES_MAX:
            continue
        interest = _interest(events)
        if ending not in best or interest > best[ending][0]:
            best[ending] = (interest, Choice(account_id, events))
    found = {ending: choice for ending, (_, choice) in best.items()}
    return Choices(found.get("suspended"), found.get("recovered"))


def _ending(events: Sequence[Told]) -> str:
    statuses = [told.data["status"] for told in events if told.topic == ACCOUNT_STATUS]
    if not statuses:
        return ""
    if statuses[-1] in ("suspended", "terminated") and "suspended" in statuses:
        return "suspended"
    paid = any(told.topic == STAGE_CHANGED and told.data["to_stage"] == "recovered" for told in events)
    return "recovered" if statuses[-1] == "active" and paid else ""


def _interest(events: Sequence[Told]) -> int:
    """How much there is to see: stages, mails, charges. What concerns several invoices is harder to follow."""
    stages = {(told.data["track"], told.data["to_stage"]) for told in events if told.topic == STAGE_CHANGED}
    delivered = sum(1 for told in events if told.topic == NOTICE_RESULT and told.data["outcome"] == "delivered")
    charges = sum(1 for told in events if told.topic == RETRY_REQUESTED)
    invoices = {told.data["invoice"]["id"] for told in events if "invoice" in told.data}
    return 3 * len(stages) + 2 * delivered + min(charges, 5) - 6 * (len(invoices) - 1)
