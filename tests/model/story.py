"""One account's story: its history, its cases, and what was published for them (contracts: output of `simulate`)."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from functools import wraps
from typing import Concatenate

from tests.model.case import Case
from tests.model.dates import written
from tests.model.history import Data, Fact, History, P, R
from tests.model.policies import Policy

STAGE, REQUEST, RESULT, STATUS = (
    "dunning.stage.changed",
    "dunning.retry.requested",
    "dunning.notice.result",
    "dunning.account.status",
)


@dataclass
class Story:
    account: str
    policies: list[Policy]
    history: History = field(default_factory=History)
    cases: list[Case] = field(default_factory=list)
    published: list[Data] = field(default_factory=list)
    terminated: Case | None = None
    went_out: list[tuple[datetime, str]] = field(default_factory=list)  # when, by which channel
    consent: dict[str, bool] = field(default_factory=dict)
    marks: dict[str, str] = field(default_factory=dict)  # channel to the address that bounced for good
    status: str = "active"
    status_since: datetime | None = None
    status_shown: Data | None = None
    statuses: int = 0
    reinstated: dict[str, list[datetime]] = field(default_factory=dict)  # of invoices that had been terminated
    lifted: dict[str, tuple[Case, datetime]] = field(default_factory=dict)  # the latest of them

    def open_cases(self) -> list[Case]:
        return [case for case in self.cases if case.closed is None]

    def open_case(self, invoice: str) -> Case | None:
        return next((case for case in self.open_cases() if case.invoice == invoice), None)

    def amount(self, case: Case) -> int:
        return self.history.amount(case.invoice, case.failures) if case.owed is None else case.owed

    def reinstatements(self) -> list[Fact]:
        return self.history.of_kind("account.reinstated")

    def publish(self, now: datetime, topic: str, data: Data, sequence: int) -> None:
        """A line of the output; rule 46: its `at` is that of the line or timer that caused it."""
        line = {"at": written(now), "topic": topic, "key": self.account, "type": f"{topic}.v1", "sequence": sequence}
        self.published.append({**line, "data": data})

    def number(self, case: Case, name: str) -> int:
        """Rule 2: counted per case and type, of stages also per track."""
        case.sequences[name] = case.sequences.get(name, 0) + 1
        return case.sequences[name]

    def transition(
        self, now: datetime, case: Case, track: str, to_stage: str, reason: str | None = None, again: bool = False
    ) -> None:
        """`again`: also where the stage stays the same."""
        attribute = f"{track}_stage"
        from_stage = getattr(case, attribute)
        if from_stage == to_stage and not again:
            return
        setattr(case, attribute, to_stage)
        data = {
            "case_id": case.id,
            "account_id": case.account,
            "invoice_id": case.invoice,
            "track": track,
            "from_stage": from_stage,
            "to_stage": to_stage,
            "reason": reason,
            "effective_at": written(now),
            "policy": {"id": case.policy.id, "version": case.policy.version},
            "amount_minor": self.amount(case),
            "currency": case.currency,
        }
        self.publish(now, STAGE, data, self.number(case, track))

    def result(
        self,
        now: datetime,
        case: Case,
        rung: str,
        channel: str,
        outcome: str,
        reason: str | None = None,
        own_at: datetime | None = None,
    ) -> None:
        """0003: a bounce's own time is `at` in its data."""
        data = {
            "case_ids": [case.id],
            "account_id": case.account,
            "rung": rung,
            "channel": channel,
            "template": case.policy.named(rung).template,
            "outcome": outcome,
            "reason": reason,
            "at": written(own_at or now),
        }
        self.publish(now, RESULT, data, self.number(case, RESULT))


def remembered(work: Callable[Concatenate[Story, P], R]) -> Callable[Concatenate[Story, P], R]:
    """Worked out once for a history: nothing else of the story may count."""

    @wraps(work)
    def found(story: Story, /, *args: P.args, **named: P.kwargs) -> R:
        known, key = story.history.known, (work.__name__, *args, *named.items())
        if key not in known:
            known[key] = work(story, *args, **named)
        return known[key]  # type: ignore[no-any-return]

    return found
