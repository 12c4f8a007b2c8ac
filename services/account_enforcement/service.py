"""Account enforcement as the kernel runs it."""

from collections.abc import Callable

from account_enforcement.case import AccountCase, EnforcedAccount
from account_enforcement.decide import AccountTrack
from dunning.contracts.topics import ACCOUNT_ENFORCEMENT, NOTICE_RESULT, PAYMENT_FAILED, PAYMENT_SUCCEEDED, SIGNALS
from dunning.domain.events import Input, NoticeResult
from dunning.domain.policy import Policies
from dunning.domain.words import Outcome
from dunning.runtime.repository import StateRepository
from dunning.runtime.service import Service

TOPICS = (PAYMENT_FAILED, PAYMENT_SUCCEEDED, SIGNALS, NOTICE_RESULT)


def wanted(event: Input) -> bool:
    """Of the notices' results, what arrived and what came back."""
    return not isinstance(event, NoticeResult) or event.outcome in (Outcome.DELIVERED, Outcome.BOUNCED)


def account_enforcement(policies: Callable[[], Policies]) -> Service[EnforcedAccount]:
    """The service; `policies` gives those in force."""
    return Service(
        name=ACCOUNT_ENFORCEMENT,
        topics=TOPICS,
        decide=AccountTrack(policies).decide,
        repository=StateRepository(EnforcedAccount, AccountCase),
        wanted=wanted,
    )
