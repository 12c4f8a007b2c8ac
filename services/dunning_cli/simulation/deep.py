"""Lines whose `data` nests deeper than the services read: they say what becomes of it, not the parser of lines, which
reads 1023 levels and writes 254."""

import re

from dunning.contracts.validation import NESTING_MAX

_TOKEN = re.compile(rb'"(?P<text>[^"\\]*(?:\\.[^"\\]*)*)(?:"(?P<named>\s*:\s*)?|\Z)|[\[{\]}]', re.DOTALL)


def cut_deep_data(line: bytes) -> tuple[bytes, bytes | None]:
    """A line with an empty object for its `data`, and the data as written, where that nests deeper than `NESTING_MAX`.

    Any other line stays as it is, with None. Nothing is parsed: what is no JSON is left to whoever parses the rest.
    """
    if line.count(b"{") + line.count(b"[") <= NESTING_MAX:
        return line, None
    level = deepest = start = 0
    named_at = -1  # where the value of a member `data` stands
    found: slice | None = None  # of several the last one counts
    for token in _TOKEN.finditer(line):
        match token[0][:1]:
            case b"{" | b"[":
                if level == 1:
                    start, deepest = token.start(), 0
                deepest = max(deepest, level)
                level += 1
            case b"}" | b"]":
                level -= 1
                if level == 1 and start == named_at:
                    found = slice(start, token.end()) if deepest > NESTING_MAX else None
            case _ if level == 1 and token["named"] and token["text"] == b"data":
                named_at = token.end()
    if found is None or line[found][:1] != b"{":
        return line, None
    return line[: found.start] + b"{}" + line[found.stop :], line[found]
