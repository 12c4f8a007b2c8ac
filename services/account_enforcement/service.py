"""Account enforcement as the kernel runs it."""

from account_enforcement.case import AccountCase, EnforcedAccount
from account_enforcement.decide import AccountTrack
from dunning.contracts.topics import ACCOUNT_ENFORCEMENT, NOTICE_RESULT, PAYMENT_FAILED, PAYMENT_SUCCEEDED, SIGNALS
from dunning.domain.events import Input, NoticeResult
from dunning.domain.words import Outcome
from dunning.runtime.policies import PolicyShelf
from dunning.runtime.repository import StateRepository
from dunning.runtime.service import Keeper, Service
from dunning.runtime.start import FixedStart

TOPICS = (PAYMENT_FAILED, PAYMENT_SUCCEEDED, SIGNALS, NOTICE_RESULT)


def wanted(event: Input) -> bool:
    """Of the notices' results, what arrived and what came back."""
    return not isinstance(event, NoticeResult) or event.outcome in (Outcome.DELIVERED, Outcome.BOUNCED)


def account_enforcement(policies: PolicyShelf, start: FixedStart, *keepers: Keeper) -> Service[EnforcedAccount]:
    """The service; `policies` are kept up to date beside the work, `start` is fixed (rule 43)."""
    return Service(
        name=ACCOUNT_ENFORCEMENT,
        topics=TOPICS,
        decide=AccountTrack(policies.in_force, start.instant).decide,
        repository=StateRepository(EnforcedAccount, AccountCase),
        wanted=wanted,
        keepers=(policies, start, *keepers),
    )
