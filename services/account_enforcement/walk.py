"""Which rungs the account's walk comes to next (rules 23, 37 and 38)."""

from account_enforcement.case import AccountCase, EnforcedAccount
from dunning.domain.holds import first_ahead
from dunning.domain.policy import Policy, Rung


def rungs_ahead(account: EnforcedAccount, case: AccountCase, policy: Policy) -> tuple[Rung, ...]:
    """The rungs that the account's walk did not come to yet. One of its own that a reinstatement passed is ahead again
    where what is read later moves it behind that, whatever reminders came behind it meanwhile (rule 37)."""
    first = first_ahead(account, case, policy)
    walked = max(first, case.waited_for)
    return (*filter(policy.concerns_account, policy.ladder[first:walked]), *policy.ladder[walked:])


def next_account_rung(account: EnforcedAccount, case: AccountCase, policy: Policy) -> Rung | None:
    """The next rung that changes the account's stage."""
    return next((rung for rung in rungs_ahead(account, case, policy) if rung.account is not None), None)


def next_stop(account: EnforcedAccount, case: AccountCase, policy: Policy) -> Rung | None:
    """The next account rung, or one before it that may stop the walk. One that nothing follows stops nothing."""
    ahead = rungs_ahead(account, case, policy)
    if all(rung.account is None for rung in ahead):
        return None
    return next(rung for rung in ahead if policy.stops_account(rung))
