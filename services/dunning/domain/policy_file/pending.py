"""Policy keys that are part of the format but not in force yet (rule 44).

One table: to bring a key into force, delete its row here and use what its reader returns. Each row says which values
ask for something that would not happen; the others are what happens today anyway and may be written.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from dunning.domain.policy_file.tree import Node, Scalar


@dataclass(frozen=True, slots=True)
class Pending:
    """A key whose effect does not exist yet."""

    asks: Callable[[Node], bool]  # whether this value would need what is not there
    instead: str  # what its author can do today


def _always(node: Node) -> bool:  # noqa: ARG001
    return True


def _anything_but(word: str) -> Callable[[Node], bool]:
    return lambda node: not (isinstance(node, Scalar) and node.text == word)


def _only(word: str) -> Callable[[Node], bool]:
    return lambda node: isinstance(node, Scalar) and node.text == word


NOT_IN_FORCE: Mapping[str, Pending] = {
    "retries.strategy": Pending(_only("adaptive"), 'write "ladder"'),
    "ladder[].fee": Pending(_always, "leave it out"),
}
