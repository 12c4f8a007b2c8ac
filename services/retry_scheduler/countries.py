"""Where cards were issued, by what events said of them (rules 12 and 18).

It is a fact that stays known: an event that leaves it out does not take back what another said of the same card.
"""

from datetime import datetime

from dunning.domain.events import Input, PaymentFailed, PaymentMethod, PaymentSucceeded, Signal
from dunning.domain.facts import Known
from retry_scheduler.case import RetryAccount
from retry_scheduler.counting import changes, instant_of

CARDS_MAX = 32  # of one account whose country is known; of more the ones heard of first are forgotten


def note_country(account: RetryAccount, method: PaymentMethod | None, at: datetime) -> None:
    """Remember what an event of this time says of its card."""
    if method is None or not method.key or not method.country:
        return
    known = account.countries.get(method.key, [])
    said = changes([*known, Known(method.country, at)])
    if said == known:
        return
    account.countries[method.key] = said
    for key in list(account.countries)[:-CARDS_MAX]:
        del account.countries[key]
    account.changed = True


def is_news(account: RetryAccount, event: Input) -> bool:
    """Whether an event that was worked in is the one to say where its card was issued, as of its own time."""
    if not isinstance(event, PaymentFailed | PaymentSucceeded | Signal):
        return False
    if event.payment_method is None or not event.payment_method.country:
        return False
    at = event.at if isinstance(event, Signal) else instant_of(event)
    said = account.countries.get(event.payment_method.key, [])
    place = next((place for place, known in enumerate(said) if known.at == at), None)
    return place is not None and (place == 0 or said[place - 1].value != said[place].value)


def country_of(account: RetryAccount, method: PaymentMethod) -> str:
    """The newest word on a card's country; empty where nobody said it. Of an account that was saved before they were
    kept, what the method itself says."""
    said = account.countries.get(method.key)
    if said is None:
        return method.country or ""
    return said[-1].value if said else ""


def said_since(account: RetryAccount, at: datetime) -> bool:
    """Whether some card's country was said after an instant."""
    return any(said[-1].at > at for said in account.countries.values())


def as_of(account: RetryAccount, at: datetime) -> dict[str, list[Known]]:
    """What had been said by an instant. A card of which nothing had been said is kept as such."""
    return {key: [known for known in said if known.at <= at] for key, said in account.countries.items()}
