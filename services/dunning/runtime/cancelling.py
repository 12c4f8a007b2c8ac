"""Ending tasks that may not hear of it the first time."""

import asyncio
from typing import Any

_AGAIN_SECONDS = 10.0  # longer than any task takes to tidy up


async def cancelled(*tasks: "asyncio.Task[Any]") -> None:
    """Cancel until all have ended: Python 3.11 loses a cancellation that meets the end of what `wait_for` waits for."""
    pending = {task for task in tasks if not task.done()}
    while pending:
        for task in pending:
            task.cancel()
        _, pending = await asyncio.wait(pending, timeout=_AGAIN_SECONDS)
    await asyncio.gather(*tasks, return_exceptions=True)
