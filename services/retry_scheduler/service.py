"""The retry scheduler as the kernel runs it."""

from typing import Any

from dunning.contracts.encode import sources_of
from dunning.contracts.topics import PAYMENT_FAILED, PAYMENT_SUCCEEDED, RETRY_SCHEDULER, SIGNALS, STAGE_CHANGED
from dunning.domain.events import Input, StageChanged
from dunning.domain.words import AccountStage, Track
from dunning.runtime.policies import PolicyShelf
from dunning.runtime.repository import StateRepository
from dunning.runtime.service import Column, Service
from dunning.runtime.start import FixedStart
from retry_scheduler.case import RetryAccount, RetryCase
from retry_scheduler.counting import CARD_LEDGERS
from retry_scheduler.decide import RetryTrack

TOPICS = (PAYMENT_FAILED, PAYMENT_SUCCEEDED, SIGNALS, STAGE_CHANGED)
COLUMNS: tuple[Column[Any], ...] = (Column("answer_by", "timestamptz", lambda case: case.answer_by),)


def wanted(event: Input) -> bool:
    """Of the stages, only that an account was terminated matters here."""
    if isinstance(event, StageChanged):
        return event.track == Track.ACCOUNT and event.to_stage == AccountStage.TERMINATED
    return True


def retry_scheduler(policies: PolicyShelf, start: FixedStart) -> Service[RetryAccount]:
    """The service; `policies` are kept up to date beside the work, `start` is fixed (rule 43)."""
    return Service(
        name=RETRY_SCHEDULER,
        topics=TOPICS,
        decide=RetryTrack(policies.in_force, start.instant).decide,
        repository=StateRepository(RetryAccount, RetryCase, COLUMNS),
        wanted=wanted,
        unheard={STAGE_CHANGED: sources_of(Track.RETRY, Track.NOTICE)},
        keepers=(policies, start),
        shared=CARD_LEDGERS,
    )
