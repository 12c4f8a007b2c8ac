"""The kernel's metrics (docs/operations.md). Services add their own to the same registry.

Counters in the hot path are added to once a batch. There are no ids in labels, ever: a topic, a partition, a reason, a
stage are few.
"""

from collections.abc import Collection, Iterable, Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from dunning.domain.decision import MoneyMoved
from dunning.domain.events import Output
from dunning.runtime.version import running_version

_LATENCY = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 3600)
_DELAY = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600, 21600, 86400)


class Metrics:
    """One set per process; a test may have many, each with its own registry."""

    def __init__(self, service: str, registry: CollectorRegistry | None = None) -> None:
        self.registry = registry or CollectorRegistry()
        self._service = service
        self._what_comes_in()
        self._what_is_due()
        self._what_goes_out()
        self._how_it_is()
        self.build.labels(service, running_version()).set(1)

    def _what_comes_in(self) -> None:
        self.consumed = self._counter("events_consumed_total", "Records read, whatever became of them.", "topic")
        self.passed_over = self._counter("events_passed_over_total", "Records that are not for us.", "topic", "reason")
        self.duplicates = self._counter("duplicates_total", "The same event again, dropped (rule 1).", "topic")
        self.conflicts = self._counter("conflicts_total", "The same key with another content: an alarm.", "topic")
        self.dead_letters = self._counter("dead_letters_total", "Messages set aside.", "topic", "reason")
        self.replays = self._counter(
            "replays_total", "Dead letters given back, by what became of them.", "topic", "outcome", "reason"
        )
        self.noted = self._counter("noted_total", "What was odd or remarkable and accepted all the same.", "what")
        self.handling = self._histogram("handling_seconds", "One turn: from records in hand to the commit.", _LATENCY)
        self.batch = self._histogram("batch_records", "Records of one turn.", (1, 10, 50, 100, 250, 500, 1000, 2000))
        self.end_to_end = self._histogram(
            "end_to_end_seconds", "From a record's own time to the commit; oldest and newest of a turn.", _DELAY
        )
        self.lag = self._gauge("lag_records", "Records behind the end of the log.", "topic", "partition")
        self.lag_seconds = self._gauge("lag_seconds", "Since all news was last read.", "topic", "partition")
        self.last_turn = self._gauge("last_turn_timestamp_seconds", "When a turn was last stored, in Unix time.")
        self.fenced = self._counter(
            "fenced_total", "Work dropped because somebody else has the partition, shard or errand now.", "what"
        )

    def _what_is_due(self) -> None:
        self.fired = self._counter("timers_fired_total", "Timers that fired.")
        self.fire_delay = self._histogram("timers_fire_delay_seconds", "From due to fired.", _DELAY)
        self.timers_failed = self._counter("timers_failed_total", "Timers whose decision failed: an alarm.")
        self.timers_pending = self._gauge("timers_pending", "Cases that want to be woken some day.")
        self.timers_overdue = self._gauge("timers_overdue", "Cases whose time has come.")
        self.timers_overdue_age = self._gauge("timers_oldest_overdue_age_seconds", "How long the oldest one waits.")
        self.horizon_age = self._gauge("horizon_age_seconds", "Since all inputs of the service were read (rule 40).")
        self.errands = self._counter(
            "errands_total", "Work on the outside world by what became of it.", "kind", "outcome"
        )
        self.errands_postponed = self._counter("errands_postponed_total", "Errands to be tried later.", "kind")
        self.errands_pending = self._gauge("errands_pending", "Errands that are given and not reported yet.")
        self.errands_age = self._gauge("errands_oldest_age_seconds", "Since the oldest of these was given.")
        self.forgotten = self._counter("forgotten_total", "Rows removed because their time is over (rule 9).", "what")

    def _what_goes_out(self) -> None:
        self.published = self._counter("events_published_total", "Records acknowledged by Kafka.", "topic")
        self.transitions = self._counter("transitions_total", "Transitions decided.", "track", "stage")
        self.outbox_pending = self._gauge("outbox_pending", "Rows on their way to Kafka.")
        self.outbox_age = self._gauge("outbox_oldest_age_seconds", "Age of the oldest such row.")
        self.outbox_parked = self._gauge("outbox_parked", "Keys that wait behind a row that Kafka refuses.", "shard")
        self.publish_delay = self._histogram(
            "publish_seconds", "From recorded to acknowledged; oldest of a batch.", _DELAY
        )
        self.shards = self._gauge("outbox_shards_owned", "Shards that this instance publishes.")

    def _how_it_is(self) -> None:
        self.ready = self._gauge("ready", "1 when nothing is wrong.")
        self.mode = self._gauge("mode", "1 for the mode in force: act, observe or stop (rule 42).", "mode")
        self.brake_shut = self._gauge("brake_shut", "1 while no account is newly restricted (rule 45): an alarm.")
        self.brake_limit = self._gauge("brake_limit", "Accounts that may be newly restricted within 24 hours.")
        self.brake_restricted = self._gauge("brake_restricted", "Accounts that were, since 24 hours or its opening.")
        self.brake_held = self._gauge("brake_held", "Accounts that wait for the brake.")
        self.alarms = self._counter("alarms_total", "Troubles and alarms that began, by their code.", "code")
        self.troubles = self._gauge("troubles", "Parts that have a trouble or an alarm now, by its code.", "code")
        self.policies = self._gauge(
            "policy_info", "1 for each policy version that takes new cases.", "policy", "version"
        )
        self.clock_skew = self._gauge("clock_skew_seconds", "Host minus database.")
        self.partitions = self._gauge("partitions_owned", "Input partitions that this instance reads.")
        self.retries = self._counter(
            "retries_total", "What had to be tried again, by what could not be reached.", "what"
        )
        self.build = self._gauge("build_info", "Always 1.", "service", "version")

    def begin_at_zero(self, topics: Iterable[str], reasons: Collection[str]) -> None:
        """What somebody is alerted to is there before it happens: Prometheus sees no increase in a series that appears
        with its first event."""
        for topic in topics:
            self.consumed.labels(topic)  # whoever waits for the first of them has to see that none came
            self.conflicts.labels(topic)
            for reason in reasons:
                self.dead_letters.labels(topic, reason)
        for what in ("partition", "shard", "errand"):
            self.fenced.labels(what)

    def anew(self) -> "Metrics":
        """An empty set of the same kind."""
        return Metrics(self._service) if type(self) is Metrics else type(self)()  # type: ignore[call-arg]

    def observe(self, outputs: Sequence[Output], money: Sequence[MoneyMoved]) -> None:
        """What was committed, for metrics of a service's own: called once per transaction."""

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"dunning_{name}", text, labels, registry=self.registry)

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(f"dunning_{name}", text, labels, registry=self.registry)

    def _histogram(self, name: str, text: str, buckets: tuple[float, ...]) -> Histogram:
        return Histogram(f"dunning_{name}", text, buckets=buckets, registry=self.registry)
