"""`dunning policy preview`: the dated timeline of a case."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from zoneinfo import ZoneInfo

import typer

from dunning_cli.errors import CommandError
from dunning_cli.listing import Format, format_option

if TYPE_CHECKING:
    from dunning.domain.policy import Policy
    from dunning_cli.simulation.preview import Entry

UNUSABLE = "DUN-S002"


def preview(
    policy: Annotated[Path, typer.Argument(metavar="FILE", help="A policy file.")],
    start: Annotated[
        str | None,
        typer.Option(
            "--start",
            metavar="TIME",
            help="When the first charge fails; RFC 3339. Now if not said, or when the policy is valid.",
        ),
    ] = None,
    zone: Annotated[str, typer.Option("--zone", help="The customer's time zone, an IANA name.")] = "UTC",
    country: Annotated[str, typer.Option("--country", help="The customer's country, ISO 3166.")] = "DE",
    due: Annotated[
        str | None, typer.Option("--due", metavar="TIME", help="When the invoice was due, for `anchor: due_date`.")
    ] = None,
    payment_type: Annotated[str, typer.Option("--payment-type", help="Such as card or bank_transfer.")] = "card",
    code: Annotated[str, typer.Option("--code", help="The failure's code.")] = "insufficient_funds",
    amount: Annotated[int, typer.Option("--amount", help="In the currency's minor unit.")] = 4900,
    currency: Annotated[str, typer.Option("--currency", help="ISO 4217.")] = "EUR",
    segment: Annotated[str | None, typer.Option("--segment", help="The account's segment.")] = None,
    output: Annotated[
        Format, format_option("For people, for programs, or as a picture.", Format.TEXT, Format.JSON)
    ] = Format.TEXT,
) -> None:
    """Print what happens, and when, while every charge fails and nobody pays. Times are the customer's local ones.

    Example: dunning policy preview deploy/policies/standard.yaml --start 2026-03-02T10:00:00Z --zone Europe/Berlin
    """
    from dunning.domain.calendar import zone_named
    from dunning_cli.simulation.preview import Start, timeline

    local = zone_named(zone)
    if local is None:
        raise CommandError(UNUSABLE, f'--zone: there is no time zone "{zone}"', exit_code=2)
    loaded = _policy(policy)
    now = datetime.now(UTC).replace(microsecond=0)
    began = _time("--start", start) or max(now, loaded.valid_from or now)
    first = Start(began, zone, country, payment_type, code, amount, currency, _time("--due", due), segment)
    try:
        entries = timeline(loaded, first)
    except ValueError as error:
        raise CommandError(UNUSABLE, str(error), exit_code=1) from None
    print(_as_json(loaded, entries, local) if output is Format.JSON else _as_text(loaded, entries, local, began))


def _time(option: str, text: str | None) -> datetime | None:
    from dunning.domain.calendar import parse_rfc3339

    if text is None:
        return None
    time = parse_rfc3339(text)
    if time is None:
        raise CommandError(
            UNUSABLE,
            f'{option}: "{text}" is not an RFC 3339 time with an offset, such as 2026-03-02T10:00:00Z',
            exit_code=2,
        )
    return time


def _policy(file: Path) -> "Policy":
    from dunning.domain.policy_file import load_policy

    try:
        loaded = load_policy(file.read_bytes(), str(file))
    except OSError as error:
        raise CommandError(UNUSABLE, f"cannot read {file}: {error.strerror}", exit_code=2) from None
    if loaded.policy is None:
        print("\n".join(map(str, loaded.problems)))
        raise typer.Exit(1)
    return loaded.policy


def _as_text(policy: "Policy", entries: list["Entry"], zone: ZoneInfo, began: datetime) -> str:
    lines = [f"{policy.id} version {policy.version}, times in {zone.key}"]
    for entry in entries:
        local = entry.at.astimezone(zone)
        day = (local.date() - began.astimezone(zone).date()).days
        when = f"day {day:>4}  {local:%a %Y-%m-%d %H:%M:%S}"
        lines.append(f"{when}  {entry.track:<8} {entry.what:<40} {entry.details}".rstrip())
    return "\n".join(lines)


def _as_json(policy: "Policy", entries: list["Entry"], zone: ZoneInfo) -> str:
    rows = [
        {
            "at": entry.at.isoformat().replace("+00:00", "Z"),
            "local": entry.at.astimezone(zone).isoformat(),
            "track": str(entry.track),
            "what": entry.what,
            "details": entry.details,
        }
        for entry in entries
    ]
    about = {"id": policy.id, "version": policy.version}
    return json.dumps({"policy": about, "zone": zone.key, "timeline": rows}, indent=2, ensure_ascii=False)
