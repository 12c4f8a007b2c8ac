"""Drawing from weighted choices."""

from collections.abc import Sequence
from random import Random
from typing import TypeVar

T = TypeVar("T")


def draw(random: Random, choices: Sequence[tuple[T, float]]) -> T:
    """One of the choices, as often as its weight says; weights need not add up to anything."""
    values, weights = [value for value, _ in choices], [weight for _, weight in choices]
    return random.choices(values, weights)[0]
