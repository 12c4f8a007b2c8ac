"""Dead letters for people: what is wrong, where it came from, and the body without what nobody needs to see."""

import json
from collections.abc import Iterator, Sequence
from typing import Any

from dunning.domain.rfc3339 import parse_rfc3339
from dunning.runtime.letter_orders import OrderOnFile
from dunning_cli.dead_letters.letters import DeadLetter
from dunning_cli.dead_letters.orders import Standing, story_of
from dunning_cli.discreet import shown, visible, without_addresses, without_people
from dunning_cli.listing import columns, utc

_BODY_CHARACTERS_MAX = 20_000
_DETAIL_CHARACTERS_MAX = 90


def letter_lines(letters: Sequence[tuple[DeadLetter, Standing]]) -> list[str]:
    """A line per dead letter, with what was done about it."""
    rows = [
        [str(each.place), _time(each), each.reason, standing.told(), _key(each), _short(shown(each.detail))]
        for each, standing in letters
    ]
    return columns(("DEAD LETTER", "SET ASIDE", "REASON", "STATE", "KEY", "WHAT TO CORRECT"), rows)


def letter_json(letter: DeadLetter, standing: Standing) -> dict[str, Any]:
    """One of a list."""
    return {
        "id": str(letter.place),
        "service": letter.place.service,
        "topic": letter.place.topic,
        "set_aside_at": letter.set_aside_at,
        "reason": letter.reason,
        "detail": shown(letter.detail),
        "state": standing.state,
        "orders": [_order_json(order) for order in standing.orders],
        "key": _key(letter),
        "original": {name: letter.told.get(name) for name in ("topic", "partition", "offset", "timestamp")},
    }


def _order_json(order: OrderOnFile) -> dict[str, Any]:
    return {
        "kind": order.kind,
        "by": order.by.who,
        "at": order.given_at,
        "why": order.by.why,
        "corrected": order.corrected,
        "body_sha256": order.body_sha256,
        "outcome": order.outcome,
        "reason": order.reason,
        "detail": order.detail,
        "done_at": order.done_at,
    }


def whole_letter_json(letter: DeadLetter, standing: Standing) -> dict[str, Any]:
    """One with its headers and its body."""
    return {
        **letter_json(letter, standing),
        "headers": [[visible(name), _header(value)] for name, value in letter.headers],
        "body": None if letter.body is None else "\n".join(_body(letter.body)),
        "body_bytes": None if letter.body is None else len(letter.body),
        "card_number_masked": letter.is_masked,
    }


def whole_letter_lines(letter: DeadLetter, standing: Standing) -> list[str]:
    """One as text."""
    told = letter.told
    origin = f"{told.get('topic')}, partition {told.get('partition')}, offset {told.get('offset')}"
    facts = {
        "reason": f"{letter.reason}: {shown(letter.detail)}",
        "came from": shown(f"{origin}, at {_written(told.get('timestamp'))}"),
        "set aside": f"{_time(letter)} by {letter.place.service}",
        "key": _key(letter),
    }
    return [
        f"dead letter {letter.place}",
        *(f"  {name:<11}{value}" for name, value in facts.items()),
        *[f"  {visible(story_of(order))}" for order in standing.orders],
        "headers",
        *([f"  {visible(name)}: {_header(value)}" for name, value in letter.headers] or ["  none"]),
        _body_title(letter),
        *(f"  {line}" for line in _body(letter.body or b"")),
        "",
        "people's data are shortened here; --raw writes the body as it is kept, to correct it for `dlq replay --body`",
    ]


def _body_title(letter: DeadLetter) -> str:
    if letter.body is None or "value-null" in letter.told:
        return "body: null"
    masked = ", the card number in it was masked when it was set aside" if letter.is_masked else ""
    return f"body ({len(letter.body)} bytes{masked})"


def _body(body: bytes) -> Iterator[str]:
    try:
        text = json.dumps(without_people(json.loads(body)), indent=2, ensure_ascii=False)
    except (ValueError, RecursionError):  # no JSON: that may be why it is here
        text = without_addresses(body.decode("utf-8", "backslashreplace"))
    yield from visible(text[:_BODY_CHARACTERS_MAX]).splitlines()
    if len(text) > _BODY_CHARACTERS_MAX:
        yield f"… {len(text) - _BODY_CHARACTERS_MAX} more characters"


def _written(timestamp: str | None) -> str:
    at = parse_rfc3339(timestamp) if timestamp else None
    return utc(at) if at else str(timestamp)


def _time(letter: DeadLetter) -> str:
    return utc(letter.set_aside_at)


def _key(letter: DeadLetter) -> str:
    return "-" if letter.key is None else visible(letter.key.decode("utf-8", "backslashreplace"))


def _header(value: bytes) -> str:
    return shown(value.decode("utf-8", "backslashreplace"))


def _short(text: str) -> str:
    return text if len(text) <= _DETAIL_CHARACTERS_MAX else text[: _DETAIL_CHARACTERS_MAX - 1] + "…"
