"""A policy version as the services use it: parsed, checked, immutable. `policy_file.py` makes these from YAML.

Everything that a default or another key decides is already resolved here, so that the rules read plain fields.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta
from enum import StrEnum
from functools import cached_property
from zoneinfo import ZoneInfo

from dunning.domain.calendar import DailyHours, Duration, zone_named
from dunning.domain.decision import CannotDecideYet
from dunning.domain.events import PaymentFailed, PolicyRef
from dunning.domain.versions import Eras, taking_new_cases
from dunning.domain.words import RESTRICTING, AccountStage, Channel

ACCOUNT_ZONE = "account"
AT_ONCE = Duration()  # of the anchor's instant; the one distance that `roll` leaves on any day
LATE = timedelta(minutes=1)  # a restricting rung later than this moves the rungs behind it (rule 24)
STALE_AFTER = Duration(days=14)  # beyond its lead a warning of this age counts no more and is sent again (rule 25)
ROUNDS = (1, 2)  # of a warning's notices: it is sent once more at most (rule 25)


ACCOUNT_COUNTRY = "account_country"
ALL_CHANNELS = "all"


class Anchor(StrEnum):
    """What the ladder's dates count from."""

    FIRST_FAILURE = "first_failure"
    DUE_DATE = "due_date"


class Toward(StrEnum):
    """Where a date goes that falls on a day without business."""

    NEXT = "next"
    PREVIOUS = "previous"


@dataclass(frozen=True, slots=True)
class Roll:
    """Business days: dates on other days move, at the same local time. All `calendars` count together."""

    toward: Toward
    calendars: tuple[str, ...] = (ACCOUNT_COUNTRY,)


@dataclass(frozen=True, slots=True)
class Conditions:
    """What must hold on the whole account before a rung happens; all parts must (rule 38)."""

    unpaid_invoices_at_least: int = 0
    balance_at_least: Mapping[str, int] = field(default_factory=dict)  # minor units by currency
    tags_none: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Cap:
    """At most so many notices within a rolling time (rule 32)."""

    within: timedelta
    most: int


@dataclass(frozen=True, slots=True)
class Match:
    """Which failures a policy is for. An empty part matches everything; all parts must match."""

    segments: frozenset[str] = frozenset()
    countries: frozenset[str] = frozenset()  # ISO 3166 alpha-2, upper case
    currencies: frozenset[str] = frozenset()
    payment_types: frozenset[str] = frozenset()
    min_amount: Mapping[str, int] = field(default_factory=dict)  # minor units; a currency not named does not match

    def accepts(self, failure: PaymentFailed, country: str | None) -> bool:
        """Whether a failure of a customer in this country is the policy's."""
        payment_type = failure.payment_method.type if failure.payment_method else None
        return (
            (not self.segments or failure.segment in self.segments)
            and (not self.countries or (country or "").upper() in self.countries)
            and (not self.currencies or failure.currency in self.currencies)
            and (not self.payment_types or payment_type in self.payment_types)
            and (not self.min_amount or failure.amount_due_minor >= self.min_amount.get(failure.currency, 2**63))
        )


@dataclass(frozen=True, slots=True)
class Retries:
    """The ladder strategy of charging again (rules 14 to 18)."""

    after: tuple[Duration, ...]  # distance of each planned retry from the attempt before it
    max_retries: int
    technical_after: tuple[Duration, ...]
    window: Duration | None = None  # from the first failure; None: no end
    hours: DailyHours | None = None
    timeout: Duration | None = None  # None: by payment type, see `timeout_for`
    roll: Roll | None = None

    def distance(self, planned_used: int) -> Duration | None:
        """The next planned distance, or None when the plan is used up. The last one repeats (rule 16)."""
        if planned_used >= self.max_retries or not self.after:
            return None
        return self.after[min(planned_used, len(self.after) - 1)]

    def timeout_for(self, payment_type: str | None) -> Duration:
        """How long an answer may take: what the policy says, else a day for cards and 14 for all others (rule 14)."""
        return self.timeout or Duration(days=1 if payment_type == "card" else 14)


