"""Business days of every country and year: dates move by whole local days, in order, and only where they have to."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from hypothesis import given, settings
from hypothesis import strategies as st

from dunning.domain.business_days import business_days, countries
from dunning.domain.calendar import Duration
from dunning.domain.policy import Roll, Toward

ZONES = st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Asia/Riyadh", "Asia/Kathmandu"]).map(ZoneInfo)
TIMES = st.datetimes(datetime(1990, 1, 1), datetime(2199, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
COUNTRIES = st.sampled_from(sorted(countries())) | st.text(max_size=3)
LISTS = st.lists(st.sampled_from(["account_country", "DE", "US-CA", "SA", "IR"]), max_size=3, unique=True).map(tuple)
TOWARD = st.sampled_from(Toward)
HERE = Duration()


@settings(deadline=None)  # the first holiday that is asked for brings in all calendars
@given(TOWARD, LISTS, COUNTRIES, TIMES, st.integers(0, 400), ZONES)
def test_a_date_goes_the_way_it_is_told_and_stays_there(
    toward: Toward, calendars: tuple[str, ...], country: str, start: datetime, days: int, zone: ZoneInfo
) -> None:
    own = business_days(Roll(toward, calendars), country)
    date = Duration(days).after(start, zone)

    rolled = own.after(Duration(days), start, zone)

    assert own.after(HERE, rolled, zone) == rolled
    assert (rolled >= date) if toward is Toward.NEXT else (rolled <= date)
    assert abs(rolled - date) < timedelta(days=30)


@settings(deadline=None)  # the first holiday that is asked for brings in all calendars
@given(TOWARD, LISTS, COUNTRIES, TIMES, st.integers(0, 20), st.integers(0, 20), ZONES)
def test_rungs_of_one_time_of_day_never_overtake_each_other(
    toward: Toward, calendars: tuple[str, ...], country: str, start: datetime, one: int, more: int, zone: ZoneInfo
) -> None:
    own = business_days(Roll(toward, calendars), country)

    assert own.after(Duration(one), start, zone) <= own.after(Duration(one + more), start, zone)
