"""Runs `dunning` as a person would, in this process."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from typer.testing import CliRunner

from dunning_cli.errors import CommandError
from dunning_cli.main import app


@dataclass(frozen=True)
class Said:
    """What came out, and how it ended. An error is its one line."""

    exit_code: int
    text: str

    @property
    def lines(self) -> list[str]:
        return self.text.splitlines()

    @property
    def json(self) -> Any:
        return json.loads(self.text)


def dunning(*arguments: str, settings: Mapping[str, str] | None = None) -> Said:
    """The command with these settings in its environment, and no others."""
    others = dict.fromkeys(("DUNNING_KAFKA_BOOTSTRAP_SERVERS", "DUNNING_DATABASE_URL", "DUNNING_TOPIC_PREFIX"))
    result = CliRunner().invoke(app, arguments, env={**others, **(settings or {})})
    if isinstance(result.exception, CommandError):
        return Said(result.exception.exit_code, str(result.exception))
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return Said(result.exit_code, result.output)
