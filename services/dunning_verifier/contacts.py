"""What really went out to each account, and when: what caps count (rule 32)."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from dunning_verifier.values import WENT_OUT, Result


@dataclass(frozen=True, slots=True)
class Contact:
    """One notice on one channel, with the first result that says that it went out."""

    at: datetime
    result: Result


def contacts_of(results: Iterable[Result]) -> dict[str, list[Contact]]:
    """By account, in the order in which they went out."""
    first: dict[str, Result] = {}
    for result in results:
        if result.outcome in WENT_OUT:
            known = first.get(result.notice_id)
            if known is None or result.at < known.at:
                first[result.notice_id] = result
    found: dict[str, list[Contact]] = defaultdict(list)
    for result in first.values():
        found[result.account_id].append(Contact(result.at, result))
    for contacts in found.values():
        contacts.sort(key=lambda contact: (contact.at, contact.result.where))
    return found
