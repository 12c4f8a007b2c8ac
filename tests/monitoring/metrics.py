"""The metrics that the services have, taken from the services."""

from collections.abc import Iterator, Mapping
from typing import Any

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.metrics import MetricWrapperBase
from prometheus_client.metrics_core import Metric

from account_enforcement.metrics import AccountMetrics
from notification_dispatcher.metrics import NoticeMetrics
from retry_scheduler.metrics import RetryMetrics

_TARGET = frozenset({"job", "service", "instance"})  # labels that Prometheus adds by its own configuration


def exposed() -> dict[str, tuple[str, ...]]:
    """Every metric as documentation names it, with its labels."""
    families = [*_families(), *((family, ()) for family in _process().collect())]
    return {f"{each.name}_total" if each.type == "counter" else each.name: labels for each, labels in families}


def series() -> dict[str, frozenset[str]]:
    """Every series that a query may name, with the labels that it has once it was scraped."""
    found = {"up": _TARGET, **{name: _TARGET.union(labels) for name, labels in exposed().items()}}
    for family, labels in _families():
        if family.type == "histogram":
            found.pop(family.name, None)
            found |= {f"{family.name}_{part}": _TARGET.union(labels) for part in ("sum", "count")}
            found[f"{family.name}_bucket"] = _TARGET.union(labels, {"le"})
    return found


def help_of() -> Mapping[str, str]:
    """What each says of itself in its `# HELP` line."""
    return {family.name: family.documentation for family, _ in _families()}


def _families() -> Iterator[tuple[Metric, tuple[str, ...]]]:
    """Those of all services; what they share comes three times, and is the same."""
    for metrics in (RetryMetrics(), NoticeMetrics(), AccountMetrics()):
        collectors: Any = metrics.registry._collector_to_names
        for each in collectors:
            if isinstance(each, MetricWrapperBase):
                yield from ((family, each._labelnames) for family in each.describe())


def _process() -> CollectorRegistry:
    registry = CollectorRegistry()
    ProcessCollector(namespace="dunning", registry=registry)
    return registry
