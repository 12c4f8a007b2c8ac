"""Whatever stands in a policy file, its schema never underlines what the parser accepts."""

import copy
from typing import Any

import yaml
from hypothesis import given
from hypothesis import strategies as st

from dunning.domain.policy_file import Code, load_policy
from tests.unit.policy.test_policy_schema import FULL, EditorLoader, complaints

DOCUMENT: Any = yaml.load(FULL, EditorLoader)
ALWAYS_UNDERLINED = {
    Code.UNKNOWN_KEY, Code.MISSING_KEY, Code.UNKNOWN_WORD, Code.RESERVED_NAME, Code.BAD_NAME, Code.NOBODY_WARNS,
}  # fmt: skip
VALUES = st.sampled_from(
    [None, True, 0, 1, 5, -3, 2.5, "", "x", "none", "wait", "ladder", "first", "EUR", "DE", "0d", "1d", "3h", "closed",
     "08:00", "email", "suspended", [], ["1d"], ["email"], ["08:00", "20:00"], {}, {"EUR": 5}, {"7d": 3},
     {"sms": "none"}]
)  # fmt: skip


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Where something could be changed."""
    inner: list[Any] = (
        list(value) if isinstance(value, dict) else list(range(len(value))) if isinstance(value, list) else []
    )
    return [*([path] if path else []), *(place for key in inner for place in places(value[key], (*path, key)))]


PLACES = places(DOCUMENT)


@given(
    st.lists(
        st.tuples(st.sampled_from(PLACES), st.sampled_from(["set", "drop", "add"]), VALUES), min_size=1, max_size=3
    )
)
def test_the_schema_refuses_nothing_that_the_parser_accepts(changes: list[tuple[tuple[Any, ...], str, Any]]) -> None:
    document = copy.deepcopy(DOCUMENT)
    for (*above, last), how, value in changes:
        try:
            holder = document
            for step in above:
                holder = holder[step]
            if how == "set":
                holder[last] = value
            elif how == "drop":
                del holder[last]
            elif isinstance(holder, dict):
                holder[str(value)] = value
        except (KeyError, IndexError, TypeError):
            continue
    text = yaml.safe_dump(document, sort_keys=False)

    codes = {problem.code for problem in load_policy(text, "p.yaml").problems if problem.severity == "error"}

    if codes <= {Code.NOT_IN_FORCE}:
        assert complaints(text) == []
    if codes & ALWAYS_UNDERLINED:
        assert complaints(text) != []
