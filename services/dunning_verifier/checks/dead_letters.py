"""Promise 9: what cannot be read is set aside with its reason, by every service that reads it, and nothing else is."""

from collections.abc import Iterator
from itertools import chain

from dunning_verifier.envelope import text_holds_card_number
from dunning_verifier.expected import open_cases
from dunning_verifier.history import History
from dunning_verifier.values import READERS, DeadLetter, Failure, Input, Output, Success, Unreadable, Violation, Where

PROMISE = 9


def check(history: History) -> Iterator[Violation]:
    """Nothing in a simulation, whose dead letters are lines on standard error."""
    if history.simulated:
        return
    yield from _well_formed(history)
    yield from _set_aside_once(history)
    yield from _by_its_readers(history)
    yield from _bytes_as_they_came(history)
    if history.settled:
        yield from _all_set_aside(history)
        yield from _nothing_stuck_behind(history)
        yield from _of_something(history)
    yield from _nothing_readable(history)
    yield from _no_word_of_a_service(history)


def _all_set_aside(history: History) -> Iterator[Violation]:
    refused: list[tuple[Where, str, str | None]] = [(one.where, one.reason, None) for one in history.unreadable]
    said_twice = "the same thing was said before with another content"
    refused.extend((one.where, said_twice, one.account_id) for one in history.conflicts)
    for where, reason, account_id in refused:
        for service in READERS[where.topic]:
            if service not in history.set_aside.get(where, ()):
                yield Violation(PROMISE, f"{service} lost it: no dead letter ({reason})", where, account_id)
        if not READERS[where.topic]:
            yield Violation(PROMISE, f"published, but nobody can read it ({reason})", where)


def _well_formed(history: History) -> Iterator[Violation]:
    for letter in history.dead_letters:
        if letter.origin is None:
            yield Violation(PROMISE, "a dead letter that does not say where it came from", letter.where)
        if not letter.reason:
            yield Violation(PROMISE, "a dead letter without a reason", letter.where)


def _set_aside_once(history: History) -> Iterator[Violation]:
    """By each service. A relay may publish a letter again as it is."""
    first: dict[tuple[Where, str], DeadLetter] = {}
    for letter in history.dead_letters:
        if letter.origin is None:
            continue
        known = first.setdefault((letter.origin, letter.service), letter)
        if (known.headers, known.value, known.key) != (letter.headers, letter.value, letter.key):
            what = f"{letter.service} set {letter.origin} aside before, at {known.where}, and said something else"
            yield Violation(PROMISE, what, letter.where)


def _by_its_readers(history: History) -> Iterator[Violation]:
    for letter in history.dead_letters:
        if letter.origin is not None and letter.service not in READERS.get(letter.origin.topic, ()):
            what = f"{letter.service} set {letter.origin} aside, which it does not read"
            yield Violation(PROMISE, what, letter.where)


def _of_something(history: History) -> Iterator[Violation]:
    """Of a record that was in the log: older ones may be gone, newer ones cannot be."""
    for letter in history.dead_letters:
        if letter.origin is None:
            continue
        last = history.last_offsets.get(letter.origin[:2])
        end = history.log_ends.get(letter.origin[:2], 1 + last if last is not None else None)
        if end is not None and letter.origin.offset >= end:
            yield Violation(PROMISE, f"a dead letter of {letter.origin}, which never was in the log", letter.where)


def _bytes_as_they_came(history: History) -> Iterator[Violation]:
    """Unchanged, but where a card number was found it is masked (rule 5)."""
    originals = {one.where: one for one in history.unreadable}
    for letter in history.dead_letters:
        original = originals.get(letter.origin) if letter.origin else None
        if original is not None and letter.key != original.key:
            what = f"the dead letter's key is {letter.key!r}, that of {original.where} is {original.key!r}"
            yield Violation(PROMISE, what, letter.where)
        if _tells_card_number(letter):
            yield Violation(PROMISE, "a dead letter whose reason shows a card number", letter.where)
        if _shows_card_number(letter) and (original is None or "card number" in original.reason):
            yield Violation(PROMISE, "a dead letter that shows a card number", letter.where)
        elif original is not None and not _is_masked(original) and (letter.value or b"") != (original.value or b""):
            what = f"the dead letter's bytes are not those of {original.where}"
            yield Violation(PROMISE, what, letter.where)


def _is_masked(original: Unreadable) -> bool:
    return text_holds_card_number((original.value or b"").decode("utf-8", "replace"))


def _shows_card_number(letter: DeadLetter) -> bool:
    return text_holds_card_number((letter.value or b"").decode("utf-8", "replace"))


def _tells_card_number(letter: DeadLetter) -> bool:
    """In what the service itself says of it."""
    own = (value for name, value in letter.headers if name in ("dlq-reason", "dlq-detail"))
    return any(text_holds_card_number(value.decode("utf-8", "replace")) for value in own)


def _no_word_of_a_service(history: History) -> Iterator[Violation]:
    """What one of the services published in the contract's shape, its peers read."""
    for output in chain[Output](history.transitions, history.results):
        services = history.set_aside.get(output.where)
        if services and output.where not in history.replayed:
            what = f"readable, but set aside by {', '.join(sorted(services))}"
            yield Violation(PROMISE, what, output.where, output.account_id)


def _nothing_readable(history: History) -> Iterator[Violation]:
    """A readable input among the dead letters needs a reason that lies in what was known before it. What was replayed
    may have been corrected, or a policy may have been added."""
    currencies: dict[tuple[str, str], set[str]] = {}
    for event in history.inputs:
        if isinstance(event, Failure | Success):
            currencies.setdefault((event.account_id, event.invoice_id), set()).add(event.currency)
    for event in history.inputs:
        services = history.set_aside.get(event.where)
        if not services or event.doubtful or event.where in history.unsure or event.where in history.replayed:
            continue
        if isinstance(event, Failure | Success) and len(currencies[event.account_id, event.invoice_id]) > 1:
            continue
        if not _has_policy(history, event):
            continue
        names = ", ".join(sorted(services))
        yield Violation(PROMISE, f"readable, but set aside by {names}", event.where, event.account_id)


def _has_policy(history: History, event: Input) -> bool:
    """Whether surely some policy takes a failure."""
    if not isinstance(event, Failure):
        return True
    countries = {None, *history.customers.countries.get(event.account_id, ()), event.customer.get("country")}
    return all(history.policies.choose(event, country) is not None for country in countries)


def _nothing_stuck_behind(history: History) -> Iterator[Violation]:
    """What lies behind an unreadable record of its partition took effect."""
    first: dict[tuple[str, int], Where] = {}
    for refused in [one.where for one in history.unreadable] + [one.where for one in history.conflicts]:
        partition = (refused.topic, refused.partition)
        first[partition] = min(first.get(partition, refused), refused)
    told: set[tuple[str, int]] = set()
    for case in open_cases(history):
        for failure in case.failures:
            place = (failure.where.topic, failure.where.partition)
            poison = first.get(place)
            if poison is None or place in told or failure.where < poison or not case.missing_services(history):
                continue
            told.add(place)
            services = ", ".join(sorted(case.missing_services(history)))
            what = f"stuck: {services} did not go on behind the unreadable {poison}"
            yield Violation(PROMISE, what, failure.where, case.invoice.account_id, case.case_ids[0])
