"""What is known about an account, each fact with the time it was said: the newest wins (rule 12)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from dunning.domain.events import Customer, PaymentMethod
from dunning.domain.pauses import Mark
from dunning.domain.words import Channel

ADDRESS_FIELD: Mapping[Channel, str] = {  # of a customer, by channel; the others need the account only (rule 29)
    Channel.EMAIL: "email",
    Channel.SMS: "phone",
    Channel.CALL: "phone",
    Channel.LETTER: "postal_address",
}
CUSTOMER_FIELDS = ("name", "email", "phone", "locale", "timezone", "country", "postal_address")
REINSTATEMENTS_MAX = 16  # per account; the oldest are forgotten
TAGS_MAX = 100  # per account; beyond it those that were taken off are forgotten first, then the oldest


@dataclass(slots=True)
class Known:
    """A fact and when it was so."""

    value: str
    at: datetime


@dataclass(slots=True)
class Tag:
    """Whether an account carries a tag, and since when that is so."""

    present: bool
    at: datetime


@dataclass(slots=True)
class Facts:
    """Facts about one account. A service keeps only the customer's fields that it needs."""

    customer: dict[str, Known] = field(default_factory=dict)
    method: PaymentMethod | None = None
    method_at: datetime | None = None
    update_url: Known | None = None
    reinstated_at: datetime | None = None  # the latest of these
    reinstatements: list[datetime] = field(default_factory=list)  # in the order of their times
    pauses: list[Mark] = field(default_factory=list)  # of the whole account: they hold cases that open later too (27)
    tags: dict[str, Tag] = field(default_factory=dict)
    erased_at: datetime | None = None  # what was said of the customer up to then is forgotten, and stays so

    def get(self, name: str) -> str | None:
        """The newest value of one of the customer's fields."""
        known = self.customer.get(name)
        return known.value if known else None

    def peek(self, name: str, customer: Customer | None, at: datetime) -> str | None:
        """What `get` would say after learning of this customer, without learning it."""
        known = self.customer.get(name)
        said = getattr(customer, name) if customer else None
        if said is None or (known is not None and known.at > at):
            return known.value if known else None
        return str(said)

    def learn_customer(self, customer: Customer | None, at: datetime, kept: tuple[str, ...]) -> bool:
        """Take over what is newer than what is known; says whether anything changed. The same word at a later time is
        news too: what was said in between and is read afterwards must not win over it."""
        if customer is None or self.is_forgotten(at):
            return False
        changed = False
        for name in kept:
            said = getattr(customer, name)
            known = self.customer.get(name)
            if said is not None and (known is None or at >= known.at):
                fresh = Known(said, at)
                changed = changed or fresh != known
                self.customer[name] = fresh
        return changed

    def is_forgotten(self, at: datetime) -> bool:
        """Whether an erasure came after this instant: what was said then must not come back, whenever it is read."""
        return self.erased_at is not None and at <= self.erased_at

    def erase(self, at: datetime) -> None:
        """Forget the customer as known up to an instant (`account.erased`). What was said later is new and stays."""
        self.erased_at = max(self.erased_at or at, at)
        self.customer = {name: known for name, known in self.customer.items() if not self.is_forgotten(known.at)}

    @property
    def knows_nobody(self) -> bool:
        """Whether the customer was erased and nothing was said of one since."""
        return self.erased_at is not None and not self.customer

    def learn_method(self, method: PaymentMethod | None, at: datetime) -> bool:
        """Take over a payment method unless a newer one is known; says whether it was taken."""
        if method is None or not (method.id or method.fingerprint):
            return False
        if self.method_at is not None and (self.method_at, self.method_key) > (at, method.key):  # ties: any one order
            return False
        self.method, self.method_at = method, at
        return True

    def reinstate(self, at: datetime) -> bool:
        """Note a reinstatement; says whether it was news."""
        if at in self._reinstatements():
            return False
        self.reinstatements = sorted([*self._reinstatements(), at])[-REINSTATEMENTS_MAX:]
        self.reinstated_at = self.reinstatements[-1]
        return True

    def reinstated_from(self, terminated_at: datetime) -> datetime | None:
        """The first reinstatement that lifts what was terminated at an instant, if it was read."""
        return next((at for at in self._reinstatements() if at >= terminated_at), None)

    def _reinstatements(self) -> list[datetime]:
        """All that are known; of an account that was saved before they were kept, the latest."""
        return self.reinstatements or ([self.reinstated_at] if self.reinstated_at else [])

    def has_tag(self, tag: str) -> bool:
        """Whether the account carries a tag now."""
        known = self.tags.get(tag)
        return known is not None and known.present

    def learn_tag(self, tag: str, present: bool, at: datetime) -> bool:
        """Take over the newest word on a tag; of two of one instant, that it is there. Says whether it was taken."""
        known = self.tags.get(tag)
        if known is not None and (known.at, known.present) >= (at, present):
            return False
        self.tags[tag] = Tag(present, at)
        if len(self.tags) > TAGS_MAX:
            del self.tags[min(self.tags, key=lambda name: (self.tags[name].present, self.tags[name].at))]
        return True

    @property
    def method_key(self) -> str:
        """Identity of the present payment method; empty while none is known."""
        return self.method.key if self.method else ""
