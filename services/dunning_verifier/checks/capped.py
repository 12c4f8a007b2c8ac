"""Promise 8, the caps: nobody is contacted more often than the policy of the notice's case allows (rule 32)."""

from collections.abc import Iterator, Sequence

from dunning_verifier.contacts import Contact, contacts_of
from dunning_verifier.history import History
from dunning_verifier.policy_file import Cap
from dunning_verifier.values import Violation

PROMISE = 8


def check(history: History) -> Iterator[Violation]:
    """Every notice that went out, among those of its account before it, over all invoices."""
    for contacts in contacts_of(history.results_once).values():
        for number, contact in enumerate(contacts):
            broken = next((cap for cap in _caps(history, contact) if _over(history, contacts, number, cap)), None)
            if broken is not None:
                result = contact.result
                what = (
                    f"{result.channel} notice of {result.rung} went out at {contact.at.isoformat()}, over the cap of "
                    f"{broken.most} in {broken.within} on {broken.name}"
                )
                yield Violation(PROMISE, what, result.where, result.account_id, result.case_ids[0])


def _caps(history: History, contact: Contact) -> Iterator[Cap]:
    for case_id in contact.result.case_ids:
        policy = history.policy_of(case_id)
        if policy is not None:
            yield from (cap for cap in policy.caps if cap.name in (contact.result.channel, "all"))


def _over(history: History, contacts: Sequence[Contact], number: int, cap: Cap) -> bool:
    """A window is half-open: what went out exactly so long ago counts no more. Clocks may differ a little."""
    contact = contacts[number]
    since = contact.at - cap.within + history.tolerance.skew
    counted = [
        each
        for each in contacts[: number + 1]
        if not (history.simulated and _together(each, contact))
        and (each.at > since or each is contact)
        and cap.name in ("all", each.result.channel)
    ]
    return len(counted) > cap.most


def _together(other: Contact, contact: Contact) -> bool:
    """A simulation does not tell which of two cases' notices went out first at one instant."""
    return other.at == contact.at and other.result.case_ids != contact.result.case_ids
