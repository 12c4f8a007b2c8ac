"""The notification dispatcher as the kernel runs it."""

from dunning.contracts.encode import sources_of
from dunning.contracts.topics import NOTIFICATION_DISPATCHER, PAYMENT_FAILED, PAYMENT_SUCCEEDED, SIGNALS, STAGE_CHANGED
from dunning.domain.events import Input, Signal, StageChanged
from dunning.domain.words import RESTRICTING, Channel, Track
from dunning.runtime.policies import PolicyShelf
from dunning.runtime.repository import StateRepository
from dunning.runtime.service import Companion, Service
from dunning.runtime.start import FixedStart
from notification_dispatcher.case import NoticeAccount, NoticeCase
from notification_dispatcher.decide import NoticeTrack
from notification_dispatcher.templates import Wording

TOPICS = (PAYMENT_FAILED, PAYMENT_SUCCEEDED, SIGNALS, STAGE_CHANGED)


def wanted(event: Input) -> bool:
    """Of the stages, only the account's that take something away matter here."""
    if isinstance(event, StageChanged):
        return event.track == Track.ACCOUNT and event.to_stage in RESTRICTING
    return True


def notice_of(event: Input) -> str | None:
    """A receipt or bounce may name its notice alone."""
    return event.notice_id if isinstance(event, Signal) else None


def notification_dispatcher(
    policies: PolicyShelf,
    start: FixedStart,
    configured: frozenset[Channel],
    wording: Wording | None = None,
    companions: tuple[Companion, ...] = (),
) -> Service[NoticeAccount]:
    """The service; `policies` are kept up to date beside the work, `start` is fixed (rule 43), `configured` are the
    channels that can send, `wording` the templates (the shipped ones, if not given), `companions` work beside it."""
    language_of = wording.language_of if wording else None
    return Service(
        name=NOTIFICATION_DISPATCHER,
        topics=TOPICS,
        decide=NoticeTrack(policies.in_force, configured, start=start.instant, language_of=language_of).decide,
        repository=StateRepository(NoticeAccount, NoticeCase),
        wanted=wanted,
        unheard={STAGE_CHANGED: sources_of(Track.RETRY, Track.NOTICE)},
        keepers=(policies, start),
        companions=companions,
        thing_of=notice_of,
    )
