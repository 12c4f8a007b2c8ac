"""One look into the box for bounces as a process of its own, for tests that let it die."""

import asyncio
import sys

from dunning.runtime.settings import load_settings
from notification_dispatcher.bounces.reader import bounce_readers
from notification_dispatcher.metrics import NoticeMetrics
from notification_dispatcher.settings import DispatcherSettings


async def main() -> int:
    (reader,) = bounce_readers(load_settings(DispatcherSettings), NoticeMetrics())
    try:
        await reader.look()
    finally:
        await reader.close()
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
