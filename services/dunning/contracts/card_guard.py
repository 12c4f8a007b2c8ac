"""No card number ever (rule 6): finds card numbers in bodies and masks them.

A card number is 13 to 19 digits that start with 2 to 6 and pass the Luhn check. Spaces and dashes between the digits
are ignored, and it is not inside a longer word, so that neither `ord4111111111111111x` nor a UUID is one. Where digits
come in groups, every run of whole groups is tried: a date before a number or a check code behind it hides nothing.

Nearly every body is clean, so the first look costs a microsecond and sees bytes only; fields are told apart only where
the bytes hold something that could be a card.
"""

import json
import re
from bisect import bisect_left
from collections.abc import Iterator
from itertools import accumulate
from typing import Any

from dunning.contracts.luhn import DIGITS_MAX, DIGITS_MIN, LONG_RUN_LENGTH, Span, luhn_windows, passes_luhn

_DASHES = "-\u00ad\u2010-\u2015\u2212"
_SPACES = " \u00a0\u2000-\u200a\u202f\u205f\u3000"
_RUN = re.compile(rf"[0-9](?:[{_DASHES}{_SPACES}]*[0-9]){{12,}}")
_GROUP = re.compile(r"[0-9]+")
_UUID = re.compile(r"(?<!\w)[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}(?!\w)")

# The first look: every digit becomes `0`, everything that may stand between two digits goes, the rest becomes `x`.
_SHAPE = bytes(0x30 if 0x30 <= byte <= 0x39 else 0x78 for byte in range(256))
_PLAIN = bytes(byte if 0x30 <= byte <= 0x39 else 0x78 for byte in range(256))
_BETWEEN = b" -\x00" + bytes(range(0x80, 0xC0)) + b"\xc2\xe2\xe3"
_ENOUGH_DIGITS = b"0" * DIGITS_MIN
_ESCAPED_DIGIT_OR_SEPARATOR = re.compile(rb"\\u(?:00[23aA]|20|22|30)")
_SHORT_RUN = 40
_EXEMPT_MEMBER = re.compile(
    rb'(?<!\\)"(?:(?:id|number|fingerprint|phone|last4|[a-z_]*_(?:id|url))"\s*:\s*(?:"[^"\\]*"|-?[0-9]+)'
    rb'|[a-z_]*_minor"\s*:\s*-?[0-9]+)'
)

_EXEMPT_NAMES = frozenset({"id", "number", "fingerprint", "phone", "last4"})
_EXEMPT_ENDS = ("_id", "_url")
_URL_STARTS = ("http://", "https://")


def looks_clean(raw: bytes) -> bool:
    """Whether the bytes cannot hold a card number in any field, however it is written. False says: look closer."""
    if b"\\u" in raw and _ESCAPED_DIGIT_OR_SEPARATOR.search(raw):
        return False
    return _no_card_shapes(raw) or _no_card_shapes(_EXEMPT_MEMBER.sub(b"x", raw))


def _no_card_shapes(raw: bytes) -> bool:
    shape = raw.translate(_SHAPE, _BETWEEN)
    return _ENOUGH_DIGITS not in shape or not any(_may_be_card(run) for run in _long_runs(raw, shape))


def _long_runs(raw: bytes, shape: bytes) -> Iterator[bytes]:
    """Runs of at least 13 digits, whatever stood between them."""
    plain = raw.translate(_PLAIN, _BETWEEN)
    end = 0
    while (start := shape.find(_ENOUGH_DIGITS, end)) >= 0:
        end = shape.find(b"x", start)
        end = len(shape) if end < 0 else end
        yield plain[start:end]


def _may_be_card(run: bytes) -> bool:
    """Whether any 13 to 19 digits in a row could be one; a very long run is left to the closer look."""
    return len(run) > _SHORT_RUN or any(
        passes_luhn(run[start : start + length])
        for start in range(len(run) - DIGITS_MIN + 1)
        if run[start] in b"23456"
        for length in range(DIGITS_MIN, min(DIGITS_MAX, len(run) - start) + 1)
    )


def _is_word(text: str, at: int) -> bool:
    return 0 <= at < len(text) and (text[at].isalnum() or text[at] == "_")


def _cards_in_run(text: str, run: re.Match[str]) -> Iterator[tuple[Span, str]]:
    """Place and digits of every card number in one run of digits."""
    groups = [match.span() for match in _GROUP.finditer(text, *run.span())]
    digits = "".join(text[start:end] for start, end in groups)
    offsets = list(accumulate((end - start for start, end in groups), initial=0))
    first = 1 if _is_word(text, run.start() - 1) else 0
    last = len(groups) - (1 if _is_word(text, run.end()) else 0)
    for start, end in luhn_windows(digits, offsets[first:-1], offsets[1 : last + 1]):
        place = groups[bisect_left(offsets, start)][0], groups[bisect_left(offsets, end) - 1][1]
        yield place, digits[start:end]


def cards_in_text(text: str) -> Iterator[tuple[Span, str]]:
    """Place and digits of every card number in a text; of an endless run of digits the first says enough."""
    uuids: list[Span] | None = None
    for run in _RUN.finditer(text):
        for span, digits in _cards_in_run(text, run):
            if uuids is None:
                uuids = [match.span() for match in _UUID.finditer(text)]
            if not any(start <= span[0] and span[1] <= end for start, end in uuids):
                yield span, digits
                if len(run[0]) > LONG_RUN_LENGTH:
                    break


def card_numbers(raw: bytes) -> frozenset[str] | None:
    """The digits of every card number in a JSON body, by the fields that rule 6 looks at. None: it is not JSON."""
    try:
        body = json.loads(raw.decode(), object_pairs_hook=_Pairs)
    except (ValueError, RecursionError):
        return None
    return frozenset(digits for text in _texts(body) for _, digits in cards_in_text(text))


class _Pairs(list[tuple[str, Any]]):
    """An object with its duplicate names, each of which could hide something."""


def _texts(body: Any) -> Iterator[str]:
    """Everything that rule 6 looks at, as text."""
    waiting: list[tuple[str, Any]] = [("", body)]
    while waiting:
        name, value = waiting.pop()
        if isinstance(value, _Pairs):
            yield from (key for key, _ in value)
            waiting.extend(value)
        elif isinstance(value, list):
            waiting.extend((name, item) for item in value)
        elif isinstance(value, str) and not _is_exempt(name) and not value.startswith(_URL_STARTS):
            yield value
        elif type(value) is int and abs(value) < 10**DIGITS_MAX and not _is_exempt(name) and not _is_money(name):
            yield str(abs(value))


def _is_exempt(name: str) -> bool:
    return name in _EXEMPT_NAMES or name.endswith(_EXEMPT_ENDS)


def _is_money(name: str) -> bool:
    return name.endswith("_minor")
