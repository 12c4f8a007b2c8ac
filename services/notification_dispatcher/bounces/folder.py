"""A folder of `.eml` files, or a Maildir, as a box. Every move is a rename within it, so a mail is never half moved."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

from notification_dispatcher.bounces.box import MAILS_AT_ONCE, BoxTrouble, Found

_OTHER = "other"
_DONE = "done"


class FolderBox:
    """Of a folder with `new` and `cur`, what lies in `new` is read and goes to `cur`; of any other its `.eml` files are
    read and go to `done`. What is no bounce of ours goes to `other`. Whoever puts mails in renames them into place."""

    name = "folder"

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def look(self) -> Sequence[Found]:
        with _told(self._folder), os.scandir(self._inbox) as entries:
            found = (_found(entry) for entry in entries if self._is_mail(entry))
            return list(islice((mail for mail in found if mail is not None), MAILS_AT_ONCE))

    def read(self, mail: Found) -> bytes | None:
        with _told(self._folder):
            try:
                return (self._inbox / mail.key).read_bytes()
            except FileNotFoundError:
                return None

    def done(self, mail: Found) -> None:
        seen = "" if ":2," in mail.key else ":2,S"
        self._move(mail, f"cur/{mail.key}{seen}" if self._is_maildir else f"{_DONE}/{mail.key}")

    def set_aside(self, mail: Found) -> None:
        self._move(mail, f"{_OTHER}/{mail.key}")

    def leave(self) -> None:
        """Nothing is kept open."""

    @property
    def _is_maildir(self) -> bool:
        return (self._folder / "new").is_dir() and (self._folder / "cur").is_dir()

    @property
    def _inbox(self) -> Path:
        return self._folder / "new" if self._is_maildir else self._folder

    def _is_mail(self, entry: "os.DirEntry[str]") -> bool:
        """A real file: what is linked here or waits in a pipe was put there by nobody who delivers mail."""
        named = not entry.name.startswith(".") and (self._is_maildir or entry.name.lower().endswith(".eml"))
        return named and entry.is_file(follow_symlinks=False)

    def _move(self, mail: Found, place: str) -> None:
        with _told(self._folder):
            target = self._folder / place
            target.parent.mkdir(exist_ok=True)
            number = 0
            while target.exists():  # a name that came before: neither mail may be lost
                number += 1
                target = self._folder / f"{place}.{number}"
            try:
                (self._inbox / mail.key).rename(target)
            except FileNotFoundError:
                return  # another instance was faster, and told the same


def _found(entry: "os.DirEntry[str]") -> Found | None:
    """None where another instance took it meanwhile."""
    try:
        return Found(entry.name, entry.stat(follow_symlinks=False).st_size)
    except FileNotFoundError:
        return None


@contextmanager
def _told(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise BoxTrouble(f"DUNNING_BOUNCE_DIR {folder} cannot be used ({error.strerror}: {error.filename})") from error
