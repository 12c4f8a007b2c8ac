"""Lines of our own are written as the settings say, although their loggers are made before anybody reads settings."""

import json
import subprocess
import sys
from pathlib import Path

_LINES = """
from dunning.runtime.logs import configure_logs, log_for
early = log_for("early")
configure_logs("{log_format}", "{level}", "toy", "toy-1")
early.debug("thought")
early.info("said", account="acc_1")
early.warning("warned")
"""


def said(tmp_path: Path, *, log_format: str = "json", level: str = "info") -> "subprocess.CompletedProcess[str]":
    """What a process of its own writes: logging is set up once in a process."""
    lines = _LINES.format(log_format=log_format, level=level)
    return subprocess.run(
        [sys.executable, "-c", lines], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=True
    )


def test_a_logger_that_was_made_at_import_writes_json_with_part_service_instance_and_level(tmp_path: Path) -> None:
    done = said(tmp_path)

    first = json.loads(done.stderr.splitlines()[0])
    assert first.pop("timestamp")
    assert first == {
        "event": "said",
        "level": "info",
        "part": "early",
        "account": "acc_1",
        "service": "toy",
        "instance": "toy-1",
    }
    assert done.stdout == ""


def test_lines_below_the_level_are_left_out(tmp_path: Path) -> None:
    lines = said(tmp_path, level="warning").stderr.splitlines()

    assert [json.loads(line)["event"] for line in lines] == ["warned"]


def test_for_people_lines_are_words(tmp_path: Path) -> None:
    lines = said(tmp_path, log_format="console").stderr.splitlines()

    assert len(lines) == 2
    assert "said" in lines[0]
    assert not lines[0].startswith("{")
