"""Where the platform is that a command looks at: one way for all commands.

A setting is taken from the environment, else from the file that `dunning up` writes (`.dunning/env`). Whoever names a
data directory means the stack that runs there, whatever the environment says.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dunning_cli.errors import CommandError
from dunning_cli.stack.env_file import read_env_file
from dunning_cli.stack.layout import CHECKOUT, DEFAULT_DATA_DIR

if TYPE_CHECKING:
    from dunning.runtime.settings import Settings

NOTHING_HERE = "DUN-C001"
_REQUIRED = ("DUNNING_KAFKA_BOOTSTRAP_SERVERS", "DUNNING_DATABASE_URL")

DataDir = Annotated[
    Path | None,
    typer.Option(
        "--data-dir",
        metavar="DIR",
        help="Look at the stack of `dunning up --data-dir DIR`.  [default: the environment, else .dunning]",
    ),
]


@dataclass(frozen=True)
class Place:
    """The settings in force, by the names that the environment has for them."""

    named: Mapping[str, str]

    @property
    def settings(self) -> "Settings":
        """The kernel's settings. Raises Problem where one is wrong."""
        from dunning.runtime.settings import Settings, load_settings

        fields = Settings.model_fields
        given = {name.removeprefix("DUNNING_").lower(): value for name, value in self.named.items()}
        return load_settings(Settings, **{name: value for name, value in given.items() if name in fields})

    @property
    def policy_dir(self) -> Path:
        """The directory of policies: the named one, else the one that `dunning up` uses by default, there or not."""
        named = self.named.get("DUNNING_POLICY_DIR")
        return Path(named) if named else CHECKOUT / "deploy" / "policies"

    def metrics_url(self, service: str) -> str | None:
        """Where a service shows its metrics, as far as that is known."""
        return self.named.get(f"DUNNING_METRICS_{service.upper()}_URL")


def find_place(data_dir: Path | None) -> Place:
    """The settings in force; an error that says what to do where none are."""
    named = _named_by_environment()
    file = (data_dir or DEFAULT_DATA_DIR).expanduser() / "env"
    written = _read(file)
    if data_dir is not None:
        if not written:
            message = f"{file} does not exist: `dunning up --data-dir {data_dir}` starts a stack there"
            raise CommandError(NOTHING_HERE, message)
        return Place({**named, **written})
    found = {**written, **named}
    missing = [name for name in _REQUIRED if name not in found]
    if missing:
        raise CommandError(
            NOTHING_HERE,
            f"{missing[0]} is not set, and nothing was started here: set it, name a stack with --data-dir, "
            "or start one with `dunning up`",
        )
    return Place(found)


def _read(file: Path) -> dict[str, str]:
    try:
        return read_env_file(file)
    except OSError as error:
        raise CommandError(NOTHING_HERE, f"cannot read {file}: {(error.strerror or str(error)).lower()}") from None
    except UnicodeDecodeError:
        raise CommandError(NOTHING_HERE, f"cannot read {file}: not UTF-8") from None


def _named_by_environment() -> dict[str, str]:
    """An empty value counts as not set, as it does for the services."""
    return {name: value for name, value in os.environ.items() if name.startswith("DUNNING_") and value}
