"""Whether a rung's warning reached the customer early enough (rule 25)."""

from collections.abc import Sequence
from datetime import datetime

from account_enforcement.case import AccountCase
from dunning.domain.policy import STALE_AFTER, Policy, Rung


def warned_at(case: AccountCase, policy: Policy, rung: Rung, now: datetime) -> datetime | None:
    """The first standing delivery of the rung's warning, plus its lead.

    One that has grown too old does not count any more, only the one sent after it, once more and for good.
    """
    deliveries = _standing(case, rung)
    stale = _stale_at(case, rung, deliveries, now)
    counting = deliveries if stale is None else [at for at in deliveries if at >= stale]
    return case.warned_at(rung, policy, counting[0], now) if counting else None


def stale_at(case: AccountCase, rung: Rung, now: datetime) -> datetime | None:
    """From when on the warning's first delivery was too old to rely on; None where there is none or it is not yet."""
    return _stale_at(case, rung, _standing(case, rung), now)


def _stale_at(case: AccountCase, rung: Rung, deliveries: Sequence[datetime], now: datetime) -> datetime | None:
    assert rung.lead is not None, "a rung with a warning has a lead"
    at = (rung.lead + STALE_AFTER).after(deliveries[0], case.pinned_zone) if deliveries else None
    return at if at is not None and now > at else None


def _standing(case: AccountCase, rung: Rung) -> list[datetime]:
    own = [known for known in case.deliveries if known.rung == rung.warned_by and case.goes_by(known.case_id)]
    return sorted(known.delivered_at for known in own if known.stands and known.delivered_at is not None)
