"""The kernel on real servers, with the toy service."""

from collections.abc import AsyncIterator, Callable

import pytest

from tests.faults.sizes import SIZES
from tests.kernel import Kernel, a_kernel


@pytest.fixture
async def kernel(kafka_bootstrap: str, database_url: str, topic_prefix: str) -> AsyncIterator[Kernel]:
    """Everything but an instance: that is the test's to start."""
    async with a_kernel(kafka_bootstrap, database_url, topic_prefix) as ready:
        yield ready


@pytest.fixture
def tell(capsys: pytest.CaptureFixture[str]) -> Callable[[object], None]:
    """Show what was measured at full size, where all went well too."""

    def show(measured: object) -> None:
        if SIZES.judges_time:
            with capsys.disabled():
                print(f"\n{measured}")  # noqa: T201 - what `make faults` is for

    return show
