"""Where among digits card numbers may lie, by the Luhn check, in linear time for any number of digits."""

from collections.abc import Iterable, Iterator
from itertools import accumulate

DIGITS_MIN, DIGITS_MAX = 13, 19
FIRST_DIGITS = "23456"
LONG_RUN_LENGTH = 4000  # more digits in a row than people or systems write: one card number condemns them all

_DOUBLED = bytes((0, 2, 4, 6, 8, 1, 3, 5, 7, 9)) + bytes(246)
_VALUES = bytes(byte - 0x30 if 0x30 <= byte <= 0x39 else 0 for byte in range(256))
_DOUBLED_VALUES = bytes(_DOUBLED[value] for value in _VALUES)

Span = tuple[int, int]


def passes_luhn(number: bytes) -> bool:
    """Whether a number's digits, weighted from its end, add up to a multiple of ten."""
    return (sum(number[-1::-2].translate(_VALUES)) + sum(number[-2::-2].translate(_DOUBLED_VALUES))) % 10 == 0


def luhn_windows(digits: str, starts: Iterable[int], ends: Iterable[int]) -> Iterator[Span]:
    """Where card numbers lie among digits, given where one may start and end.

    A number's Luhn sum is the difference of two running sums, so each length is one comparison of a row of running sums
    with the same row moved by that length. It is done on whole rows as big integers: a zero byte is a find.
    """
    size = len(digits) + 1
    no_start = _barred_but((at for at in starts if digits[at] in FIRST_DIGITS), size)
    no_end = _barred_but(ends, size)
    rows = [(_running_sums(digits, parity), _other_parity_barred(no_end, parity)) for parity in (0, 1)]
    for length in range(DIGITS_MIN, min(DIGITS_MAX, len(digits)) + 1):
        barred_start = _number(no_start[:-length])
        for sums, barred_end in rows:
            differs = _number(sums[length:]) ^ _number(sums[:-length])
            for start in _zeros(differs | _number(barred_end[length:]) | barred_start, size - length):
                yield start, start + length


def _barred_but(places: Iterable[int], size: int) -> bytearray:
    barred = bytearray(b"\xff" * size)
    for at in places:
        barred[at] = 0
    return barred


def _other_parity_barred(barred: bytearray, parity: int) -> bytearray:
    """A number's last digit is never doubled and the one before always is: a row of sums holds for half of the ends."""
    half = bytearray(barred)
    half[1 - parity :: 2] = b"\xff" * len(half[1 - parity :: 2])
    return half


def _running_sums(digits: str, parity: int) -> bytes:
    """Sums of the first n digits, modulo 10, with every digit doubled whose place is even (0) or odd (1)."""
    values = bytearray(digits.encode().translate(_VALUES))
    values[parity::2] = values[parity::2].translate(_DOUBLED)
    return bytes(total % 10 for total in accumulate(values, initial=0))


def _number(row: bytes | bytearray) -> int:
    return int.from_bytes(row, "big")


def _zeros(row: int, length: int) -> Iterator[int]:
    cells = row.to_bytes(length, "big")
    at = cells.find(0)
    while at >= 0:
        yield at
        at = cells.find(0, at + 1)
