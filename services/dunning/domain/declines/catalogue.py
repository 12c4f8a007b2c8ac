"""The dated tables of decline codes: read once from the packaged files, then looked up in dictionaries.

A file holds one network's tables (or, with `network: any`, those that hold whatever the network). Adding a network is
adding a file. Every row says since when it holds, where that was read, and how far the source can be trusted.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from importlib import resources
from typing import Any

import yaml

from dunning.domain.calendar import Duration
from dunning.domain.declines.limits import Counts, Limit, Scope, letters
from dunning.domain.words import DeclineClass

ADVICE = "advice_codes"  # the two kinds of tables a file may have
DECLINE = "decline_codes"
_VERIFIED = ("primary", "vendor", "secondary")


@dataclass(frozen=True, slots=True)
class Row:
    """What some codes mean from one instant to another."""

    decline_class: DeclineClass | None  # None: the code says only how long to wait
    not_before: timedelta | None
    category: str | None
    countries: frozenset[str] | None  # None: everywhere
    valid_from: datetime
    valid_until: datetime | None  # exclusive
    source: str
    verified: str

    def holds(self, country: str | None, at: datetime) -> bool:
        """Whether the row says something about a failure at this time with a method of this country."""
        return (
            self.valid_from <= at
            and (self.valid_until is None or at < self.valid_until)
            and (self.countries is None or country in self.countries)
        )


@dataclass(slots=True)
class Codes:
    """One table, indexed by code. Rows of one code stand in the order of the file; the first that holds counts."""

    rows: dict[str, list[Row]] = field(default_factory=dict)
    every_other: list[tuple[re.Pattern[str], Row]] = field(default_factory=list)

    def find(self, code: str, country: str | None, at: datetime) -> Row | None:
        """What a code means, or None where the table does not say."""
        for row in self.rows.get(code, ()):
            if row.holds(country, at):
                return row
        for pattern, row in self.every_other:
            if pattern.fullmatch(code) and row.holds(country, at):
                return row
        return None


_NOTHING = Codes()


class Catalogue:
    """All tables, by network and kind."""

    def __init__(self) -> None:
        self._tables: dict[tuple[str, str], Codes] = {}
        self._networks: dict[str, str] = {}
        self._also_as_code: set[str] = set()
        self.limits: list[Limit] = []

    @classmethod
    def of(cls, texts: Iterable[str]) -> "Catalogue":
        """From the texts of data files. Raises ValueError for a file that breaks the format."""
        catalogue = cls()
        for text in texts:
            catalogue._add(yaml.safe_load(text))
        return catalogue

    def network(self, spelling: str) -> str:
        """The network that a spelling means; a spelling that no file knows stands for itself."""
        known = self._networks.get(spelling)
        return known if known is not None else self._networks.get(letters(spelling), spelling)

    def table(self, network: str, kind: str) -> Codes:
        """A network's table, an empty one where there is none."""
        return self._tables.get((network, kind), _NOTHING)

    def comes_as_code(self, network: str) -> bool:
        """Whether platforms name a network's decline codes in `failure.code` as well: schemes of bank debits have no
        processor's words between."""
        return network in self._also_as_code

    def _add(self, data: Mapping[str, Any]) -> None:
        network = str(data["network"])
        for spelling in (network, *data.get("spellings", ())):
            self._networks[letters(spelling)] = network
        if data.get("also_as_code", False):
            self._also_as_code.add(network)
        for kind in (ADVICE, DECLINE):
            codes = self._tables.setdefault((network, kind), Codes())
            for raw in data.get(kind, ()):
                row = _row(raw, data)
                for code in raw.get("codes", ()):
                    codes.rows.setdefault(normalised(code), []).append(row)
                if "every_other" in raw:
                    codes.every_other.append((re.compile(raw["every_other"], re.IGNORECASE | re.ASCII), row))
        self.limits.extend(_limit(raw, data, network) for raw in data.get("limits", ()))


def normalised(code: str) -> str:
    """A code as it is looked up: networks and processors differ in case and padding, never in meaning by them."""
    return code.strip().casefold()


def _row(raw: Mapping[str, Any], data: Mapping[str, Any]) -> Row:
    countries = None
    if "regions" in raw:
        countries = frozenset(country for region in raw["regions"] for country in data["regions"][region])
    return Row(
        decline_class=DeclineClass(raw["class"]) if "class" in raw else None,
        not_before=_elapsed(raw["not_before"]) if "not_before" in raw else None,
        category=str(raw["category"]) if "category" in raw else None,
        countries=countries,
        valid_from=_midnight(raw["valid_from"]),
        valid_until=_midnight(raw["valid_until"]) if "valid_until" in raw else None,
        source=data["sources"][raw["source"]],
        verified=_checked(raw["verified"]),
    )


def _limit(raw: Mapping[str, Any], data: Mapping[str, Any], network: str) -> Limit:
    return Limit(
        network=network,
        processor=letters(raw["processor"]) if "processor" in raw else None,
        countries=frozenset(raw["countries"]) if "countries" in raw else None,
        counts=Counts(raw["counts"]),
        most=int(raw["most"]),
        within=_elapsed(raw["within"]) if "within" in raw else None,
        scope=frozenset(Scope(each) for each in raw["scope"]),
        categories=frozenset(str(each) for each in raw["categories"]) if "categories" in raw else None,
        valid_from=_midnight(raw["valid_from"]),
        valid_until=_midnight(raw["valid_until"]) if "valid_until" in raw else None,
        source=data["sources"][raw["source"]],
        verified=_checked(raw["verified"]),
    )


def _elapsed(text: str) -> timedelta:
    return timedelta(seconds=Duration.parse(text).nominal_seconds)


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def _checked(verified: str) -> str:
    if verified not in _VERIFIED:
        raise ValueError(f"verified is {verified!r}; allowed: {', '.join(_VERIFIED)}")
    return verified


@lru_cache(maxsize=1)
def shipped() -> Catalogue:
    """The tables that come with the package."""
    folder = resources.files("dunning.domain.declines.data")
    files = sorted((file for file in folder.iterdir() if file.name.endswith(".yaml")), key=lambda file: file.name)
    return Catalogue.of(file.read_text("utf-8") for file in files)
