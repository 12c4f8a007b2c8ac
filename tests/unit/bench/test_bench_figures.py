"""What `make bench` makes of measurements: medians, ratios of the same run, goals that are said to be missed."""

from pathlib import Path

import pytest

from tests.bench import peers, throughput
from tests.bench.__main__ import parsed
from tests.bench.figures import Figure, Goal, Part, counters, course, growth, number, percentile, ratio, table
from tests.bench.growth import figures_of
from tests.bench.measure import Measured, Wrong

RATE = Goal(20_000)
DELAY = Goal(60, at_most=True)


@pytest.mark.parametrize(
    ("goal", "measured", "said"),
    [
        (RATE, 20_000.0, "met"),
        (RATE, 19_999.0, "MISSED: 1.00 times that"),
        (RATE, 2_981.0, "MISSED: 0.15 times that"),
        (DELAY, 60.0, "met"),
        (DELAY, 90.0, "MISSED: 1.50 times that"),
    ],
)
def test_a_goal_is_met_or_said_to_be_missed_and_by_how_much(goal: Goal, measured: float, said: str) -> None:
    assert goal.verdict(measured) == said


def test_the_median_of_the_runs_counts_not_the_best_one() -> None:
    figure = Figure("one service", "events/s", [21_000.0, 9_000.0, 15_000.0], RATE)

    assert figure.as_json() == {
        "unit": "events/s",
        "median": 15_000.0,
        "runs": [21_000.0, 9_000.0, 15_000.0],
        "goal": {"at least": 20_000, "met": False},
    }


def test_a_ratio_is_that_of_runs_side_by_side_not_of_two_medians() -> None:
    fast_then_slow = ratio("one to the other", of=[300.0, 100.0, 90.0], to=[30.0, 5.0, 30.0], goal=Goal(12))

    assert fast_then_slow.runs == [10.0, 20.0, 3.0]
    assert fast_then_slow.median == 10.0
    assert table([fast_then_slow]).splitlines()[1].endswith("at least 12  MISSED: 0.83 times that")


def test_the_table_shows_each_figure_with_its_runs_its_goal_and_the_verdict() -> None:
    figures = [
        Figure("one service", "events/s", [2_981.0, 2_890.0, 3_120.0], RATE),
        Figure("p50", "ms", [57.14], DELAY),
        Figure("at most", "MiB", [0.5]),
    ]

    assert table(figures).splitlines() == [
        "             median          runs            goal",
        "one service  2 981 events/s  2 890 to 3 120  at least 20 000  MISSED: 0.15 times that",
        "p50          57.1 ms         one             at most 60       met",
        "at most      0.50 MiB        one",
    ]


def test_a_part_keeps_its_figures_by_name_and_what_was_measured_behind_them() -> None:
    part = Part([Figure("p50", "ms", [3.0, 4.0, 8.0])], {"transitions": 30})

    assert part.as_json() == {
        "figures": {"p50": {"unit": "ms", "median": 4.0, "runs": [3.0, 4.0, 8.0]}},
        "runs": {"transitions": 30},
    }


@pytest.mark.parametrize(
    ("value", "said"),
    [(2_981.4, "2 981"), (1_000_000, "1 000 000"), (57.14, "57.1"), (2, "2"), (2.0, "2.00"), (0.944, "0.94")],
)
def test_numbers_have_three_digits_that_count(value: float, said: str) -> None:
    assert number(value) == said


@pytest.mark.parametrize(("percent", "value"), [(50, 50.0), (99, 99.0), (100, 100.0), (0.1, 1.0)])
def test_a_percentile_is_a_value_that_was_measured(percent: float, value: float) -> None:
    assert percentile([float(each) for each in range(100, 0, -1)], percent) == value


def test_growth_compares_the_last_quarter_with_the_first_and_no_single_peak() -> None:
    assert growth([100, 100, 900, 100, 100, 100, 110, 110]) == pytest.approx(1.1)
    assert growth([100, 100, 100, 100]) == 1.0
    with pytest.raises(ValueError, match="3 samples have no quarters"):
        growth([1, 2, 3])


def test_the_course_names_a_median_for_each_part_and_fewer_where_there_are_fewer_samples() -> None:
    assert course([1, 2, 900, 4, 5, 6], parts=2) == [2, 5]
    assert course([1, 2, 3]) == [1, 2, 3]


def test_a_service_s_counts_are_summed_over_their_labels() -> None:
    exposed = (
        "# HELP dunning_events_published_total Records acknowledged by Kafka.\n"
        'dunning_events_published_total{topic="dunning.stage.changed"} 30.0\n'
        'dunning_events_published_total{topic="dunning.retry.requested"} 12.0\n'
        "dunning_ready 1.0\n"
    )

    assert counters(exposed) == {"dunning_events_published_total": 42.0, "dunning_ready": 1.0}


def test_quick_sizes_are_for_what_is_not_given() -> None:
    assert (parsed([]).pending, parsed(["--quick"]).pending) == (1_000_000, 6_000)
    assert parsed(["timers", "--pending", "70", "--quick"]).pending == 70
    assert parsed(["timers", "latency"]).parts == ["timers", "latency"]
    with pytest.raises(SystemExit):
        parsed(["timer"])


def test_what_an_event_costs_more_among_many_cases_is_said_in_cpu_and_in_time() -> None:
    few = Measured(1_000, 1.0, 0.0, {"retry_scheduler": 0.3, "postgres": 0.2})
    many = Measured(1_000, 2.0, 0.0, {"retry_scheduler": 0.3, "postgres": 0.3})

    cpu, time = figures_of({100_000: [few], 3_000_000: [many]})[-2:]

    assert cpu.name == "CPU an event at 3 000 000 open cases to 100 000"
    assert cpu.median == pytest.approx(1.2)
    assert time.name == "time an event at 3 000 000 open cases to 100 000"
    assert time.median == 2.0


def test_without_the_peers_nothing_is_measured_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peers, "PYTHON", Path("/nowhere/python"))
    monkeypatch.setattr(throughput, "own_place", lambda: pytest.fail("something was started"))

    with pytest.raises(Wrong, match="/nowhere/python is missing; `make bench` installs it"):
        throughput.measure_services(events=3_000, runs=1)
