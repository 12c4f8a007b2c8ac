"""What the simulated processor really charged: one NDJSON line per charge, on disk before anybody is told."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Self


@dataclass(frozen=True, slots=True)
class Charge:
    """A charge that was made, won or lost. `at` is RFC 3339 in UTC."""

    retry_id: str
    invoice_id: str
    at: str
    outcome: str
    amount_minor: int
    currency: str


class Ledger:
    """The charges made, by `retry_id`: what stands here is not charged again, by a restarted processor neither."""

    def __init__(self, path: Path) -> None:
        self._charges = {charge.retry_id: charge for charge in _read(path)}
        self._file = path.open("a", encoding="utf-8")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def __len__(self) -> int:
        return len(self._charges)

    def find(self, retry_id: str) -> Charge | None:
        """The charge that was made under this key."""
        return self._charges.get(retry_id)

    def enter(self, charge: Charge) -> None:
        """Write a charge down. Raises ValueError for one that was made before."""
        if charge.retry_id in self._charges:
            raise ValueError(f"{charge.retry_id} was charged before")
        self._file.write(json.dumps(asdict(charge)) + "\n")
        self._file.flush()
        self._charges[charge.retry_id] = charge


def _read(path: Path) -> list[Charge]:
    """The whole lines; one that a killed process left unfinished was told to nobody, and is cut off."""
    if not path.exists():
        return []
    content = path.read_bytes()
    whole = content[: content.rfind(b"\n") + 1]
    if len(whole) < len(content):
        path.write_bytes(whole)
    return [Charge(**json.loads(line)) for line in whole.splitlines()]
