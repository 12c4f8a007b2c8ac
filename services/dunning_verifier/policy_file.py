"""Reads what the checks need of policy files: who they are for, the ladder's dates and warnings, quiet hours, caps."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from itertools import takewhile
from pathlib import Path
from typing import Any

import yaml

from dunning_verifier.clock import Hours, Span
from dunning_verifier.rolling import Roll
from dunning_verifier.values import Failure

_QUIET_CHANNELS_OF_A_PAIR = ("email", "sms", "push", "call")
_QUIET_CHANNELS_BY_DEFAULT = ("sms", "push", "call")
_CAPS_BY_DEFAULT = {"call": {"7d": 7}}
_TECHNICAL_AFTER = ("10m", "1h", "6h")
_LEGAL_QUIET = Hours(time(21), time(8))


class BadPolicy(Exception):
    """A policy file that this reader does not understand: without it nothing can be judged."""


@dataclass(frozen=True, slots=True)
class Rung:
    """A dated step of the ladder."""

    name: str
    at: Span
    account: str | None
    has_notice: bool
    warned_by: str | None
    lead: Span
    unreachable: Span | None  # None: wait for ever (rule 26)
    channels: tuple[str, ...] = ()  # of its notice, fallbacks included
    template: str | None = None


@dataclass(frozen=True, slots=True)
class Cap:
    """At most so many notices within a rolling time, on a channel or on `all` of them together."""

    name: str
    within: timedelta
    most: int


@dataclass(frozen=True, slots=True)
class Policy:
    """One version of a policy, as far as it is checked."""

    id: str
    version: int
    priority: int
    ignore: bool
    match: Mapping[str, Any]
    anchor: str
    timezone: str
    fallback_timezone: str
    has_retries: bool
    rungs: tuple[Rung, ...]
    quiet: Mapping[str, Hours] = field(default_factory=dict)
    tags_none: Mapping[str, frozenset[str]] = field(default_factory=dict)  # of a rung: it waits while one is there
    conditioned: frozenset[str] = frozenset()  # rungs that may wait for something of the whole account (rule 38)
    valid_from: datetime | None = None
    caps: tuple[Cap, ...] = ()
    roll: Roll | None = None
    retry_roll: Roll | None = None
    retry_hours: Hours | None = None
    retry_window: Span | None = None
    retry_after: tuple[Span, ...] = ()
    technical_after: tuple[Span, ...] = ()
    max_retries: int = 0
    retry_timeout: Span | None = None

    def accepts(self, failure: Failure, country: str | None) -> bool:
        """Whether a failure is this policy's."""
        named = {
            "segments": failure.segment,
            "countries": (country or "").upper(),
            "currencies": failure.currency,
            "payment_types": failure.payment_type,
        }
        for key, value in named.items():
            wanted = self.match.get(key)
            if wanted and value not in ([str(one).upper() for one in wanted] if key == "countries" else wanted):
                return False
        least = self.match.get("min_amount")
        return not least or failure.amount_due_minor >= least.get(failure.currency, float("inf"))

    def rung(self, name: str) -> Rung | None:
        """The rung of that name."""
        return next((rung for rung in self.rungs if rung.name == name), None)

    def unconditional_rungs(self) -> Iterator[Rung]:
        """Those before the first that may wait for its conditions."""
        return takewhile(lambda rung: rung.name not in self.conditioned, self.rungs)

    def rungs_to(self, stage: str) -> Iterator[Rung]:
        """The rungs that lead to an account stage."""
        return (rung for rung in self.rungs if rung.account == stage)


@dataclass(frozen=True, slots=True)
class Policies:
    """All versions on file."""

    by_ref: Mapping[tuple[str, int], Policy] = field(default_factory=dict)

    @classmethod
    def of(cls, documents: Iterable[Mapping[str, Any]]) -> "Policies":
        """From documents as YAML gives them."""
        policies = [_policy(document) for document in documents]
        return cls({(policy.id, policy.version): policy for policy in policies})

    @classmethod
    def read(cls, *paths: Path) -> "Policies":
        """From files, and from all the policy files in folders. Raises BadPolicy."""
        found: list[Mapping[str, Any]] = []
        for path in paths:
            files = sorted([*path.glob("*.yaml"), *path.glob("*.yml")]) if path.is_dir() else [path]
            found.extend(document for file in files for document in _documents(file))
        return cls.of(found)

    def choose(self, failure: Failure, country: str | None) -> Policy | None:
        """The policy that a case opening with this failure pins."""
        newest: dict[str, Policy] = {}
        for policy in self.by_ref.values():
            if policy.valid_from is not None and failure.time < policy.valid_from:
                continue
            if policy.id not in newest or newest[policy.id].version < policy.version:
                newest[policy.id] = policy
        order = sorted(newest.values(), key=lambda policy: (policy.priority, policy.id))
        return next((policy for policy in order if policy.accepts(failure, country)), None)


def _documents(file: Path) -> Iterator[Mapping[str, Any]]:
    try:
        for document in yaml.safe_load_all(file.read_text(encoding="utf-8")):
            if isinstance(document, dict) and ("ladder" in document or document.get("ignore")):
                yield document
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise BadPolicy(f"{file}: {error}") from None


