"""What a relay leaves behind for its successor must name every row, in few bytes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dunning.runtime.progress import NOTE_LENGTH_MAX, ids_of, note_of


@given(st.sets(st.integers(min_value=1, max_value=2**63 - 1), max_size=100))
def test_a_note_holds_exactly_the_ids_that_were_written(ids: set[int]) -> None:
    assert ids_of(note_of(ids)) == ids


def test_a_batch_of_usual_size_fits_with_room_to_spare() -> None:
    interleaved_with_other_shards = [9_000_000_000 + 8 * n + n * n % 7 for n in range(2000)]

    assert len(note_of(interleaved_with_other_shards)) < NOTE_LENGTH_MAX / 2


@pytest.mark.parametrize("foreign", ["", "5", "1:", "1:####", "2:0S{"])
def test_a_note_of_somebody_else_is_refused(foreign: str) -> None:
    with pytest.raises(ValueError, match="note"):
        ids_of(foreign)
