"""`dunning policy preview`: the dated timeline as text, as JSON and as a picture that people can read."""

import json
import random
import re
from datetime import UTC, date, datetime, timedelta
from itertools import combinations
from pathlib import Path
from xml.etree import ElementTree as ET
from zoneinfo import ZoneInfo

import pytest
from typer.testing import CliRunner

from dunning.domain.business_days import WEEKENDS_ONLY, BusinessDays, is_calendar
from dunning.domain.calendar import Duration
from dunning.domain.policy import Toward
from dunning_cli.errors import CommandError
from dunning_cli.picture.scale import levels
from dunning_cli.policy import app
from dunning_cli.simulation.days import DayOff, days_off

ROOT = Path(__file__).parents[3]
STANDARD = ROOT / "deploy" / "policies" / "standard.yaml"
INVOICES = ROOT / "deploy" / "policies" / "invoices.yaml"
DEMO = ROOT / "deploy" / "policies-demo" / "demo.yaml"
SVG = "{http://www.w3.org/2000/svg}"
CROWDED = """\
id: crowded
version: 1
retries: {after: [10m, 2h, 1d, 1d, 2d, 30d]}
ladder:
  - {rung: a_name_that_is_as_long_as_names_may_be_and_does_not_fit_at_all, at: 0d, account: past_due,
     notice: {template: payment_failed, channels: [email, in_app, sms, push, letter]}}
  - {rung: again, at: 6h, notice: {template: gentle_reminder, channels: [email, sms]}}
  - {rung: slow, at: 2d, account: restricted}
  - {rung: warn, at: 3d, notice: {template: suspension_warning, channels: [email]}}
  - {rung: stop, at: 5d, account: suspended, warned_by: warn, notice: {template: suspended, channels: [email, letter]}}
  - {rung: final, at: 290d, notice: {template: final_notice, channels: [email]}}
  - {rung: end, at: 300d, account: terminated, warned_by: final, notice: {template: terminated, channels: [email]}}
"""


def preview(file: Path, *arguments: str) -> str:
    where = ["--start", "2026-03-06T10:00:00Z", "--zone", "Europe/Berlin"]
    result = CliRunner().invoke(app, ["preview", str(file), *where, *arguments])
    if isinstance(result.exception, CommandError):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.stdout


def picture(file: Path, *arguments: str) -> ET.Element:
    return ET.fromstring(preview(file, "--format", "svg", *arguments))


def shapes(drawn: ET.Element, kind: str, look: str) -> list[ET.Element]:
    return [element for element in drawn.iter(f"{SVG}{kind}") if element.get("class") == look]


def told(element: ET.Element) -> str:
    return element.findtext(f"{SVG}title") or ""


def words(drawn: ET.Element) -> list[str]:
    return [element.text or "" for element in drawn.iter(f"{SVG}text")]


def test_text_names_the_days_without_business() -> None:
    lines = preview(STANDARD).splitlines()

    assert lines[0] == "standard version 1, times in Europe/Berlin"
    assert (
        "day    1  Sat 2026-03-07 11:00:00  retry    charge, attempt 2                        planned retry  [weekend]"
        in (lines)
    )
    assert [line for line in lines if "Tue 2026-03-10" in line] == [
        "day    4  Tue 2026-03-10 11:00:00  retry    charge, attempt 3                        planned retry"
    ]


def test_json_counts_the_days_and_says_which_are_off() -> None:
    document = json.loads(preview(STANDARD, "--format", "json"))

    assert (document["policy"], document["zone"], document["country"]) == (
        {"id": "standard", "version": 1},
        "Europe/Berlin",
        "DE",
    )
    assert document["timeline"][3:5] == [
        {
            "at": "2026-03-07T10:00:00Z",
            "local": "2026-03-07T11:00:00+01:00",
            "day": 1,
            "day_off": "weekend",
            "track": "retry",
            "what": "charge, attempt 2",
            "details": "planned retry",
        },
        {
            "at": "2026-03-09T10:00:00Z",
            "local": "2026-03-09T11:00:00+01:00",
            "day": 3,
            "day_off": None,
            "track": "notice",
            "what": "gentle_reminder by email",
            "details": "sent",
        },
    ]


