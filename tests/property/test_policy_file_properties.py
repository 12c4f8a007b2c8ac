"""Whatever stands in a policy file, reading it ends with a policy or with problems, and its meaning has one digest."""

import re
from pathlib import Path
from typing import Any

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from dunning.domain.policy_file import LoadedPolicy, load_policy

STANDARD = (Path(__file__).parents[2] / "deploy" / "policies" / "standard.yaml").read_text("utf-8")
CASES = (Path(__file__).parents[1] / "unit" / "policy" / "keys.txt").read_text("utf-8")
WORDS = st.sampled_from(sorted(set(re.findall(r"[\w:]+", CASES + STANDARD))))
SCALARS = WORDS | st.none() | st.booleans() | st.integers() | st.floats() | st.dates() | st.text(max_size=8)
DOCUMENTS = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(WORDS, inner, max_size=6), max_leaves=30
)


def check(text: str | bytes) -> LoadedPolicy:
    loaded = load_policy(text, "p.yaml")
    assert (loaded.policy is None) <= bool(loaded.problems)
    for problem in loaded.problems:
        assert problem.line >= 1
        assert problem.column >= 1
        assert "\n" not in str(problem)
        assert str(problem).endswith(f"[{problem.code}]")
    return loaded


@given(st.text() | st.binary())
def test_any_text_is_read_without_an_exception(text: str | bytes) -> None:
    check(text)


@given(st.text(alphabet="{}[]:,-?&*!|>'\"%@`# \n\tab0\\", max_size=60))
def test_any_punctuation_of_yaml_is_read_without_an_exception(text: str) -> None:
    check(text)


@given(DOCUMENTS)
def test_any_values_under_known_keys_are_read_without_an_exception(document: Any) -> None:
    check(yaml.safe_dump(document))


@given(st.integers(0, len(STANDARD)), st.integers(0, 12), st.text(max_size=6))
def test_any_slip_in_a_real_policy_is_read_without_an_exception(start: int, length: int, typed: str) -> None:
    check(STANDARD[:start] + typed + STANDARD[start + length :])


def shuffled(value: Any, draw: Any) -> Any:
    if isinstance(value, dict):
        return {key: shuffled(value[key], draw) for key in draw(st.permutations(list(value)))}
    return [shuffled(item, draw) for item in value] if isinstance(value, list) else value


@settings(max_examples=30)
@given(st.data(), st.booleans())
def test_the_digest_does_not_depend_on_order_or_layout(data: st.DataObject, flow: bool) -> None:
    text = yaml.safe_dump(shuffled(yaml.safe_load(STANDARD), data.draw), sort_keys=False, default_flow_style=flow)
    turned, plain = check(text), check(STANDARD)

    assert turned.policy is not None
    assert plain.policy is not None
    assert turned.policy.digest == plain.policy.digest
