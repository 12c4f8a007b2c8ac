"""The trial of mistakes: the tests are collected once, and each mistake is shown to those that reach its function, in
a process of its own that is forked from there.

A mistake replaces the code of the function objects that are there already, so nothing is imported anew. What the tests
reach, and how long each takes, is told by a first run of all of them without any mistake.
"""

import ast
import gc
import os
import pickle
import resource
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any, TypeVar

import pytest

from tests.mutants.mistakes import Mistake, made

T = TypeVar("T")
Function = tuple[str, str]  # file and qualified name
_CANNOT_BE_MADE = "-"
SECONDS_MAX = 20  # of processor time, for all tests of one mistake beyond what they take without it


@dataclass
class Reached:
    """What the tests do without a mistake: the functions of each, and its seconds."""

    functions: dict[str, set[Function]] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    failed: list[str] = field(default_factory=list)

    def tests_of(self, function: Function) -> list[str]:
        """The quickest first."""
        found = [test for test, functions in self.functions.items() if function in functions]
        return sorted(found, key=lambda test: self.seconds[test])


@dataclass(frozen=True, slots=True)
class Verdict:
    """Which test saw a mistake, if any did."""

    mistake: Mistake
    tests: int
    seen_by: str | None
    seconds: float


class Trial:
    """A plugin of pytest that does this in place of the usual run."""

    def __init__(self, root: Path, mistakes: Sequence[Mistake], tell: Callable[[Verdict], None], until: float) -> None:
        self._root = root
        self._mistakes = mistakes
        self._tell = tell
        self._until = until
        self.reached = Reached()

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        self.reached = _apart(lambda: _reached(session, self._root), 3600) or Reached()
        items = {item.nodeid: item for item in session.items}
        for mistake in self._mistakes:
            if time.time() > self._until:
                break
            verdict = self._try(mistake, items)
            if verdict is not None:
                self._tell(verdict)
        return True

    def _try(self, mistake: Mistake, items: Mapping[str, pytest.Item]) -> Verdict | None:
        """None where the mistake cannot be made in a function that is there."""
        tests = self.reached.tests_of((mistake.file, mistake.function))
        began = time.monotonic()
        seconds_max = int(SECONDS_MAX + 3 * sum(self.reached.seconds[test] for test in tests))
        seen_by = _apart(lambda: self._show(mistake, [items[test] for test in tests]), seconds_max) if tests else ""
        if seen_by == _CANNOT_BE_MADE:
            return None
        return Verdict(mistake, len(tests), "its time" if seen_by is None else seen_by, time.monotonic() - began)

    def _show(self, mistake: Mistake, items: Sequence[pytest.Item]) -> str:
        """The first test that sees it, or nothing."""
        try:
            _make(self._root, mistake)
        except (ValueError, SyntaxError):
            return _CANNOT_BE_MADE
        for item in items:
            if _fails(item):
                return item.nodeid
        return ""


def _apart(work: Callable[[], T], seconds_max: int) -> T | None:
    """What `work` gives in a process of its own; None where that dies or takes too long."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 1)
        os.dup2(nowhere, 2)
        resource.setrlimit(resource.RLIMIT_CPU, (seconds_max, seconds_max + 1))
        resource.setrlimit(resource.RLIMIT_AS, (6 << 30, 6 << 30))
        signal.signal(signal.SIGXCPU, signal.SIG_DFL)
        try:
            with os.fdopen(writing, "wb") as answer:
                pickle.dump(work(), answer)
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as answer:
        told = answer.read()
    os.waitpid(child, 0)
    found: T | None = pickle.loads(told) if told else None
    return found


def _reached(session: pytest.Session, root: Path) -> Reached:
    """Every test once, with a note of each function that is entered."""
    services = f"{root / 'services'}{os.sep}"
    reached = Reached()
    names: dict[CodeType, Function | None] = {}
    for item in session.items:
        entered: set[CodeType] = set()

        def note(frame: Any, event: str, _: Any, entered: set[CodeType] = entered) -> None:
            if event == "call":
                entered.add(frame.f_code)

        began = time.process_time()
        sys.setprofile(note)
        try:
            failed = _fails(item)
        finally:
            sys.setprofile(None)
        reached.seconds[item.nodeid] = time.process_time() - began
        if failed:
            reached.failed.append(item.nodeid)
            continue
        for code in entered:
            if code not in names:
                names[code] = _function_of(code, services, root)
        reached.functions[item.nodeid] = {function for code in entered if (function := names[code])}
    return reached


def _function_of(code: CodeType, services: str, root: Path) -> Function | None:
    if not code.co_filename.startswith(services):
        return None
    return str(Path(code.co_filename).relative_to(root)), code.co_qualname.partition(".<locals>")[0]


def _fails(item: pytest.Item) -> bool:
    reports: list[pytest.TestReport] = []
    plugin = _Reports(reports)
    item.config.pluginmanager.register(plugin)
    try:
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=None)
    finally:
        item.config.pluginmanager.unregister(plugin)
    return any(report.failed for report in reports)


class _Reports:
    def __init__(self, reports: list[pytest.TestReport]) -> None:
        self._reports = reports

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._reports.append(report)


def _make(root: Path, mistake: Mistake) -> None:
    """Give the functions that are there the code with the mistake."""
    file = root / mistake.file
    whole = compile(made(ast.parse(file.read_text()), mistake), str(file), "exec", dont_inherit=True)
    (code,) = [each for each in _codes(whole) if each.co_qualname == mistake.function][-1:]
    found = [
        each
        for each in gc.get_objects()
        if isinstance(each, FunctionType)
        and each.__code__.co_filename == str(file)
        and each.__code__.co_qualname == mistake.function
    ]
    assert found, f"nobody has {mistake.function}"
    for function in found:
        function.__code__ = code


def _codes(code: CodeType) -> Iterator[CodeType]:
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            yield inner
            yield from _codes(inner)
