"""Which file lies where in the data directory of a local stack."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from dunning_cli.stack.errors import CHECKOUT_MISSING, StackError, from_os_error

CHECKOUT = Path(__file__).resolve().parents[3]
DEFAULT_DATA_DIR = Path(".dunning")


@dataclass(frozen=True)
class Layout:
    """The paths of one local stack; everything it writes lies below `root`."""

    root: Path

    @classmethod
    def at(cls, data_dir: Path) -> "Layout":
        """The layout of a data directory, whose folders exist from now on."""
        layout = cls(data_dir.expanduser().resolve())
        try:
            for folder in (layout.root, layout.logs, layout.records):
                folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise from_os_error(error) from error
        return layout

    @property
    def env_file(self) -> Path:
        return self.root / "env"

    @property
    def ports_file(self) -> Path:
        return self.root / "ports"

    @property
    def logs(self) -> Path:
        return self.root / "logs"

    @property
    def records(self) -> Path:
        """One file per started process, by which a later `up` or `down` recognises it."""
        return self.root / "run"

    @property
    def mail_dir(self) -> Path:
        return self.root / "mail"

    @property
    def kafka_dir(self) -> Path:
        return self.root / "kafka"

    @property
    def postgres_dir(self) -> Path:
        return self.root / "postgres"

    def log_of(self, part: str) -> Path:
        return self.logs / f"{part}.log"

    def record_of(self, part: str) -> Path:
        return self.records / f"{part}.stat"

    def lock_of(self, scope: str) -> Path:
        return self.records / f"{scope}.lock"


@contextmanager
def made_beside(folder: Path) -> Iterator[Path]:
    """Where to make `folder`, which gets its name when it is whole: a half-made one is never taken for it.

    Each try has a place of its own: whoever made the last one may have been killed while its helper still writes there.
    """
    for earlier_try in folder.parent.glob(f"{folder.name}-unfinished-*"):
        shutil.rmtree(earlier_try, ignore_errors=True)
    unfinished = folder.with_name(f"{folder.name}-unfinished-{os.getpid()}")
    yield unfinished
    unfinished.rename(folder)


def deploy_dir() -> Path:
    """The `deploy` folder of the checkout: the local stack runs from one, not from a wheel."""
    folder = CHECKOUT / "deploy"
    if not folder.is_dir():
        raise StackError(CHECKOUT_MISSING, f"{folder} does not exist: run `dunning` from a checkout (`make install`)")
    return folder
