"""How a service's process begins: `python -m retry_scheduler`, or `dunning run retry_scheduler`."""

import sys
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

import uvloop

from dunning.runtime.problem import Problem
from dunning.runtime.settings import Settings, load_settings, shown

S = TypeVar("S", bound=Settings)

PRINT_SETTINGS = "--print-settings"


def start(kind: type[S], serve: Callable[[S], Awaitable[int]], arguments: Sequence[str] | None = None) -> int:
    """Read the settings and serve until told to stop; returns the exit code. Prints them instead when asked to."""
    given = sys.argv[1:] if arguments is None else arguments
    unknown = [word for word in given if word != PRINT_SETTINGS]
    if unknown:
        print(f"unknown argument {unknown[0]}; there is only {PRINT_SETTINGS}", file=sys.stderr)  # noqa: T201
        return 2
    try:
        settings = load_settings(kind)
        if PRINT_SETTINGS in given:
            print(shown(settings))  # noqa: T201
            return 0
        return uvloop.run(_served(serve, settings))
    except Problem as problem:
        print(problem, file=sys.stderr)  # noqa: T201 - the one line for whoever started it
        return 1


async def _served(serve: Callable[[S], Awaitable[int]], settings: S) -> int:
    return await serve(settings)
