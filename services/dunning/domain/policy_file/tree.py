"""YAML text to a small tree of values that know where they stand.

Built from the parser's events rather than from constructed objects: nothing is ever instantiated from a tag, a number
keeps the text it was written as, and depth and size are bounded while reading, so that neither nesting nor aliases
that multiply each other can exhaust the process.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import yaml

from dunning.domain.policy_file.problems import Code, Place

FILE_BYTES_MAX = 256 * 1024
DEPTH_MAX = 20
NODES_MAX = 20_000  # counted with every alias expanded
_TAG_PREFIX = "tag:yaml.org,2002:"


class Kind(StrEnum):
    """What YAML takes an unquoted scalar for; the traps of its rules are explained where a kind is refused."""

    TEXT = "text"
    INTEGER = "integer"
    DECIMAL = "decimal"
    TRUTH = "truth"
    NOTHING = "nothing"
    DATE = "date"


_KINDS = {
    "int": Kind.INTEGER,
    "float": Kind.DECIMAL,
    "bool": Kind.TRUTH,
    "null": Kind.NOTHING,
    "timestamp": Kind.DATE,
}


@dataclass(frozen=True, slots=True)
class Scalar:
    """A single value as it was written; quoted ones are always text."""

    place: Place
    text: str
    kind: Kind


@dataclass(frozen=True, slots=True)
class Items:
    """A list."""

    place: Place
    items: tuple["Node", ...]


@dataclass(frozen=True, slots=True)
class Table:
    """A mapping with its keys in the order of the file, repeated ones included."""

    place: Place
    entries: tuple[tuple[Scalar, "Node"], ...]


Node = Scalar | Items | Table


class UnreadableError(Exception):
    """The text is no tree that a policy could be; carries what a problem needs."""

    def __init__(self, code: Code, place: Place, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.place = place
        self.message = message


@dataclass(slots=True)
class _Open:
    """A list or mapping whose end has not come yet."""

    place: Place
    anchor: str | None
    is_table: bool
    size: int = 1
    children: list[Node] = field(default_factory=list)


def read_tree(text: str) -> Node:
    """The one document of a YAML text. Raises UnreadableError, and nothing else whatever the text is."""
    loader: Any = None
    try:
        loader = yaml.SafeLoader(text)
        return _Builder(loader).read()
    except yaml.reader.ReaderError as error:
        place = _place_of_index(text, error.position)
        raise UnreadableError(Code.NOT_YAML, place, "a character that YAML does not allow; remove it") from None
    except yaml.MarkedYAMLError as error:
        place = _place(error.problem_mark or error.context_mark)
        raise UnreadableError(Code.NOT_YAML, place, f"not YAML: {error.problem or error.context}") from None
    except (ValueError, OverflowError):  # the scanner lets these through for numbers beyond all characters
        raise UnreadableError(Code.NOT_YAML, _place(loader.get_mark()), "not YAML: a number is too large") from None


class _Builder:
    """Turns the events of one document into a tree, without recursion."""

    def __init__(self, loader: Any) -> None:
        self._loader = loader
        self._open: list[_Open] = []
        self._anchors: dict[str, tuple[Node, int]] = {}
        self._root: Node | None = None

    def read(self) -> Node:
        while self._loader.check_event():
            self._take(self._loader.get_event())
        if self._root is None:
            raise UnreadableError(Code.NOT_YAML, Place(1, 1), "the file is empty; a policy starts with `id:`")
        return self._root

    def _take(self, event: Any) -> None:
        place = _place(event.start_mark)
        tag, anchor = getattr(event, "tag", None), getattr(event, "anchor", None)
        if tag is not None:
            raise UnreadableError(Code.NOT_YAML, place, f"the tag {tag}: tags have no place in a policy")
        match event:
            case yaml.DocumentStartEvent() if self._root is not None:
                raise UnreadableError(Code.NOT_YAML, place, "a second document; write one policy per file")
            case yaml.AliasEvent():
                self._add(*self._anchored(str(anchor), place), anchor=None)
            case yaml.ScalarEvent():
                self._add(self._scalar(event, place), 1, anchor=anchor)
            case yaml.SequenceStartEvent() | yaml.MappingStartEvent():
                if len(self._open) >= DEPTH_MAX:
                    raise UnreadableError(Code.TOO_LARGE, place, f"nested deeper than {DEPTH_MAX} levels")
                self._open.append(_Open(place, anchor, isinstance(event, yaml.MappingStartEvent)))
            case yaml.SequenceEndEvent() | yaml.MappingEndEvent():
                closed = self._open.pop()
                node = _table(closed) if closed.is_table else Items(closed.place, tuple(closed.children))
                self._add(node, closed.size, anchor=closed.anchor)

    def _scalar(self, event: Any, place: Place) -> Scalar:
        tag = self._loader.resolve(yaml.ScalarNode, event.value, event.implicit)
        return Scalar(place, event.value, _KINDS.get(str(tag).removeprefix(_TAG_PREFIX), Kind.TEXT))

    def _anchored(self, anchor: str, place: Place) -> tuple[Node, int]:
        if anchor not in self._anchors:  # an anchor that is still open counts as unknown: no value can hold itself
            raise UnreadableError(Code.NOT_YAML, place, f"*{anchor}: nothing before this is anchored as &{anchor}")
        return self._anchors[anchor]

    def _add(self, node: Node, size: int, *, anchor: str | None) -> None:
        if anchor is not None:
            self._anchors[anchor] = (node, size)
        if not self._open:
            self._root = node
            return
        parent = self._open[-1]
        parent.children.append(node)
        parent.size += size
        if parent.size > NODES_MAX:
            message = f"more than {NODES_MAX} values, counting those that aliases repeat"
            raise UnreadableError(Code.TOO_LARGE, parent.place, message)


def _table(closed: _Open) -> Table:
    entries = []
    for key, value in zip(closed.children[::2], closed.children[1::2], strict=True):
        if not isinstance(key, Scalar):
            raise UnreadableError(Code.NOT_YAML, key.place, "a list or mapping as a key; a key is a word")
        entries.append((key, value))
    return Table(closed.place, tuple(entries))


def _place(mark: Any) -> Place:
    return Place(mark.line + 1, mark.column + 1) if mark is not None else Place(1, 1)


def _place_of_index(text: str, index: int) -> Place:
    before = text[:index]
    return Place(before.count("\n") + 1, index - before.rfind("\n"))
