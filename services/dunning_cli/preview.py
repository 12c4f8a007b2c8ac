"""`dunning policy preview`: the dated timeline of a case."""

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dunning_cli.errors import CommandError
from dunning_cli.listing import Format, format_option, print_json
from dunning_cli.templates import known_templates

if TYPE_CHECKING:
    from dunning.domain.policy import Policy

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
    country: Annotated[str, typer.Option("--country", help="The customer's country, two capitals of ISO 3166.")] = "DE",
    due: Annotated[
        str | None, typer.Option("--due", metavar="TIME", help="When the invoice was due, for `anchor: due_date`.")
    ] = None,
    payment_type: Annotated[str, typer.Option("--payment-type", help="Such as card or bank_transfer.")] = "card",
    code: Annotated[str, typer.Option("--code", help="The failure's code.")] = "insufficient_funds",
    amount: Annotated[int, typer.Option("--amount", help="In the currency's minor unit.")] = 4900,
    currency: Annotated[str, typer.Option("--currency", help="ISO 4217.")] = "EUR",
    segment: Annotated[str | None, typer.Option("--segment", help="The account's segment.")] = None,
    output: Annotated[
        Format, format_option("For people, for programs, or as a picture.", Format.TEXT, Format.JSON, Format.SVG)
    ] = Format.TEXT,
) -> None:
    """Print what happens, and when, while every charge fails and nobody pays. Times are the customer's local ones;
    weekends and public holidays are marked. `--format svg > policy.svg` makes a picture for a browser.

    Example: dunning policy preview deploy/policies/standard.yaml --start 2026-03-02T10:00:00Z --zone Europe/Berlin
    """
    from dunning.domain.calendar import zone_named
    from dunning_cli.simulation.preview import Start, timeline
    from dunning_cli.timeline import Timeline

    local = zone_named(zone)
    if local is None:
        raise CommandError(UNUSABLE, f'--zone: there is no time zone "{zone}"', exit_code=2)
    _refuse_what_no_failure_holds(country, amount, currency)
    loaded = _policy(policy)
    now = datetime.now(UTC).replace(microsecond=0)
    began = _time("--start", start) or _possible("valid_from", max(now, loaded.valid_from or now))
    first = Start(began, zone, country, payment_type, code, amount, currency, _time("--due", due), segment)
    try:
        entries = timeline(loaded, first)
    except ValueError as error:
        raise CommandError(UNUSABLE, str(error), exit_code=1) from None
    shown = Timeline(loaded, first, local, entries)
    match output:
        case Format.JSON:
            print_json(shown.as_json())
        case Format.SVG:
            print(shown.as_svg())
        case _:
            print(shown.as_text())


def _refuse_what_no_failure_holds(country: str, amount: int, currency: str) -> None:
    """A slip here would go unseen: in an unknown country no day is a holiday, and services set the event aside."""
    from dunning.contracts.fields import ACTIVE_CURRENCIES
    from dunning.domain.business_days import countries
    from dunning.domain.policy_file.fields import is_country

    if not is_country(country):
        raise CommandError(UNUSABLE, f'--country: "{country}" is not two capitals of ISO 3166, such as DE', exit_code=2)
    if country not in countries():
        message = f'--country: "{country}" is no country of ISO 3166; write two capitals such as DE or GB'
        raise CommandError(UNUSABLE, message, exit_code=2)
    if currency not in ACTIVE_CURRENCIES:
        raise CommandError(
            UNUSABLE, f'--currency: "{currency}" is not a currency of ISO 4217 in use, such as EUR', exit_code=2
        )
    if amount < 0:
        raise CommandError(UNUSABLE, f"--amount: {amount} is less than 0", exit_code=2)


def _time(option: str, text: str | None) -> datetime | None:
    from dunning.domain.rfc3339 import parse_rfc3339

    if text is None:
        return None
    time = parse_rfc3339(text)
    if time is None:
        raise CommandError(
            UNUSABLE,
            f'{option}: "{text}" is not an RFC 3339 time with an offset, such as 2026-03-02T10:00:00Z',
            exit_code=2,
        )
    return _possible(option, time)


def _possible(name: str, time: datetime) -> datetime:
    """Services set aside what is dated otherwise; and near the ends of the calendar no rung has a date."""
    from dunning.contracts.fields import EARLIEST, LATEST
    from dunning.domain.calendar import rfc3339

    if not EARLIEST <= time < LATEST:
        raise CommandError(UNUSABLE, f'{name}: "{rfc3339(time)}" is no time from 1970 to 2199', exit_code=2)
    return time


def _policy(file: Path) -> "Policy":
    from dunning.domain.policy_file import load_policy

    try:
        loaded = load_policy(file.read_bytes(), str(file), templates=known_templates())
    except OSError as error:
        raise CommandError(UNUSABLE, f"cannot read {file}: {error.strerror}", exit_code=2) from None
    if loaded.policy is None:
        print("\n".join(map(str, loaded.problems)))
        raise typer.Exit(1)
    return loaded.policy
