"""Whether a bounce of a notice that is not on file any more is about the customer's present address. Pure."""

from dunning.domain import ids
from dunning.domain.events import Signal
from dunning.domain.policy import ROUNDS

_NUMBERS = range(1, 33)  # cases of one invoice; more have never been seen, and a miss only leaves an address unmarked


def is_credible(event: Signal, address: str | None) -> bool:
    """Whether it may mark this address.

    Anybody can write to a box for bounces, and what is read there names notice, invoice and rung. A notice's id is made
    of all three and of the address: so it proves by itself which address bounced. A signal that says less comes from
    the payment platform and is believed.
    """
    if event.notice_id is None or event.invoice_id is None:
        return True
    if event.rung is None or event.channel is None or not address:
        return False
    cases = (ids.case_id(event.account_id, event.invoice_id, number) for number in _NUMBERS)
    return any(
        ids.notice_id(case_id, event.rung, event.channel, address, round_number) == event.notice_id
        for case_id in cases
        for round_number in ROUNDS
    )