@dataclass(frozen=True, slots=True)
class RungNotice:
    """What a rung says to the customer: through all `channels`, then `fallback` in order (rule 29)."""

    template: str
    channels: tuple[Channel, ...]
    fallback: tuple[Channel, ...] = ()


@dataclass(frozen=True, slots=True)
class Rung:
    """One dated step of the ladder."""

    name: str
    at: Duration  # from the anchor
    notice: RungNotice | None = None
    account: AccountStage | None = None
    warned_by: str | None = None
    lead: Duration | None = None  # resolved: set wherever `warned_by` is
    unreachable: Duration | None = None  # None: wait for ever (rule 26)
    collections: bool = False

    @property
    def restricts(self) -> bool:
        """Restricts, suspends or terminates: not merely `past_due`."""
        return self.account in RESTRICTING


QUIET_BY_DEFAULT: Mapping[Channel, DailyHours] = {
    channel: DailyHours(time(21), time(8)) for channel in (Channel.SMS, Channel.PUSH, Channel.CALL)
}
CAPS_BY_DEFAULT: Mapping[str, tuple[Cap, ...]] = {Channel.CALL.value: (Cap(timedelta(days=7), 7),)}


@dataclass(frozen=True, slots=True)
class Policy:
    """One version of one policy."""

    id: str
    version: int
    ladder: tuple[Rung, ...]
    match: Match = field(default_factory=Match)
    priority: int = 100
    ignore: bool = False
    anchor: Anchor = Anchor.FIRST_FAILURE
    timezone: str = ACCOUNT_ZONE
    fallback_timezone: str = "UTC"
    retries: Retries | None = None  # None: the platform charges again by itself, there is no retry track
    roll: Roll | None = None
    conditions: Mapping[str, Conditions] = field(default_factory=dict)  # by the name of the rung
    quiet_hours: Mapping[Channel, DailyHours] = field(default_factory=dict)
    caps: Mapping[str, tuple[Cap, ...]] = field(default_factory=lambda: CAPS_BY_DEFAULT)  # by channel, or `all`
    valid_from: datetime | None = None  # failures before it take the version before (rule 13)
    digest: str = ""  # of the file's meaning, not its bytes: a changed digest under the same version is refused
    source: str = ""  # the file's name, for messages
    _rungs: Mapping[str, Rung] = field(init=False, repr=False, compare=False)
    _warnings: frozenset[str] = field(init=False, repr=False, compare=False)
    _stops: frozenset[str] = field(init=False, repr=False, compare=False)
    warned: tuple[tuple[int, Rung, Rung], ...] = field(
        init=False, repr=False, compare=False
    )  # place, rung, its warning

    def __post_init__(self) -> None:
        """Look-ups that every decision makes several times."""
        object.__setattr__(self, "_rungs", {rung.name: rung for rung in reversed(self.ladder)})
        object.__setattr__(self, "_warnings", frozenset(rung.warned_by for rung in self.ladder if rung.warned_by))
        stops = (rung.name for rung in self.ladder if self.concerns_account(rung) or self._may_reorder)
        object.__setattr__(self, "_stops", frozenset(stops))
        warned = ((place, rung, self.rung(rung.warned_by or "")) for place, rung in enumerate(self.ladder))
        object.__setattr__(self, "warned", tuple((place, rung, by) for place, rung, by in warned if by is not None))

    @property
    def ref(self) -> PolicyRef:
        """What a case pins."""
        return PolicyRef(self.id, self.version)

    def zone_for(self, account_zone: str | None) -> ZoneInfo:
        """The zone that a case pins when it opens (rule 13)."""
        wanted = account_zone if self.timezone == ACCOUNT_ZONE else self.timezone
        return (zone_named(wanted) if wanted else None) or zone_named(self.fallback_timezone) or ZoneInfo("UTC")

    def rung(self, name: str) -> Rung | None:
        """The rung of that name."""
        return self._rungs.get(name)

    def is_warning(self, rung: Rung) -> bool:
        """Whether another rung names this one in `warned_by`."""
        return rung.name in self._warnings

    def concerns_account(self, rung: Rung) -> bool:
        """Whether a rung is the account's own: it changes the stage, or has conditions that hold up what comes behind
        (rule 38)."""
        return rung.account is not None or rung.name in self.conditions

    def stops_account(self, rung: Rung) -> bool:
        """Whether the account's walk stops at this rung: it is its own, or `roll` can put it behind the next (23)."""
        return rung.name in self._stops

    @property
    def _may_reorder(self) -> bool:
        """Whether `roll` can put a rung behind one that follows it: onto the same day at a later time of day, or by
        taking the later one back before a 0d, which stays on any day."""
        if self.roll is None:
            return False
        stays = self.roll.toward is Toward.PREVIOUS and any(rung.at == AT_ONCE for rung in self.ladder)
        return stays or any(rung.at.seconds for rung in self.ladder)

    @property
    def warnings(self) -> list[Rung]:
        """The rungs that others name in `warned_by`, in the ladder's order."""
        return [rung for rung in self.ladder if self.is_warning(rung)]


