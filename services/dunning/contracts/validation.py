"""From JSON to a model, or to the one reason why not."""

from typing import Any, TypeVar

from pydantic import ValidationError
from pydantic_core import ErrorDetails, from_json

from dunning.contracts.decoded import Refused, UnreadableReason
from dunning.contracts.fields import Wire

Model = TypeVar("Model", bound=Wire)

_REASONS = {
    "missing": UnreadableReason.MISSING_FIELD,
    "unknown_currency": UnreadableReason.UNKNOWN_CURRENCY,
    "bad_time": UnreadableReason.BAD_TIME,
    "string_too_short": UnreadableReason.BAD_TEXT,
    "string_too_long": UnreadableReason.BAD_TEXT,
    "string_pattern_mismatch": UnreadableReason.BAD_TEXT,
    "greater_than_equal": UnreadableReason.OUT_OF_RANGE,
    "less_than_equal": UnreadableReason.OUT_OF_RANGE,
    "too_long": UnreadableReason.OUT_OF_RANGE,
    "too_short": UnreadableReason.OUT_OF_RANGE,
    "too_big": UnreadableReason.OUT_OF_RANGE,
}
DETAIL_LENGTH_MAX = 300
NESTING_MAX = 200  # levels of objects and lists that the JSON library reads; tests hold it to that


def parse(raw: bytes) -> Any:
    """The JSON value of the bytes. Raises Refused; nesting beyond NESTING_MAX is refused without a stack."""
    try:
        _refuse_nan(raw)
        return from_json(raw)
    except ValueError as error:
        raise _not_json(raw, str(error)) from None


def validate_bytes(model: type[Model], raw: bytes) -> Model:
    """The model of a JSON body, in one pass over the bytes. Raises Refused."""
    try:
        _refuse_nan(raw)
        return model.model_validate_json(raw)
    except ValidationError as error:
        raise _refusal(raw, error) from None


def validate_tree(model: type[Model], tree: Any) -> Model:
    """The model of a JSON value that was parsed before. Raises Refused."""
    try:
        return model.model_validate(tree)
    except ValidationError as error:
        raise _refusal(b"", error) from None


def _refuse_nan(raw: bytes) -> None:
    """NaN and Infinity are no JSON, yet many parsers take them; texts may well hold the words."""
    if b"NaN" not in raw and b"Infinity" not in raw:
        return
    try:
        from_json(raw, allow_inf_nan=False)
    except ValueError:
        if _is_lax_json(raw):
            raise Refused(UnreadableReason.NOT_A_NUMBER, "NaN and Infinity are not numbers in JSON") from None


def _is_lax_json(raw: bytes) -> bool:
    try:
        from_json(raw)
    except ValueError:
        return False
    return True


def _not_json(raw: bytes, message: str) -> Refused:
    if "recursion limit" in message:
        return Refused(UnreadableReason.TOO_DEEP, f"objects and lists are nested deeper than {NESTING_MAX} levels")
    try:
        raw.decode()
    except UnicodeDecodeError as error:
        return Refused(UnreadableReason.BAD_UTF8, f"not UTF-8 at byte {error.start}")
    return Refused(UnreadableReason.INVALID_JSON, message[:DETAIL_LENGTH_MAX])


def _refusal(raw: bytes, error: ValidationError) -> Refused:
    """The first error in the order of the model's fields. Never holds what was found, only what was expected."""
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    if first["type"] == "json_invalid":
        return _not_json(raw, first["msg"])
    where = ".".join(str(part) for part in first["loc"]) or "the body"
    return Refused(_reason(first), f"{where}: {first['msg']}"[:DETAIL_LENGTH_MAX])


def _reason(error: ErrorDetails) -> UnreadableReason:
    below_zero = error["type"] == "greater_than_equal" and str(error["loc"][-1]).endswith("_minor")
    if below_zero:
        return UnreadableReason.NEGATIVE_AMOUNT
    return _REASONS.get(error["type"], UnreadableReason.WRONG_TYPE)
