"""The field types that every event is made of: money, times, ids and texts, each with its bounds.

Everything is strict: a number in a string, a float for money or a bool for a count is a wrong type, not a value to be
guessed. Everything is bounded, so that whatever was accepted fits a column, a header and a log line.
"""

import json
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Annotated, Any

import iso4217
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    WithJsonSchema,
)
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from dunning.domain.rfc3339 import parse_rfc3339

OTHER = "other"
ID_LENGTH_MAX = 200
TEXT_LENGTH_MAX = 4096
MINOR_MAX = 2**63 - 1  # a signed 64-bit integer, which is what PostgreSQL, Java and Parquet hold
COUNT_MAX = 2**31 - 1
METADATA_ENTRIES_MAX = 100
ADDRESS_LINES_MAX = 20
OPEN_CASES_MAX = 10_000
EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
LATEST = datetime(2200, 1, 1, tzinfo=UTC)

_NO_CONTROLS = r"^[^\x00-\x1f\x7f-\x9f]*$"
_NO_CONTROLS_BUT_LINES = r"^[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]*$"

ACTIVE_CURRENCIES = frozenset(
    code for code, row in iso4217.raw_table.items() if code and str(row["CcyMnrUnts"]).isdigit()
)
"""ISO 4217 codes in use. Codes without a minor unit (gold, `XXX`, `XTS` …) cannot carry an amount and are left out."""


class Wire(BaseModel):
    """Base of everything on the wire: strict, immutable, and blind to fields that a later minor version added."""

    model_config = ConfigDict(strict=True, frozen=True, extra="ignore", validate_default=False)


def _instant_on_the_wire(value: object) -> datetime:
    if not isinstance(value, str):
        raise PydanticCustomError("time_type", "Input should be a string with an RFC 3339 time")
    when = parse_rfc3339(value)
    if when is None:
        raise PydanticCustomError("bad_time", "Input should be an RFC 3339 time with an offset")
    if not EARLIEST <= when < LATEST:
        raise PydanticCustomError("bad_time", "Input should be a time from 1970 to 2199")
    return when


def _active_currency(code: str) -> str:
    if code not in ACTIVE_CURRENCIES:
        raise PydanticCustomError("unknown_currency", "Input should be an active ISO 4217 currency code")
    return code


def _small(value: dict[str, Any]) -> dict[str, Any]:
    if len(json.dumps(value)) > TEXT_LENGTH_MAX:
        raise PydanticCustomError("too_big", "Input should be at most 4096 characters of JSON")
    return value


class NullIsAbsent:
    """Marks an optional flag: null says as little as leaving it out, as it does in every other optional field."""

    def __init__(self, absent: bool) -> None:
        self._absent = absent

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self._read, core_schema.nullable_schema(handler(source)))

    def _read(self, said: bool | None) -> bool:
        return self._absent if said is None else said


class Known:
    """Marks a text as one of known words; any other word reads as `other`, since later minor versions may add some."""

    def __init__(self, words: Iterable[str]) -> None:
        self.words = tuple(words)
        self._known = frozenset(self.words)

    def _read(self, word: str) -> str:
        return word if word in self._known else OTHER

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(
            self._read, core_schema.str_schema(max_length=ID_LENGTH_MAX)
        )

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {"type": "string", "maxLength": ID_LENGTH_MAX, "x-extensible-enum": [*self.words]}


Id = Annotated[str, Field(min_length=1, max_length=ID_LENGTH_MAX, pattern=_NO_CONTROLS)]
Line = Annotated[str, Field(max_length=500, pattern=_NO_CONTROLS)]
Text = Annotated[str, Field(max_length=TEXT_LENGTH_MAX, pattern=_NO_CONTROLS_BUT_LINES)]
Lines = Annotated[list[Line], Field(max_length=ADDRESS_LINES_MAX)]
Url = Annotated[str, Field(max_length=TEXT_LENGTH_MAX, pattern=_NO_CONTROLS)]
Minor = Annotated[int, Field(ge=0, le=MINOR_MAX)]
Count = Annotated[int, Field(ge=0, le=COUNT_MAX)]
Number = Annotated[int, Field(ge=1, le=COUNT_MAX)]
Currency = Annotated[
    str,
    AfterValidator(_active_currency),
    WithJsonSchema({"type": "string", "pattern": "^[A-Z]{3}$"}),
]
Instant = Annotated[datetime, BeforeValidator(_instant_on_the_wire)]
Live = Annotated[bool, NullIsAbsent(True)]
Permanent = Annotated[bool, NullIsAbsent(False)]
SmallObject = Annotated[dict[str, Any], AfterValidator(_small)]
Metadata = Annotated[dict[str, Any], Field(max_length=METADATA_ENTRIES_MAX)]