def test_the_picture_shows_every_charge_notice_and_account_step() -> None:
    drawn = picture(STANDARD)
    bands = [
        (look, told(element))
        for look in ("active", "past_due", "restricted", "suspended", "terminated")
        for element in shapes(drawn, "rect", look)
    ]

    assert [told(dot) for dot in shapes(drawn, "circle", "charge")] == [
        "charge, attempt 2, planned retry: Sat 2026-03-07 11:00:00",
        "charge, attempt 3, planned retry: Tue 2026-03-10 11:00:00",
        "charge, attempt 4, planned retry: Sun 2026-03-15 11:00:00",
        "charge, attempt 5, planned retry: Sun 2026-03-22 11:00:00",
    ]
    assert bands == [
        ("past_due", "past_due from Fri 2026-03-06 11:00:00"),
        ("suspended", "suspended from Fri 2026-03-20 11:00:00"),
        ("terminated", "terminated from Mon 2026-04-20 11:00:00"),
    ]
    assert [told(dot).split(":")[0] for dot in shapes(drawn, "circle", "notice")] == [
        "payment_failed",
        "gentle_reminder",
        "formal_notice",
        "suspension_warning",
        "suspended",
        "final_notice",
        "terminated",
    ]
    assert "day 11 · Tue 17 Mar · email" in words(drawn)


def test_a_place_on_the_picture_is_a_time() -> None:
    """The picture of 45 days and a 25th more lies between 96 and 950: day 14 is at 96 + 14 / 46.8 of that."""
    [suspended] = shapes(picture(STANDARD), "rect", "suspended")

    assert float(suspended.get("x") or 0) == pytest.approx(351.5, abs=0.5)
    assert float(suspended.get("width") or 0) == pytest.approx(565.7, abs=0.5)


def test_weekends_are_shaded_where_days_can_be_told_apart() -> None:
    assert len(shapes(picture(STANDARD), "rect", "weekend")) == 8  # seven weekends and the legend
    assert shapes(picture(DEMO), "rect", "weekend") == []


def test_holidays_are_named_in_every_form() -> None:
    """From 6 March on, 45 days hold Good Friday and Easter Monday of 2026."""
    when = ["--start", "2026-03-06T10:00:00Z", "--country", "DE"]
    drawn = picture(STANDARD, *when)
    lines = preview(STANDARD, "--start", "2026-03-27T11:00:00Z").splitlines()
    rows = json.loads(preview(STANDARD, "--start", "2026-03-27T11:00:00Z", "--format", "json"))["timeline"]

    assert "Fri 3 Apr Good Friday, Mon 6 Apr Easter Monday" in words(drawn)
    assert [told(rect) for rect in shapes(drawn, "rect", "holiday") if told(rect)] == ["Good Friday", "Easter Monday"]
    assert [line for line in lines if line.endswith("[Good Friday]")] == [
        "day    7  Fri 2026-04-03 12:00:00  notice   formal_notice by email                   sent  [Good Friday]"
    ]
    assert {row["day_off"] for row in rows} == {None, "weekend", "Good Friday"}


def test_a_country_has_its_own_holidays_and_its_own_weekend() -> None:
    friday, sunday = date(2026, 3, 13), date(2026, 3, 15)

    assert not any("Good Friday" in text for text in words(picture(STANDARD, "--country", "US")))
    assert days_off(["EG"], [friday, sunday]) == {friday: DayOff(friday)}
    assert days_off(["DE"], [friday, sunday]) == {sunday: DayOff(sunday)}
    assert days_off(["EG", "DE"], [friday, sunday]) == {friday: DayOff(friday), sunday: DayOff(sunday)}


@pytest.mark.parametrize("calendar", ["DE", "DE-BY", "US", "EG", "JP", "nowhere"])
def test_the_days_that_are_marked_are_those_that_dates_roll_off(calendar: str) -> None:
    rolling = BusinessDays(Toward.NEXT, (calendar if is_calendar(calendar) else WEEKENDS_ONLY,))
    days = [date(2026, 1, 1) + timedelta(days=number) for number in range(365)]
    noons = {day: datetime(day.year, day.month, day.day, 12, tzinfo=UTC) for day in days}

    moved = [day for day, noon in noons.items() if rolling.after(Duration(), noon, ZoneInfo("UTC")) != noon]

    assert list(days_off([calendar], days)) == moved


