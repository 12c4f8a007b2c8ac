"""What a relay leaves behind for its successor must name every row, in few bytes."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dunning.runtime.progress import NOTE_LENGTH_MAX, Note, note_of, read_note

NOON = datetime(2026, 10, 1, 12, 0, 0, 123_456, tzinfo=UTC)


@given(st.sets(st.integers(min_value=1, max_value=2**63 - 1), max_size=100))
def test_a_note_holds_exactly_the_ids_that_were_written(ids: set[int]) -> None:
    assert read_note(note_of(ids, NOON)) == Note(frozenset(ids), NOON)


def test_a_batch_of_usual_size_fits_with_room_to_spare() -> None:
    interleaved_with_other_shards = [9_000_000_000 + 8 * n + n * n % 7 for n in range(2000)]

    assert len(note_of(interleaved_with_other_shards, NOON)) < NOTE_LENGTH_MAX / 2


@pytest.mark.parametrize("foreign", ["", "5", "1:", "1:####", "2:0S{", "2::", "2:x:0", "3:0:0S{"])
def test_a_note_of_somebody_else_is_refused(foreign: str) -> None:
    with pytest.raises(ValueError, match="note"):
        read_note(foreign)


def test_a_note_of_the_former_version_is_read_and_knows_no_time() -> None:
    assert read_note("1:c${NoT*U+c0bu~I") == Note(frozenset({1, 2, 300}), None)