def _policy(document: Mapping[str, Any]) -> Policy:
    try:
        retries = document.get("retries") or {}
        after = _spans(retries.get("after", ()))
        return Policy(
            id=str(document["id"]),
            version=int(document.get("version", 1)),
            priority=int(document.get("priority", 100)),
            ignore=bool(document.get("ignore", False)),
            match=document.get("match") or {},
            anchor=document.get("anchor", "first_failure"),
            timezone=document.get("timezone", "account"),
            fallback_timezone=document.get("fallback_timezone", "UTC"),
            has_retries=bool(retries),
            rungs=_rungs(document.get("ladder") or []),
            quiet=_quiet(document.get("contact")),
            conditioned=frozenset(document.get("conditions") or ()),
            tags_none={
                str(rung): frozenset(map(str, said.get("tags_none") or ()))
                for rung, said in (document.get("conditions") or {}).items()
            },
            valid_from=_instant(document.get("valid_from")),
            caps=_caps(document.get("contact")),
            roll=Roll.parse(document.get("roll")),
            retry_roll=Roll.parse(retries.get("roll")),
            retry_window=_span_or_none(retries.get("window")),
            retry_hours=_hours_or_none(retries.get("hours")),
            retry_after=after,
            technical_after=_spans(retries.get("technical_after", _TECHNICAL_AFTER)),
            max_retries=int(retries.get("max_retries", len(after))),
            retry_timeout=_span_or_none(retries.get("timeout")),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise BadPolicy(f"policy {document.get('id')!r}: {error!r}") from None


def _instant(value: Any) -> datetime | None:
    """YAML makes a time of what is not in quotes, in UTC and without saying so."""
    if value is None:
        return None
    time = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
    return time if time.tzinfo is not None else time.replace(tzinfo=UTC)


def _rungs(ladder: list[Mapping[str, Any]]) -> tuple[Rung, ...]:
    at = {line["rung"]: Span.parse(str(line["at"])) for line in ladder}
    return tuple(
        Rung(
            name=line["rung"],
            at=at[line["rung"]],
            account=line.get("account"),
            has_notice=bool(line.get("notice")),
            warned_by=line.get("warned_by"),
            lead=_lead(line, at),
            unreachable=Span.parse(str(line["unreachable"])) if line.get("unreachable", "wait") != "wait" else None,
            channels=_channels(line.get("notice") or {}),
            template=(line.get("notice") or {}).get("template"),
        )
        for line in ladder
    )


def _channels(notice: Mapping[str, Any]) -> tuple[str, ...]:
    return (*notice.get("channels", ()), *notice.get("fallback", ()))


def _lead(line: Mapping[str, Any], at: Mapping[str, Span]) -> Span:
    """`lead` is the difference of the two dates unless it is given (rule 25)."""
    if not line.get("warned_by"):
        return Span(0, 0)
    if "lead" in line:
        return Span.parse(str(line["lead"]))
    return at[line["rung"]].minus(at[line["warned_by"]])


def _quiet(contact: Mapping[str, Any] | None) -> dict[str, Hours]:
    """Quiet hours by channel: a pair for all that interrupt and email, a mapping for each its own (rule 32)."""
    if not contact or "quiet_hours" not in contact:
        return dict.fromkeys(_QUIET_CHANNELS_BY_DEFAULT, _LEGAL_QUIET)
    said = contact["quiet_hours"]
    if said in (None, "none", False):
        return {}
    if isinstance(said, dict):
        return {str(channel): _hours(pair) for channel, pair in said.items() if pair not in (None, "none", False)}
    return dict.fromkeys(_QUIET_CHANNELS_OF_A_PAIR, _hours(said))


def _caps(contact: Mapping[str, Any] | None) -> tuple[Cap, ...]:
    """By channel, or over all; left out, seven calls in seven days. A day of a cap is 24 hours (rule 32)."""
    said = contact.get("caps") if contact else None
    caps = _CAPS_BY_DEFAULT if said is None else said
    return tuple(
        Cap(str(name), _elapsed(Span.parse(str(within))), int(most))
        for name, by_time in caps.items()
        for within, most in by_time.items()
    )


def _elapsed(span: Span) -> timedelta:
    return timedelta(days=span.days, seconds=span.seconds)


def _hours(pair: list[Any]) -> Hours:
    start, end = (_time_of_day(part) for part in pair)
    return Hours(start, end)


def _hours_or_none(pair: list[Any] | None) -> Hours | None:
    return _hours(pair) if pair else None


def _spans(texts: Iterable[Any]) -> tuple[Span, ...]:
    return tuple(Span.parse(str(text)) for text in texts)


def _span_or_none(text: Any) -> Span | None:
    return Span.parse(str(text)) if text else None


def _time_of_day(value: Any) -> time:
    if isinstance(value, int):  # unquoted 21:00 is a number to base sixty in YAML
        return time(value // 60, value % 60)
    return time.fromisoformat(str(value))