class PolicyNotOnFile(CannotDecideYet):
    """A case pinned a version that this instance has not read yet."""


class Policies:
    """All policy versions on file: new cases take the one of their failure's time, old ones what they pinned."""

    def __init__(self, policies: Mapping[PolicyRef, Policy], current: frozenset[PolicyRef] | None = None) -> None:
        """`current` names the versions of the policy files, by default all; `versions.py` says who takes what."""
        self._versions: dict[str, dict[int, Policy]] = {}
        for ref, policy in policies.items():
            self._versions.setdefault(ref.id, {})[ref.version] = policy
        self._on_file = tuple(policies.values())
        self._taking = taking_new_cases(self._on_file, policies.keys() if current is None else current)
        self._eras = Eras.of(self._taking)

    @classmethod
    def of(cls, *policies: Policy) -> "Policies":
        """From policies directly."""
        return cls({policy.ref: policy for policy in policies})

    def pinned(self, ref: PolicyRef) -> Policy:
        """The version a case started with. Raises PolicyNotOnFile."""
        try:
            return self._versions[ref.id][ref.version]
        except KeyError:
            raise PolicyNotOnFile(f"policy {ref.id} version {ref.version} is not on file here") from None

    def choose(self, failure: PaymentFailed, country: str | None) -> Policy | None:
        """The policy for a case that opens with this failure, in the order of priority, then id.

        The failure's time chooses among versions, then `match` among policies (rule 13).
        """
        in_order = self._eras.at(failure.failed_at)
        return next((policy for policy in in_order if policy.match.accepts(failure, country)), None)

    def following(self, ref: PolicyRef, failed_at: datetime) -> Policy:
        """For a case that takes failures over from one under `ref` (rule 7): the same version, unless a higher one's
        `valid_from` lies at or before the first of them. So it is the same whether the payment between was read late.

        One that ignores cannot follow, nor one without retries a version with them: a request may be open.
        """
        before = self.pinned(ref)
        able = (each for each in self._taking if not each.ignore and bool(each.retries) >= bool(before.retries))
        began = (each for each in able if each.id == ref.id and each.valid_from and each.valid_from <= failed_at)
        return max((before, *began), key=lambda policy: policy.version)

    @property
    def eras(self) -> tuple[tuple[Policy, ...], ...]:
        """The versions that take new cases from one `valid_from` to the next, each in the order they are tried in."""
        return self._eras.versions

    @cached_property
    def widest_caps(self) -> Mapping[Channel, Cap]:
        """By channel, the longest time and the largest number of all caps on file that count it.

        What went out before, or beyond that number, can be forgotten: no cap looks at it.
        """
        found: dict[Channel, Cap] = {}
        for channel in Channel:
            names = (channel.value, ALL_CHANNELS)
            caps = [cap for policy in self._on_file for name in names for cap in policy.caps.get(name, ())]
            if caps:
                found[channel] = Cap(max(cap.within for cap in caps), max(cap.most for cap in caps))
        return found

    def __iter__(self) -> Iterator[Policy]:
        """All that take failures of any time, in the order in which they are tried."""
        taking = {policy.ref: policy for era in self.eras for policy in era}
        return iter(sorted(taking.values(), key=lambda policy: (policy.priority, policy.id, policy.version)))

    def __len__(self) -> int:
        return len(self._on_file)
