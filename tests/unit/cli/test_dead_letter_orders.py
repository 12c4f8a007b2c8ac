"""What operators order for dead letters, before anything is asked of a server."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from dunning.runtime.letter_orders import By, LetterPlace, OrderKind, OrderOnFile, OrderOutcome
from dunning_cli.dead_letters.dealing import Correction, require_one_message
from dunning_cli.dead_letters.letters import DeadLetter, Filter, Place
from dunning_cli.dead_letters.orders import Standing, signed, story_of
from dunning_cli.dead_letters.read import DeadLetters
from dunning_cli.errors import CommandError
from dunning_cli.health.findings import Level
from dunning_cli.health.letters import judge_letters
from tests.cli import dunning
from tests.kernel import failure

ID = "retry_scheduler:payment.failed:0:12"
AT = datetime(2026, 3, 28, 10, 0, 1, tzinfo=UTC)
PLAIN = (("content-type", b"application/json"), ("ce_id", b"e-1"))


def an_order(kind: OrderKind, outcome: OrderOutcome | None, reason: str = "", detail: str = "") -> OrderOnFile:
    place = LetterPlace("payment.failed", 0, 12)
    return OrderOnFile(1, place, kind, By("anna", "mended"), AT, False, None, outcome, reason, detail, AT)


WAITING = an_order(OrderKind.REPLAY, None)
APPLIED = an_order(OrderKind.REPLAY, OrderOutcome.APPLIED)
AGAIN = an_order(OrderKind.REPLAY, OrderOutcome.SET_ASIDE, "no_policy", "none matches")
DISCARDED = an_order(OrderKind.DISCARD, OrderOutcome.DISCARDED)


@pytest.mark.parametrize(
    ("orders", "state", "told", "may_be_replayed"),
    [
        ((), "open", "open", True),
        ((WAITING,), "waiting", "waiting", False),
        ((AGAIN,), "set_aside", "set aside again: no_policy", True),
        ((AGAIN, APPLIED), "applied", "applied", False),
        ((DISCARDED,), "discarded", "discarded", True),
        ((AGAIN, DISCARDED), "discarded", "discarded", True),
        ((DISCARDED, WAITING), "waiting", "waiting", False),
        ((APPLIED, DISCARDED), "applied", "applied", False),  # two at the same instant: the replay acted
    ],
)
def test_how_a_dead_letter_stands(
    orders: tuple[OrderOnFile, ...], state: str, told: str, may_be_replayed: bool
) -> None:
    standing = Standing(orders)

    assert (standing.state, standing.told(), standing.may_be_replayed) == (state, told, may_be_replayed)


def test_the_story_of_an_order() -> None:
    assert [story_of(each) for each in (WAITING, replace(APPLIED, corrected=True), AGAIN, DISCARDED)] == [
        "replayed by anna at 2026-03-28 10:00:01Z (mended): waits for the service to take it",
        "replayed, corrected by anna at 2026-03-28 10:00:01Z (mended): applied",
        "replayed by anna at 2026-03-28 10:00:01Z (mended): set aside, no_policy: none matches",
        "discarded by anna at 2026-03-28 10:00:01Z (mended)",
    ]


def a_letter(body: bytes = b"{", **told: str) -> DeadLetter:
    return DeadLetter(
        Place("retry_scheduler", "payment.failed", 0, 12), AT, b"acc-1", {"reason": "invalid_json", **told}, PLAIN, body
    )


def test_a_correction_replaces_the_body_and_the_headers_that_it_names() -> None:
    order = Correction(failure("acc-1"), (("ce_id", ""), ("x-who", "anna"))).order_for(a_letter())

    assert order.body == failure("acc-1")
    assert order.headers == (("content-type", b"application/json"), ("x-who", b"anna"))
    assert (order.key, order.corrected, order.masked) == (b"acc-1", True, False)


def test_without_a_correction_it_is_read_as_it_came_whatever_it_says() -> None:
    order = Correction().order_for(a_letter(masked="true"))

    assert (order.body, order.headers, order.corrected, order.masked) == (b"{", PLAIN, False, True)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"{", "invalid_json"),
        (failure("acc-1", code="4111 1111 1111 1111"), "card_number"),
    ],
)
def test_a_correction_that_could_not_be_read_is_not_even_put_on_file(body: bytes, reason: str) -> None:
    with pytest.raises(CommandError, match=f"it would be set aside again: {reason}") as refused:
        Correction(body, (("ce_id", ""),)).order_for(a_letter())
    assert str(refused.value).endswith("[DUN-C025]")


def test_a_correction_is_of_one_message_which_several_services_set_aside() -> None:
    here = [a_letter(topic="payment.failed", partition="3", offset=offset) for offset in ("7", "7", "8")]

    require_one_message(here[:2])
    with pytest.raises(CommandError, match="correct one message, and these ids are of 2; nothing was ordered"):
        require_one_message(here)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("replay",), "name dead letters by their ids, or by --topic"),
        (("replay", "--yes"), "name dead letters by their ids, or by --topic"),
        (("replay", ID, "--reason", "no_policy"), "by their ids or by filters, not by both"),
        (("replay", "--reason", "no_policy", "--header", "a=b"), "correct one message: name its id"),
        (("replay", ID, "--header", "a"), "is not NAME=VALUE"),
        (("replay", ID, "--body", "no/such/file"), "cannot read no/such/file"),
        (("replay", "nonsense"), "is no dead letter"),
        (("replay", "--since", "yesterday"), "neither a time such as"),
        (("discard", ID, "--why", " "), "say why nothing is to be done"),
        (("list", "--state", "new"), '"new" is none of open, waiting, applied'),
    ],
)
def test_options_that_do_not_fit_together(arguments: tuple[str, ...], said: str) -> None:
    answer = dunning("dlq", *arguments)

    assert answer.exit_code == 2
    assert said in answer.text
    assert answer.text.endswith("[DUN-C021]")


def test_an_order_is_signed_also_where_the_system_does_not_know_who_runs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody() -> str:
        raise KeyError("getpwuid(): uid not found: 10001")  # as in a container

    monkeypatch.setattr("getpass.getuser", nobody)

    assert signed(None, None).who.startswith("unknown@")
    assert signed("anna", None).who == "anna"


class Empty:
    """A Kafka without a dead letter, which refuses what the client refuses."""

    async def describe_topics(self, names: list[str]) -> list[dict[str, Any]]:
        return [{"topic": name, "partitions": [{"partition": 0}]} for name in names]

    async def beginning_offsets(self, partitions: list[Any]) -> dict[Any, int]:
        return dict.fromkeys(partitions, 0)

    async def end_offsets(self, partitions: list[Any]) -> dict[Any, int]:
        return dict.fromkeys(partitions, 0)

    async def offsets_for_times(self, times: dict[Any, int]) -> dict[Any, None]:
        if min(times.values()) < 0:
            raise ValueError("The target time cannot be negative.")
        return dict.fromkeys(times)


async def test_since_before_kafka_could_have_a_time_is_since_ever() -> None:
    empty: Any = Empty()
    long_ago = datetime(1969, 12, 31, 23, 59, 59, tzinfo=UTC)

    assert await DeadLetters(empty, empty, "").newest(Filter(since=long_ago), 10) == []


def test_to_discard_one_has_to_say_why(tmp_path: Path) -> None:
    assert dunning("dlq", "discard", ID, "--data-dir", str(tmp_path)).exit_code == 2


def test_the_doctor_names_what_nobody_dealt_with_by_service_and_reason() -> None:
    letters = [a_letter(), a_letter(), a_letter(reason="no_policy")]

    finding = judge_letters(letters)
    assert finding.level is Level.WARNING
    assert finding.message == (
        "3 dead letters that nobody dealt with since 2026-03-28 10:00Z: "
        "retry_scheduler invalid_json 2, retry_scheduler no_policy 1"
    )
    assert finding.do.startswith("`dunning dlq list` shows them")  # `--state open` hides what was set aside again
    assert judge_letters([]).level is Level.OK
