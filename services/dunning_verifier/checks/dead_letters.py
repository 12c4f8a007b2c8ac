"""Promise 9: what cannot be read is set aside with its reason, by every service that reads it, and nothing else is."""

from collections.abc import Iterator

from dunning_verifier.envelope import text_holds_card_number
from dunning_verifier.expected import open_cases
from dunning_verifier.history import History
from dunning_verifier.values import READERS, DeadLetter, Failure, Input, Success, Unreadable, Violation, Where

PROMISE = 9


def check(history: History) -> Iterator[Violation]:
    """Nothing in a simulation, whose dead letters are lines on standard error."""
    if history.simulated:
        return
    yield from _well_formed(history)
    yield from _bytes_as_they_came(history)
    if history.settled:
        yield from _all_set_aside(history)
        yield from _nothing_stuck_behind(history)
    yield from _nothing_readable(history)


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


def _bytes_as_they_came(history: History) -> Iterator[Violation]:
    """Unchanged, but where a card number was found it is masked (rule 5)."""
    originals = {one.where: one for one in history.unreadable}
    for letter in history.dead_letters:
        original = originals.get(letter.origin) if letter.origin else None
        if _shows_card_number(letter) and (original is None or "card number" in original.reason):
            yield Violation(PROMISE, "a dead letter that shows a card number", letter.where)
        elif original is not None and not _is_masked(original) and (letter.value or b"") != (original.value or b""):
            what = f"the dead letter's bytes are not those of {original.where}"
            yield Violation(PROMISE, what, letter.where)


def _is_masked(original: Unreadable) -> bool:
    return text_holds_card_number((original.value or b"").decode("utf-8", "replace"))


def _shows_card_number(letter: DeadLetter) -> bool:
    return text_holds_card_number((letter.value or b"").decode("utf-8", "replace"))


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
