"""Masks card numbers in the bytes of a message, whatever these bytes are: valid JSON, broken JSON, no text at all.

It works on the bytes as they came, so that a dead letter differs from its original in the masked digits only. Every
digit but the last four becomes `*`, the spaces and dashes between them stay.
"""

import base64
import re
from collections.abc import Iterator
from itertools import pairwise

from dunning.contracts.card_guard import cards_in_text
from dunning.contracts.luhn import LONG_RUN_LENGTH, Span, luhn_windows

DIGITS_SHOWN = 4

# The bytes are read as Latin-1, one character a byte. A digit may be written as an escape, and what stands between two
# digits may be an escape, a character of several bytes, or the zero bytes of UTF-16.
_DIGIT = r"(?:[0-9]|\\u003[0-9])"
_BETWEEN = (
    r"(?:[ \x00-]|\\u(?:00(?:20|2[dD]|[aA][0dD])|20[01][0-9a-fA-F]|202[fF]|205[fF]|2212|3000)"
    r"|\xc2[\xa0\xad]|\xe2\x80[\x80-\x95\xaf]|\xe2\x81\x9f|\xe2\x88\x92|\xe3\x80\x80)"
)
_RUN_OR_ESCAPE = re.compile(rf"(?P<run>{_DIGIT}(?:{_BETWEEN}*{_DIGIT}){{12,}})|\\(?:u[0-9a-fA-F]{{4}}|.)", re.DOTALL)
_EACH_DIGIT = re.compile(rf"{_BETWEEN}+|({_DIGIT})")


def mask(raw: bytes, cards: frozenset[str] | None) -> bytes | None:
    """The bytes with these card numbers masked; None where there was nothing to mask.

    `cards` is what `card_numbers` found. Where that is None, the bytes are no JSON and no field is exempt: everything
    that could be a card number is masked.
    """
    if cards is not None and not cards:
        return None
    text = raw.decode("latin-1")
    pieces: list[str] = []
    done = 0
    for match in _RUN_OR_ESCAPE.finditer(text):
        if match["run"]:
            pieces += (text[done : match.start()], _mask_run(text, match, cards))
            done = match.end()
    masked = ("".join(pieces) + text[done:]).encode("latin-1")
    return None if masked == raw else masked


def _mask_run(text: str, run: re.Match[str], cards: frozenset[str] | None) -> str:
    places = [match.span() for match in _EACH_DIGIT.finditer(text, *run.span()) if match[1]]
    digits = "".join(text[end - 1] for _, end in places)
    spans = _spans(text, places, digits, every_place=cards is not None)
    found: Iterator[Span] = ((start, end) for start, end in spans if cards is None or digits[start:end] in cards)
    if len(run[0]) > LONG_RUN_LENGTH and next(found, None):
        found = iter([(0, len(digits))])
    hidden = {at for start, end in found for at in range(start, end - DIGITS_SHOWN)}
    return _rebuilt(text, run.span(), places, hidden)


def _spans(text: str, places: list[Span], digits: str, every_place: bool) -> Iterator[Span]:
    """Where the card numbers lie: at the borders of groups and words, or anywhere when it is known which they are."""
    if every_place:
        return luhn_windows(digits, range(len(digits)), range(len(digits) + 1))
    gaps = [0 if before[1] == after[0] else 1 for before, after in pairwise(places)]
    starts = [at for at, gap in enumerate([not _in_word_before(text, places[0][0]), *gaps]) if gap]
    ends = [at + 1 for at, gap in enumerate([*gaps, not _in_word_after(text, places[-1][1])]) if gap]
    return luhn_windows(digits, starts, ends)


def _in_word_before(text: str, at: int) -> bool:
    """Whether a letter, digit or underscore stands right before; an escape such as `\\n` is no letter."""
    before = text[max(0, at - 6) : at]
    escape = re.search(r"\\(?:u[0-9a-fA-F]{4}|[^u])\Z", before, re.DOTALL)
    return not escape and bool(re.search(r"[A-Za-z0-9_]\Z", before))


def _in_word_after(text: str, at: int) -> bool:
    return bool(re.match(r"[A-Za-z0-9_]", text[at : at + 1]))


def _rebuilt(text: str, whole: Span, places: list[Span], hidden: set[int]) -> str:
    pieces: list[str] = []
    done = whole[0]
    for at, (start, end) in enumerate(places):
        pieces += (text[done:start], "*" if at in hidden else text[start:end])
        done = end
    return "".join(pieces)


def mask_base64(raw: bytes, encoded: str, cards: frozenset[str] | None) -> bytes | None:
    """A structured event with the card numbers inside its `data_base64` masked.

    Where the text cannot be found in the bytes (somebody escaped it), all of it goes.
    """
    inner = mask(base64.b64decode(encoded), cards)
    if inner is None:
        return None
    written = encoded.encode()
    return raw.replace(written, base64.b64encode(inner)) if written in raw else b'{"data_base64":"*"}'


def mask_text(text: str) -> str:
    """A text for logs and error messages, with card numbers masked."""
    for (start, end), _ in cards_in_text(text):
        kept = end - DIGITS_SHOWN
        text = text[:start] + re.sub(r"[0-9]", "*", text[start:kept]) + text[kept:]
    return text
