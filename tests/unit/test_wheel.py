"""A wheel holds all that a server needs: without its migrations `dunning migrate` would have nothing to apply."""

import shutil
import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

ROOT = Path(__file__).parents[2]


def test_a_wheel_takes_the_migrations_along(tmp_path: Path) -> None:
    checkout = tmp_path / "checkout"
    for each in ("services", "schemas"):
        shutil.copytree(ROOT / each, checkout / each, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    for file in ("pyproject.toml", "setup.py"):
        shutil.copy(ROOT / file, checkout)

    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "wheel", "--quiet", "--no-deps"]
    subprocess.run([*pip, "--no-build-isolation", "--wheel-dir", tmp_path, checkout], check=True, timeout=120)

    (wheel,) = tmp_path.glob("*.whl")
    packed = {name.removeprefix("dunning/") for name in ZipFile(wheel).namelist()}
    migrations = {str(file.relative_to(ROOT)) for file in ROOT.glob("schemas/db/*/*.sql")}
    assert len(migrations) > 10
    assert migrations <= packed
