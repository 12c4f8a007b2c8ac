"""Records from plain dicts, for tests, simulations and other tools."""

import json
from collections.abc import Mapping
from typing import Any

from dunning_verifier.clock import instant
from dunning_verifier.values import Record, Where

_ATTRIBUTES = ("id", "source", "type", "sequence", "correlationid", "causationid")


def record_of(event: Mapping[str, Any], offset: int) -> Record:
    """A record from `{"at", "topic", "data"}` and, where they matter, `key`, `partition`, `offset`, `headers`, `value`
    (raw bytes in place of `data`), and the CloudEvent's attributes by name."""
    headers = [(f"ce_{name}", str(event[name]).encode()) for name in _ATTRIBUTES if event.get(name) is not None]
    if headers:
        headers.append(("ce_time", str(event["at"]).encode()))
    headers.extend((str(name), str(value).encode()) for name, value in event.get("headers", {}).items())
    return Record(
        where=Where(event["topic"], int(event.get("partition", 0)), int(event.get("offset", offset))),
        logged_at=instant(event["at"]),
        key=event["key"] if "key" in event else event.get("data", {}).get("account_id"),
        value=event["value"] if "value" in event else json.dumps(event["data"]).encode(),
        headers=tuple(headers),
    )
