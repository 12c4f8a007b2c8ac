"""A policy's timeline as text, as JSON and as a picture."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from dunning.domain.calendar import rfc3339
from dunning.domain.policy import ACCOUNT_COUNTRY, Policy
from dunning_cli.picture.picture import draw
from dunning_cli.simulation.days import DayOff, days_off
from dunning_cli.simulation.preview import Entry, Start


@dataclass(frozen=True, slots=True)
class Timeline:
    """What happens to one case, in the customer's zone."""

    policy: Policy
    start: Start
    zone: ZoneInfo
    entries: list[Entry]

    def as_text(self) -> str:
        """A line per entry; days without business are named at its end."""
        off = self._days_off([self._local(entry.at).date() for entry in self.entries])
        lines = [f"{self.policy.id} version {self.policy.version}, times in {self.zone.key}"]
        for entry in self.entries:
            local = self._local(entry.at)
            when = f"day {self._day(entry.at):>4}  {local:%a %Y-%m-%d %H:%M:%S}"
            mark = f"  [{off[local.date()]}]" if local.date() in off else ""
            lines.append(f"{when}  {entry.track:<8} {entry.what:<40} {entry.details}".rstrip() + mark)
        return "\n".join(lines)

    def as_json(self) -> dict[str, Any]:
        """Every entry with its day and, where there is one, the reason why it is a day without business."""
        off = self._days_off([self._local(entry.at).date() for entry in self.entries])
        rows = [
            {
                "at": rfc3339(entry.at),
                "local": self._local(entry.at).isoformat(),
                "day": self._day(entry.at),
                "day_off": str(off[day]) if (day := self._local(entry.at).date()) in off else None,
                "track": str(entry.track),
                "what": entry.what,
                "details": entry.details,
            }
            for entry in self.entries
        ]
        about = {"id": self.policy.id, "version": self.policy.version}
        return {"policy": about, "zone": self.zone.key, "country": self.start.country, "timeline": rows}

    def as_svg(self) -> str:
        """An SVG document that stands alone."""
        began, start = self._local(self.start.at), self.start
        heading = f"{self.policy.id}, version {self.policy.version}"
        subtitle = (
            f"{start.payment_type}, {start.code}: the payment fails on {began:%a %Y-%m-%d at %H:%M} in "
            f"{self.zone.key} ({start.country}), every charge after it too, and nobody pays"
        )
        return draw(heading, subtitle, start.at, self.zone, self.entries, self._days_off)

    def _days_off(self, days: list[date]) -> dict[date, DayOff]:
        rolls = [roll for roll in (self.policy.roll, self.policy.retries and self.policy.retries.roll) if roll]
        named = [name for roll in rolls for name in roll.calendars if name != ACCOUNT_COUNTRY]
        return days_off([self.start.country, *named], days)

    def _local(self, at: datetime) -> datetime:
        return at.astimezone(self.zone)

    def _day(self, at: datetime) -> int:
        return (self._local(at).date() - self._local(self.start.at).date()).days
