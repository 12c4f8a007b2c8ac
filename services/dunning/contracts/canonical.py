"""One text for one meaning: how two writings of the same data are seen to be the same."""

import json
from typing import Any

from dunning.contracts.decoded import Refused, UnreadableReason
from dunning.domain.calendar import rfc3339
from dunning.domain.rfc3339 import parse_rfc3339


def normalised(value: Any) -> Any:
    """A JSON value without what does not matter.

    Times become UTC, whole floats integers, members that are null are left out. NUL, which PostgreSQL cannot hold,
    becomes the replacement character.
    """
    match value:
        case dict():
            return {_storable(name): normalised(item) for name, item in value.items() if item is not None}
        case list():
            return [normalised(item) for item in value]
        case str():
            return _storable(_time_or_text(value))
        case float() if value.is_integer():
            return int(value)
    return value


def canonical_text(value: Any) -> str:
    """A JSON value as text with sorted names. Raises Refused where a number is too large to be one."""
    try:
        return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    except ValueError:
        raise Refused(UnreadableReason.NOT_A_NUMBER, "a number is too large") from None


def _time_or_text(text: str) -> str:
    if len(text) < len("2026-03-02T10:00:00Z") or text[4] != "-":
        return text
    when = parse_rfc3339(text)
    return text if when is None else rfc3339(when)


def _storable(text: str) -> str:
    return text.replace("\x00", "\ufffd")
