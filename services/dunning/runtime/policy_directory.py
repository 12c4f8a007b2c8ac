"""Policy files on disk: which there are and what is in them. What they mean is `dunning.domain.policy_file`."""

from collections.abc import Iterable
from pathlib import Path

from dunning.domain.policy_file import FILE_BYTES_MAX, SHIPPED_TEMPLATES

SUFFIXES = (".yaml", ".yml")


def read_policy_files(paths: Iterable[Path]) -> list[tuple[str, bytes]]:
    """Names and contents of files, and of the policy files in directories, by name and not below them.

    Raises OSError where something cannot be read. Of a file that is too large, just enough is read to be refused.
    """
    return [(str(file), _content(file)) for path in paths for file in _files(path)]


def known_templates(own: Path | None) -> frozenset[str]:
    """The names that policies may use: the shipped templates, and own ones (`LANGUAGE/NAME.txt`) in a directory."""
    found = own.glob("*/*.txt") if own is not None else ()
    return SHIPPED_TEMPLATES | {path.stem for path in found if not path.name.startswith(("_", "."))}


def _files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    return sorted(file for file in path.iterdir() if file.suffix in SUFFIXES and not file.name.startswith("."))


def _content(file: Path) -> bytes:
    with file.open("rb") as opened:
        return opened.read(FILE_BYTES_MAX + 1)
