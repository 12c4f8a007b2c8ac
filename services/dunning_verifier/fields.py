"""Reads fields of an event's data, and keeps what is doubtful about them apart from what is wrong."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from dunning_verifier.clock import instant
from dunning_verifier.envelope import Unwanted

_USUAL_LENGTH_MAX = 120
_USUAL_NUMBER_MAX = 10**12
_USUAL_YEARS = (1990, 2100)
_CURRENCY_CODES = """
AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BHD BIF BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF
CHF CLP CNY COP CRC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GNF GTQ GYD HKD
HNL HTG HUF IDR ILS INR IQD IRR ISK JMD JOD JPY KES KGS KHR KMF KPW KRW KWD KYD KZT LAK LBP LKR LRD LSL LYD
MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN PGK PHP PKR PLN
PYG QAR RON RSD RUB RWF SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TND TOP TRY
TTD TWD TZS UAH UGX USD UYU UZS VED VES VND VUV WST XAF XCD XOF XPF YER ZAR ZMW ZWG
"""
_CURRENCIES = frozenset(_CURRENCY_CODES.split())


class Fields:
    """Reads fields and collects doubts: a number written as text may pass a lenient reader, a missing one none.

    `strict` is for what the services write themselves: there it passes nobody.
    """

    def __init__(
        self, data: Mapping[str, Any], doubts: list[str] | None = None, path: str = "", *, strict: bool = False
    ) -> None:
        self.data = data
        self._strict = strict
        self.doubts = [] if doubts is None else doubts
        self._path = path

    def _required(self, name: str) -> Any:
        value = self.data.get(name)
        if value is None:
            raise Unwanted(f"{self._path}{name} is missing")
        return value

    def text(self, name: str) -> str:
        value = self._required(name)
        if not isinstance(value, str):
            raise Unwanted(f"{self._path}{name} is not text")
        if not value or len(value) > _USUAL_LENGTH_MAX or value != value.strip():
            self.doubts.append(f"{self._path}{name} is empty, long or padded")
        return value

    def text_or_none(self, name: str) -> str | None:
        value = self.data.get(name)
        if value is not None and not isinstance(value, str):
            self.doubts.append(f"{self._path}{name} is not text")
            return None
        return value

    def number(self, name: str, at_least: int) -> int:
        value = self._required(name)
        if isinstance(value, bool | float | str):
            if self._strict:
                raise Unwanted(f"{self._path}{name} is not written as an integer")
            try:
                number = int(float(value))
            except (ValueError, OverflowError):
                raise Unwanted(f"{self._path}{name} is not a number") from None
            self.doubts.append(f"{self._path}{name} is not written as an integer")
            value = number
        if not isinstance(value, int):
            raise Unwanted(f"{self._path}{name} is not a number")
        if value < 0:
            raise Unwanted(f"{self._path}{name} is negative")
        if not at_least <= value < _USUAL_NUMBER_MAX:
            self.doubts.append(f"{self._path}{name} is out of the usual range")
        return value

    def time(self, name: str) -> datetime:
        value = self._required(name)
        if not isinstance(value, str):
            raise Unwanted(f"{self._path}{name} is not a time")
        try:
            found = instant(value)
        except (ValueError, OverflowError):
            pass
        else:
            if not _USUAL_YEARS[0] <= found.year <= _USUAL_YEARS[1] or "T" not in value:
                self.doubts.append(f"{self._path}{name} is an unusual time")
            return found
        if self._strict:
            raise Unwanted(f"{self._path}{name} is not a time with an offset")
        try:
            found = instant(value + "Z")
        except (ValueError, OverflowError):
            raise Unwanted(f"{self._path}{name} is not a time") from None
        self.doubts.append(f"{self._path}{name} has no offset")
        return found

    def time_or_none(self, name: str) -> datetime | None:
        if self.data.get(name) is None:
            return None
        try:
            return self.time(name)
        except Unwanted as error:
            self.doubts.append(str(error))
            return None

    def currency(self) -> str:
        value = self.text("currency")
        if value.upper() not in _CURRENCIES:
            if len(value) == 3 and value.startswith("X"):  # test and fund codes that ISO 4217 lists as well
                self.doubts.append("currency is an unusual one")
            else:
                raise Unwanted("currency does not exist")
        elif not value.isupper():
            self.doubts.append("currency is not in capitals")
        return value.upper()

    def part(self, name: str) -> "Fields":
        value = self._required(name)
        if not isinstance(value, dict):
            raise Unwanted(f"{self._path}{name} is not an object")
        return Fields(value, self.doubts, f"{self._path}{name}.", strict=self._strict)

    def optional_part(self, name: str) -> "Fields":
        value = self.data.get(name)
        if value is not None and not isinstance(value, dict):
            self.doubts.append(f"{self._path}{name} is not an object")
        return Fields(value if isinstance(value, dict) else {}, self.doubts, f"{self._path}{name}.")

    def of_types(self, types: Mapping[str, type]) -> None:
        """Doubt optional fields of another type."""
        for name, expected in types.items():
            value = self.data.get(name)
            if value is not None and not isinstance(value, expected):
                self.doubts.append(f"{self._path}{name} is of another type")
