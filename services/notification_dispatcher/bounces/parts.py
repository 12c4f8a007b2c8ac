"""Just enough of MIME to read a bounce: one level of parts, and nothing that grows faster than the mail. Pure.

The standard library's parser takes a mail apart to its last leaf, so that whoever nests deeply enough ends the process;
and anybody can write to a box for bounces.
"""

import binascii
import quopri
import re
from dataclasses import dataclass

_HEAD_BYTES_MAX = 64 * 1024
_VALUE_LENGTH_MAX = 4000
_PARTS_MAX = 20
_FIELD = re.compile(r"([!-9;-~]{1,80}):(.*)", re.DOTALL)
_HEAD_END = re.compile(rb"\r?\n\r?\n")
_BOUNDARY = re.compile(r';\s*boundary\s*=\s*(?:"([^"]{1,200})"|([^\s;"]{1,200}))', re.IGNORECASE)


class Garbled(ValueError):
    """Not a mail that can be read."""


@dataclass(frozen=True, slots=True)
class Part:
    """A mail or a part of one: its headers by name in lower case, in their order, and its body as it came."""

    headers: dict[str, list[str]]
    body: bytes

    def header(self, name: str) -> str:
        """The first header of this name, unfolded; empty where there is none."""
        return next(iter(self.headers.get(name.lower(), ())), "")

    @property
    def content_type(self) -> str:
        """In lower case, without parameters."""
        return self.header("Content-Type").partition(";")[0].strip().lower()

    @property
    def content(self) -> bytes:
        """The body, decoded. Raises Garbled."""
        try:
            match self.header("Content-Transfer-Encoding").strip().lower():
                case "base64":
                    return binascii.a2b_base64(self.body)
                case "quoted-printable":
                    return quopri.decodestring(self.body)
        except ValueError:
            raise Garbled("an encoding that does not decode") from None
        return self.body

    def parts(self) -> list["Part"]:
        """The parts right below this one. Raises Garbled where there are too many, or no boundary between them."""
        found = _BOUNDARY.search(self.header("Content-Type"))
        if found is None:
            raise Garbled("no boundary")
        boundary = (found[1] or found[2]).encode("latin-1", "replace")
        delimiter = re.compile(rb"(?:\A|\n)--" + re.escape(boundary) + rb"(--)?[ \t]*(?=\r?\n|\Z)")
        pieces: list[bytes] = []
        begin: int | None = None
        for cut in delimiter.finditer(self.body):
            if begin is not None:
                pieces.append(self.body[begin : cut.start()].removesuffix(b"\r"))
            begin = cut.end()
            if len(pieces) > _PARTS_MAX:
                raise Garbled("too many parts")
            if cut[1]:
                begin = None
                break
        if begin is not None:  # cut off before its end, as some servers do with what they return
            pieces.append(self.body[begin:])
        return [read_part(re.sub(rb"\A\r?\n", b"", piece)) for piece in pieces]


def read_part(content: bytes) -> Part:
    """Headers and body of a mail or a part. Raises Garbled where the headers do not end."""
    if content.startswith((b"\n", b"\r\n")):
        return Part({}, content.lstrip(b"\r").removeprefix(b"\n"))
    end = _HEAD_END.search(content, 0, _HEAD_BYTES_MAX)
    if end is None and len(content) > _HEAD_BYTES_MAX:
        raise Garbled("headers without an end")
    head = content[: end.start()] if end else content
    return Part(read_fields(head), content[end.end() :] if end else b"")


def read_fields(head: bytes) -> dict[str, list[str]]:
    """Header fields by name in lower case, unfolded; what is none is passed over."""
    fields: dict[str, list[str]] = {}
    for line in re.sub(rb"\r?\n(?=[ \t])", b"", head).decode("utf-8", "replace").split("\n"):
        found = _FIELD.match(line)
        if found:
            fields.setdefault(found[1].lower(), []).append(found[2].strip()[:_VALUE_LENGTH_MAX])
    return fields
