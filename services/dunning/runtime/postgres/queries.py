"""The statements of a `queries.sql`, by name."""

import re
from importlib import resources

_BLOCK = re.compile(r"^-- name: (\w+)\n(.*?)(?=^-- name: |\Z)", re.MULTILINE | re.DOTALL)
_COMMENT_LINE = re.compile(r"^--.*\n", re.MULTILINE)


def load_queries(package: str) -> dict[str, str]:
    """Those of the file that lies in a package, beside the code that uses them."""
    text = resources.files(package).joinpath("queries.sql").read_text(encoding="utf-8")
    return {name: f"-- {name}\n{_COMMENT_LINE.sub('', body).strip()}" for name, body in _BLOCK.findall(text)}


QUERIES = load_queries(__package__)
"""Each begins with its name as a comment, so that the server's own views show which one runs."""
