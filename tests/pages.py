"""What a service's process answers on its three pages. The port is any free one; its log names it."""

import json
import urllib.error
import urllib.request
from pathlib import Path

from dunning_cli.stack.ports import HOST


def page_of(log: Path, path: str) -> tuple[int, str] | None:
    """Status and text of the latest process that writes to a log; None where it does not listen, or not yet."""
    lines = log.read_text(errors="replace").splitlines() if log.exists() else []
    listening = [json.loads(line) for line in lines if '"listening"' in line and line.endswith("}")]
    if not listening:
        return None
    try:
        with urllib.request.urlopen(f"http://{HOST}:{listening[-1]['port']}{path}", timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as refusal:
        return refusal.code, refusal.read().decode(errors="replace")
    except OSError:
        return None
