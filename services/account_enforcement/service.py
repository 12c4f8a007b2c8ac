"""Account enforcement as the kernel runs it."""

from typing import Any

from account_enforcement.brake import Brake, OpenBrake
from account_enforcement.case import HEARD, AccountCase, EnforcedAccount
from account_enforcement.decide import AccountTrack, everybody
from dunning.contracts.topics import ACCOUNT_ENFORCEMENT, NOTICE_RESULT, PAYMENT_FAILED, PAYMENT_SUCCEEDED, SIGNALS
from dunning.domain.events import Input, NoticeResult
from dunning.runtime.policies import PolicyShelf
from dunning.runtime.repository import StateRepository
from dunning.runtime.service import Column, Keeper, Service
from dunning.runtime.start import FixedStart

TOPICS = (PAYMENT_FAILED, PAYMENT_SUCCEEDED, SIGNALS, NOTICE_RESULT)
COLUMNS: tuple[Column[Any], ...] = (
    Column("held_since", "timestamptz", lambda case: case.held_since if case.open else None),
)


def wanted(event: Input) -> bool:
    """Of the notices' results, what arrived and what ended otherwise."""
    return not isinstance(event, NoticeResult) or event.outcome in HEARD


def account_enforcement(
    policies: PolicyShelf, start: FixedStart, *keepers: Keeper, brake: Brake | None = None
) -> Service[EnforcedAccount]:
    """The service; `policies` are kept up to date beside the work, `start` is fixed (rule 43). Without a `brake`
    nothing stands between a rung and an account (rules 45 and 46)."""
    track = AccountTrack(policies.in_force, start.instant, brake.admits if brake else everybody)
    if brake is not None:
        brake.asks = track.asks_to_restrict
    return Service(
        name=ACCOUNT_ENFORCEMENT,
        topics=TOPICS,
        decide=track.decide,
        repository=StateRepository(EnforcedAccount, AccountCase, COLUMNS),
        wanted=wanted,
        keepers=(policies, start, *keepers),
        guard=brake,
        observing=AccountTrack(policies.in_force, start.instant).decide,
        observing_guard=OpenBrake() if brake is not None else None,
    )
