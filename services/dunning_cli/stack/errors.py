"""The codes of everything that can go wrong with the local stack."""

import errno
from collections.abc import Sequence
from pathlib import Path

from dunning_cli.errors import CommandError

PACKAGES_MISSING = "DUN-L001"
DOWNLOAD_FAILED = "DUN-L002"
CHECKSUM_WRONG = "DUN-L003"
DISK_FULL = "DUN-L004"
FILE_UNUSABLE = "DUN-L005"
PORT_TAKEN = "DUN-L006"
PART_DIED = "DUN-L007"
PART_NOT_READY = "DUN-L008"
ALREADY_RUNNING = "DUN-L009"
NO_INFRA = "DUN-L010"
CHECKOUT_MISSING = "DUN-L011"
PREPARATION_FAILED = "DUN-L012"

FREE_BYTES_MIN = 512 * 1024 * 1024


class StackError(CommandError):
    """The local stack cannot go on; the message says what to do."""


def from_os_error(error: OSError) -> StackError:
    """The one line for a file or a disk that does not do as it should."""
    where = f" {error.filename}" if error.filename else ""
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return StackError(DISK_FULL, f"no space left on the disk of{where or ' the data directory'}: free some")
    return StackError(FILE_UNUSABLE, f"cannot use{where}: {(error.strerror or str(error)).lower()}")


def cause_in_log(log: Path) -> str:
    """What the end of a dead part's log says, in one line: a known cause by its name, else its last words."""
    return cause_in_words(_last_lines(log))


def cause_in_words(lines: Sequence[str]) -> str:
    """What a program said before it gave up, in one line."""
    for sign, meaning in _KNOWN_CAUSES.items():
        if any(sign in line for line in lines):
            return meaning
    words = [line.strip() for line in lines if line.strip() and not line.strip().startswith("at ")]
    return words[-1] if words else "it left no word"


_KNOWN_CAUSES = {
    "No space left on device": f"no space left on its disk ({DISK_FULL})",
    "Address already in use": f"its port is taken by another program ({PORT_TAKEN})",
    "There is insufficient memory": "not enough memory for its heap",
}


def _last_lines(log: Path, *, bytes_max: int = 8192) -> list[str]:
    if not log.exists():
        return []
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - bytes_max))
        text = file.read().decode(errors="replace")
    return [line.strip() for line in text.splitlines() if line.strip()][-20:]