def test_the_picture_says_what_it_shows_to_those_who_do_not_see_it() -> None:
    drawn = picture(STANDARD)
    description = drawn.findtext(f"{SVG}desc") or ""

    assert drawn.get("role") == "img"
    assert drawn.get("aria-labelledby") == "title desc"
    assert drawn.findtext(f"{SVG}title") == "standard, version 1"
    assert "Tue 2026-03-17 11:00:00: suspension_warning by email, sent" in description
    assert "Mon 2026-04-20 11:00:00: account is terminated, grace_period_expired" in description


def test_it_is_for_light_and_for_dark() -> None:
    style = picture(STANDARD).findtext(f"{SVG}style") or ""
    light, dark = style.split("@media (prefers-color-scheme: dark)")

    assert set(re.findall(r"--[a-z_-]+(?=:)", light)) == set(re.findall(r"--[a-z_-]+(?=:)", dark))
    assert set(re.findall(r"(?<=var\()--[a-z_-]+", style)) <= set(re.findall(r"--[a-z_-]+(?=:)", light))


def test_what_people_type_stays_text() -> None:
    drawn = picture(STANDARD, "--code", "<script>&'\"")

    assert any(text.startswith("card, <script>&'\": the payment fails on") for text in words(drawn))
    assert list(drawn.iter(f"{SVG}script")) == []


def test_a_ladder_of_seconds_is_dated_by_seconds() -> None:
    drawn = picture(DEMO)

    assert {"+0s", "+10s", "+1m30s", "suspended · +28s"} <= set(words(drawn))


def test_where_nothing_is_charged_the_picture_says_so() -> None:
    drawn = picture(INVOICES, "--payment-type", "bank_transfer", "--code", "payment_overdue")

    assert "nothing is charged again" in words(drawn)
    assert shapes(drawn, "circle", "charge") == []


def boxes(drawn: ET.Element) -> list[tuple[str, float, float, float, float]]:
    """About where each text is: what it says, left, right, top, bottom."""
    found = []
    for element in drawn.iter(f"{SVG}text"):
        look, said = element.get("class") or "", element.text or ""
        size = 16 if "heading" in look else 11 if "small" in look else 12
        x, y, width = float(element.get("x") or 0), float(element.get("y") or 0), len(said) * 0.5 * size
        left = x - width / 2 if element.get("text-anchor") == "middle" else x
        found.append((said, left, left + width, y - 0.8 * size, y + 0.2 * size))
    return found


@pytest.mark.parametrize("name", ["standard", "invoices", "demo", "crowded"])
def test_no_text_lies_on_another_or_outside(name: str, tmp_path: Path) -> None:
    crowded = tmp_path / "crowded.yaml"
    crowded.write_text(CROWDED)
    file = {"standard": STANDARD, "invoices": INVOICES, "demo": DEMO, "crowded": crowded}[name]
    drawn = picture(file, *(["--payment-type", "invoice"] if name == "invoices" else []))
    width, height = float(drawn.get("width") or 0), float(drawn.get("height") or 0)

    for said, left, right, top, bottom in boxes(drawn):
        assert 0 <= left <= right <= width, said
        assert 0 <= top <= bottom <= height, said
    for (one, *a), (other, *b) in combinations(boxes(drawn), 2):
        assert a[1] <= b[0] or b[1] <= a[0] or a[3] <= b[2] or b[3] <= a[2], (one, other)


@pytest.mark.parametrize("seed", range(50))
def test_no_line_to_a_label_crosses_another_label(seed: int) -> None:
    chance = random.Random(seed)
    spots = sorted((chance.uniform(0, 500), chance.uniform(20, 200)) for _ in range(chance.randint(1, 12)))
    found = levels(spots)

    for number, (x, width) in enumerate(spots):
        for other in range(number + 1, len(spots)):
            if spots[other][0] <= x + width:
                assert found[other] < found[number]


def test_a_rung_whose_conditions_one_invoice_does_not_meet_waits() -> None:
    lines = preview(ROOT / "docs" / "examples" / "23-conditions" / "policy.yaml").splitlines()

    (waits,) = [line for line in lines if "waits" in line]
    assert waits.split(maxsplit=5)[-1].split() == [
        "account", "suspended", "waits", "conditions:", "unpaid_invoices_at_least,", "balance_at_least",
    ]  # fmt: skip
