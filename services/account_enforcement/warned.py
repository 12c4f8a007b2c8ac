"""Whether a rung's warning reached the customer early enough (rule 25)."""

from collections.abc import Sequence
from datetime import datetime

from account_enforcement.case import AccountCase
from dunning.domain.policy import STALE_AFTER, Policy, Rung


def warned_at(case: AccountCase, policy: Policy, rung: Rung, now: datetime) -> datetime | None:
    """The first standing delivery of the rung's warning, plus its lead.

    One that has grown too old does not count any more, only the one sent after it, once more and for good; nor does one
    that will have grown too old by the end of its lead, which a pause or an extension may move, once that one is there.
    """
    deliveries = _standing(case, rung)
    if not deliveries:
        return None
    met, stale = case.warned_at(rung, policy, deliveries[0], now), _too_old_from(case, rung, deliveries)
    again = next((at for at in deliveries if at >= stale), None)
    if again is None:
        return met if now <= stale else None
    return met if now <= stale and met <= stale else case.warned_at(rung, policy, again, now)


def stale_at(case: AccountCase, rung: Rung, now: datetime) -> datetime | None:
    """From when on the warning's first delivery was too old to rely on; None where there is none or it is not yet."""
    deliveries = _standing(case, rung)
    at = _too_old_from(case, rung, deliveries) if deliveries else None
    return at if at is not None and now > at else None


def _too_old_from(case: AccountCase, rung: Rung, deliveries: Sequence[datetime]) -> datetime:
    assert rung.lead is not None, "a rung with a warning has a lead"
    return (rung.lead + STALE_AFTER).after(deliveries[0], case.pinned_zone)


def _standing(case: AccountCase, rung: Rung) -> list[datetime]:
    own = case.deliveries_of(rung.warned_by)
    return sorted(known.delivered_at for known in own if known.stands and known.delivered_at is not None)
