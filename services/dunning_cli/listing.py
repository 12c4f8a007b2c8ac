"""How commands list things: as columns for people, as JSON for programs."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any

import typer


class Format(StrEnum):
    """For whom it is printed; a command offers some of these."""

    TEXT = "text"
    JSON = "json"
    NDJSON = "ndjson"
    SVG = "svg"


def format_option(meaning: str, *offered: Format) -> Any:
    """The option `--format` of a command that offers these."""

    def offered_only(wanted: Format) -> Format:
        if wanted not in offered:
            raise typer.BadParameter(f"{wanted} is not offered here; choose from {', '.join(offered)}")
        return wanted

    return typer.Option("--format", help=meaning, metavar="|".join(offered), callback=offered_only)


Output = Annotated[Format, format_option("For people, or for programs.", Format.TEXT, Format.JSON)]


def columns(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Lines with aligned columns below their titles."""
    lines = [tuple(titles), *(tuple(row) for row in rows)]
    widths = [max(len(line[number]) for line in lines) for number in range(len(titles))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines]


def utc(at: datetime) -> str:
    """To the second, for people; twenty characters wide."""
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%SZ")


def print_json(value: Any) -> None:
    """Indented, with times as everywhere on the wire."""
    print(json.dumps(value, indent=2, ensure_ascii=False, default=_as_json))


def _as_json(value: Any) -> str:
    from dunning.domain.calendar import rfc3339

    return rfc3339(value) if isinstance(value, datetime) else str(value)


def parse_time(option: str, text: str | None, code: str) -> datetime | None:
    """An RFC 3339 time given as an option, or a distance from now such as `2h`."""
    from dunning.domain.calendar import Duration
    from dunning.domain.rfc3339 import parse_rfc3339
    from dunning_cli.errors import CommandError

    if text is None:
        return None
    time = parse_rfc3339(text)
    if time is not None:
        return time
    try:
        seconds = Duration.parse(text).nominal_seconds
    except ValueError:
        message = f'{option}: "{text}" is neither a time such as 2026-03-02T10:00:00Z nor a distance such as 2h or 3d'
        raise CommandError(code, message, exit_code=2) from None
    now = datetime.now(UTC)
    return datetime.fromtimestamp(now.timestamp() - seconds, UTC)
