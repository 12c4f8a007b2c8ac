"""The second witness, for promises 1, 2 and 10: the services' tables hold what the topics say, no more and no less."""

from collections import defaultdict
from collections.abc import Iterator

from dunning_verifier.databases import Row, Tables
from dunning_verifier.history import History
from dunning_verifier.values import ENFORCEMENT, INITIAL_STAGE, OWNER_OF_TRACK, READERS, Violation, Where

EXACTLY_ONCE, TOGETHER, NOTHING_LOST = 1, 2, 10  # promises
_TRACK_OF = {service: track for track, service in OWNER_OF_TRACK.items()}


def check(history: History) -> Iterator[Violation]:
    """Nothing where no tables were read."""
    tables = history.tables
    if tables is None:
        return
    yield from _read_beyond_the_log(history, tables)
    if history.settled:
        yield from _unread(history, tables)
        yield from _unpublished(tables)
        yield from _stages(history, tables)
        yield from _open_cases_without_a_row(history, tables)
        yield from _services_agree(history, tables)
        yield from _overdue(history, tables)
        yield from _left_over(tables)


def _read_beyond_the_log(history: History, tables: Tables) -> Iterator[Violation]:
    """The tables were read before the log, which only grows: whoever is past its end read what it has no more."""
    for position in tables.positions:
        end = history.log_ends.get((position.topic, position.partition))
        if end is not None and position.next_offset is not None and position.next_offset > end:
            what = f"{position.service} has read up to {position.next_offset}, though the log ends at {end}"
            where = Where(position.topic, position.partition, position.next_offset)
            yield Violation(EXACTLY_ONCE, what, where)


def _unread(history: History, tables: Tables) -> Iterator[Violation]:
    """Every record of an input was read. The last of a log may be a transaction's mark, which nobody reads."""
    reached = {(each.service, each.topic, each.partition): each.next_offset or 0 for each in tables.positions}
    services = {each.service for each in tables.positions}
    for (topic, partition), last in sorted(history.last_offsets.items()):
        for service in READERS.get(topic, ()):
            next_offset = reached.get((service, topic, partition), 0)
            if service in services and next_offset <= last:
                what = f"{service} never read it: it stands at {next_offset}"
                yield Violation(NOTHING_LOST, what, Where(topic, partition, last))


def _unpublished(tables: Tables) -> Iterator[Violation]:
    for event in tables.outbox:
        what = f"{event.service} decided a {event.topic} at {event.recorded_at.isoformat()} and never published it"
        yield Violation(TOGETHER, what, f"outbox of {event.service}", event.account_id, event.case_id)


def _stages(history: History, tables: Tables) -> Iterator[Violation]:
    """A case's row stands where its last published transition left it."""
    for row in tables.rows:
        track = _TRACK_OF[row.service]
        told = history.stage(row.case_id, track) or INITIAL_STAGE[track]
        if row.stage != told:
            last = history.by_case.get(row.case_id, {}).get(track, [])
            what = f"{row.service} keeps the {track} track at {row.stage}, but its last published stage is {told}"
            where = last[-1].where if last else _place_of(row)
            yield Violation(TOGETHER, what, where, row.account_id, row.case_id)


def _open_cases_without_a_row(history: History, tables: Tables) -> Iterator[Violation]:
    """The last word of each account lists its open cases, and the tables hold the same."""
    kept = {(row.account_id, row.case_id) for row in tables.rows if row.service == ENFORCEMENT and row.is_open}
    for status in history.last_statuses.values():
        for case in status.open_cases:
            if (status.account_id, case.case_id) not in kept:
                what = f"the account's last status lists a case that {ENFORCEMENT} does not keep open"
                yield Violation(TOGETHER, what, status.where, status.account_id, case.case_id)


def _services_agree(history: History, tables: Tables) -> Iterator[Violation]:
    """Which case of an invoice is open does not depend on the order of reading (rule 8)."""
    by_invoice: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in tables.rows:
        by_invoice[row.account_id, row.invoice_id].append(row)
    for rows in by_invoice.values():
        open_cases = {row.case_id if row.is_open else None for row in rows}
        if len(open_cases) > 1 and rows[0].account_id not in history.doubted:
            open_ones = ", ".join(f"{row.service}: {row.case_id if row.is_open else 'none'}" for row in rows)
            what = f"the services disagree on which case is open ({open_ones})"
            yield Violation(EXACTLY_ONCE, what, _place_of(rows[0]), rows[0].account_id, rows[0].case_id)


def _overdue(history: History, tables: Tables) -> Iterator[Violation]:
    until = history.ends_at - history.tolerance.lag
    for row in tables.rows:
        if row.is_open and row.due_at is not None and row.due_at < until:
            what = f"a timer of {row.service} was due at {row.due_at.isoformat()} and never fired"
            yield Violation(NOTHING_LOST, what, _place_of(row), row.account_id, row.case_id)


def _left_over(tables: Tables) -> Iterator[Violation]:
    for errand in tables.errands:
        if errand.state == "begun":
            what = f"a notice was begun and nobody says what became of it (errand {errand.errand_id})"
            yield Violation(NOTHING_LOST, what, f"errands of {errand.service}", errand.account_id)
    for order in tables.orders:
        if order.outcome is None:
            what = f"{order.service} never took the replay that was ordered at {order.at.isoformat()}"
            yield Violation(NOTHING_LOST, what, order.letter)


def _place_of(row: Row) -> str:
    return f"cases of {row.service}, invoice {row.invoice_id}"
