"""The statements of `queries.sql`, by name."""

import re
from importlib import resources

_BLOCK = re.compile(r"^-- name: (\w+)\n(.*?)(?=^-- name: |\Z)", re.MULTILINE | re.DOTALL)
_COMMENT_LINE = re.compile(r"^--.*\n", re.MULTILINE)


def _load() -> dict[str, str]:
    text = resources.files(__package__).joinpath("queries.sql").read_text(encoding="utf-8")
    return {name: f"-- {name}\n{_COMMENT_LINE.sub('', body).strip()}" for name, body in _BLOCK.findall(text)}


QUERIES = _load()
"""Each begins with its name as a comment, so that the server's own views show which one runs."""
