"""Which open cases there must be at the end, and which services must have said something about them."""

from collections.abc import Iterator
from dataclasses import dataclass

from dunning_verifier.clock import Span
from dunning_verifier.history import History
from dunning_verifier.invoices import Invoice
from dunning_verifier.policy_file import Policy
from dunning_verifier.values import DISPATCHER, ENFORCEMENT, OWNER_OF_TRACK, SCHEDULER, Failure

OVERDUE = "payment_overdue"
# Codes that surely are no technical trouble: after one of these no rung holds any more (rule 20).
NOT_TECHNICAL = {
    OVERDUE,
    "insufficient_funds",
    "do_not_honor",
    "generic_decline",
    "card_declined",
    "expired_card",
    "lost_card",
    "stolen_card",
    "incorrect_number",
}
_AT_ONCE = Span(0, 0)


@dataclass(frozen=True, slots=True)
class OpenCase:
    """A failed, unpaid invoice. Two payments of one instant leave two numbers possible."""

    invoice: Invoice
    case_ids: tuple[str, ...]
    failures: list[Failure]
    policy: Policy

    def missing_services(self, history: History) -> set[str]:
        """Services that owe a transition of this case and never published one."""
        return self._owing(history) - self.seen_services(history)

    def seen_services(self, history: History) -> set[str]:
        """Services that published a transition of this case."""
        return {
            OWNER_OF_TRACK.get(track, track) for case_id in self.case_ids for track in history.by_case.get(case_id, {})
        }

    def _owing(self, history: History) -> set[str]:
        owing = set()
        if self.policy.has_retries and all(failure.code != OVERDUE for failure in self.failures):
            owing.add(SCHEDULER)
        rests = history.rests.moved_dates(self.invoice.account_id, self.invoice.invoice_id)
        decided = any(failure.code in NOT_TECHNICAL and failure.plain_code for failure in self.failures)
        if decided and not rests:  # a paused case says nothing on these tracks (rule 27)
            now = [rung for rung in self.policy.unconditional_rungs() if rung.at == _AT_ONCE]
            if any(rung.account for rung in now):
                owing.add(ENFORCEMENT)
            if any(rung.has_notice for rung in now) and not self.policy.quiet:
                owing.add(DISPATCHER)
        for failure in self.failures:
            owing -= history.refused.get(failure.where, set())
        return owing


def open_cases(history: History) -> Iterator[OpenCase]:
    """What must be open at the end, as far as it is certain."""
    for invoice in history.ledger.invoices.values():
        failures = invoice.unpaid()
        if not failures or invoice.unsure or invoice.ended or invoice.account_id in history.terminated_accounts:
            continue
        policy = _policy(history, failures)
        if policy is not None and not policy.ignore:
            case_ids = tuple(invoice.case_id(number) for number in invoice.open_numbers())
            yield OpenCase(invoice, case_ids, failures, policy)


def _policy(history: History, failures: list[Failure]) -> Policy | None:
    """The policy that takes these failures, whichever of them was read first; None where that is not certain."""
    countries: set[str | None] = set(history.customers.countries.get(failures[0].account_id, ()))
    if len(countries) != 1:
        countries.add(None)
    chosen = [history.policies.choose(failure, country) for failure in failures for country in countries]
    return chosen[0] if all(policy is chosen[0] for policy in chosen) else None
