"""What a PromQL query names, found by a parser, and whether that exists."""

from collections.abc import Iterator, Mapping
from typing import Any

import promql_parser

_PARTS = ("lhs", "rhs", "expr", "param", "args", "vector_selector")
_GRAFANA = {"$__rate_interval": "5m", "$service": ".*"}


def wrong_with(query: str, series: Mapping[str, frozenset[str]]) -> list[str]:
    """Metrics and labels that the query names and that do not exist; that it cannot be parsed."""
    for variable, value in _GRAFANA.items():
        query = query.replace(variable, value)
    try:
        tree = promql_parser.parse(query)
    except ValueError as error:
        return [f"{query}: {error}"]
    found = []
    for node, labels in _named(tree, frozenset()):
        name = node.name or ""
        if name not in series:
            found.append(f"{query}: there is no metric {name}")
            continue
        matched = {matcher.name for matcher in node.matchers.matchers}
        found += [f"{query}: {name} has no label {label}" for label in sorted((matched | labels) - series[name])]
    return found


def _named(node: Any, grouped: frozenset[str]) -> Iterator[tuple[promql_parser.VectorSelector, frozenset[str]]]:
    """Each series, with the labels that aggregations around it keep: an aggregation inside another has the last word
    about what there is."""
    if isinstance(node, promql_parser.VectorSelector):
        yield node, grouped
        return
    if isinstance(node, promql_parser.AggregateExpr) and node.modifier is not None:
        grouped = grouped | frozenset(node.modifier.labels)
    for part in _PARTS:
        below = getattr(node, part, None)
        for each in below if isinstance(below, list) else [below]:
            if isinstance(each, promql_parser.Expr):
                yield from _named(each, grouped)
