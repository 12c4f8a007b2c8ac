"""Text from outside, made safe to stand in a header or a sentence. Pure."""

import unicodedata

# Zero-width joiners are letters' business in several scripts; every other invisible character is dropped, above all
# those that turn the writing direction and can make a text look like another one.
_JOINERS = frozenset("\N{ZERO WIDTH JOINER}\N{ZERO WIDTH NON-JOINER}")
_SPACES = frozenset({"Cc", "Zl", "Zp", "Zs"})
_DROPPED = frozenset({"Cf", "Cs", "Co", "Cn"})


def one_line(text: str, length_max: int = 120) -> str:
    """The text on one line: no newlines, control characters or lone surrogates, runs of spaces made one, bounded."""
    kept = []
    for character in unicodedata.normalize("NFC", text[: 4 * length_max]):
        category = unicodedata.category(character)
        if category in _SPACES and character != "\N{NO-BREAK SPACE}":
            kept.append(" ")
        elif category not in _DROPPED or character in _JOINERS:
            kept.append(character)
    line = " ".join(part for part in "".join(kept).split(" ") if part)
    return line if len(line) <= length_max else line[: length_max - 1].rstrip() + "…"
