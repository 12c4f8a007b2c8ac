"""What a policy means, as one number: two files with the same digest decide the same.

Comments, the order of keys and the spelling of durations do not count. Values that a policy class has by default are
left out of the canonical form, so that a new optional key leaves the digests of all existing files as they are.
"""

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from dunning.domain.calendar import DailyHours, Duration
from dunning.domain.policy import Policy

_NOT_MEANING = frozenset({"digest", "source"})


def digest_of(policy: Policy) -> str:
    """SHA-256 of the canonical form, in hexadecimal."""
    return hashlib.sha256(canonical_text(policy).encode()).hexdigest()


def canonical_text(policy: Policy) -> str:
    """The canonical form: JSON with sorted keys and nothing that has no effect."""
    return json.dumps(_canonical(policy), sort_keys=True, separators=(",", ":"))


def _canonical(value: Any) -> Any:
    match value:
        case Duration(days=days, seconds=seconds):
            return [days, seconds]
        case DailyHours(start=start, end=end):
            return [start.isoformat(), end.isoformat()]
        case timedelta():
            return value.total_seconds()
        case datetime():
            return value.astimezone(UTC).isoformat()
        case frozenset():
            return sorted(value)
        case tuple():
            return [_canonical(item) for item in value]
        case Mapping():
            return {str(key): _canonical(item) for key, item in value.items()}
        case _ if dataclasses.is_dataclass(value):
            return {
                part.name: _canonical(getattr(value, part.name))
                for part in dataclasses.fields(value)
                if part.init and part.name not in _NOT_MEANING and getattr(value, part.name) != _default(part)
            }
    return value


def _default(part: "dataclasses.Field[Any]") -> Any:
    if part.default_factory is not dataclasses.MISSING:
        return part.default_factory()
    return part.default
