"""A folder for bounces that several instances read at once (rule 30)."""

import os
from pathlib import Path

from notification_dispatcher.bounces.folder import FolderBox


class Hurried(FolderBox):
    """Another instance takes one of the mails while this one looks."""

    def _is_mail(self, entry: "os.DirEntry[str]") -> bool:
        is_mail = super()._is_mail(entry)
        if entry.name == "taken.eml":
            os.unlink(entry.path)
        return is_mail


def test_a_mail_that_another_instance_takes_meanwhile_is_no_trouble(tmp_path: Path) -> None:
    for name in ("here.eml", "taken.eml"):
        (tmp_path / name).write_bytes(b"Subject: x\n\n")

    assert [found.key for found in Hurried(tmp_path).look()] == ["here.eml"]
