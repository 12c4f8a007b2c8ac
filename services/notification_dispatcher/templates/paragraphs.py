"""Blocks of wording as paragraphs of a plain text or an HTML mail. Pure."""

import re
import textwrap
from collections.abc import Callable

from markupsafe import Markup, escape

_TEXT_WIDTH = 72
_BLANK_LINES = re.compile(r"\n[ \t]*\n")
_SPACES = re.compile(r"[ \t\n]+")


def text_paragraphs(block: str) -> str:
    """Each paragraph wrapped for reading as plain text. A no-break space stays one: an amount is never torn apart."""
    return "\n\n".join(_each_paragraph(block, _wrapped))


def html_paragraphs(block: str) -> Markup:
    """Each paragraph in its `<p>`. What the engine escaped already stays as it is, anything else is escaped."""
    return Markup("\n".join(_each_paragraph(escape(block), lambda text: f"<p>{text}</p>")))


def _each_paragraph(block: str, form: Callable[[str], str]) -> list[str]:
    return [form(_SPACES.sub(" ", part.strip(" \t\n"))) for part in _BLANK_LINES.split(block.strip(" \t\n"))]


def _wrapped(paragraph: str) -> str:
    return textwrap.fill(paragraph, _TEXT_WIDTH, break_long_words=False, break_on_hyphens=False)
