"""`python -m dunning.contracts.generate [--check]`: write the generated files, or say which ones are not current."""

import argparse
import difflib
import sys
from pathlib import Path

from dunning.contracts.generate.asyncapi import asyncapi_yaml
from dunning.contracts.generate.json_schemas import json_schemas
from dunning.contracts.generate.policy_schema import policy_schema_json
from dunning.contracts.generate.reference import events_md
from dunning.contracts.generate.topic_list import topics_yaml

ROOT = Path(__file__).resolve().parents[4]
DIFF_LINES_MAX = 40


def generated_files(root: Path) -> dict[Path, str]:
    """Every generated file with its content. The reference quotes golden samples, which are written by hand."""
    schemas = {Path("schemas/events") / topic / "v1.json": text for topic, text in json_schemas().items()}
    return {
        **schemas,
        Path("schemas/asyncapi.yaml"): asyncapi_yaml(),
        Path("schemas/topics.yaml"): topics_yaml(),
        Path("schemas/policy.schema.json"): policy_schema_json(),
        Path("docs/events.md"): events_md(root / "schemas" / "events"),
    }


def main(arguments: list[str] | None = None) -> int:
    """Returns the exit code: 1 where `--check` finds a file that is not current."""
    parser = argparse.ArgumentParser(prog="python -m dunning.contracts.generate", description=__doc__)
    parser.add_argument("--check", action="store_true", help="change nothing; exit 1 if a file is not current")
    parser.add_argument("--root", type=Path, default=ROOT, help="the repository (default: this one)")
    options = parser.parse_args(arguments)
    files = generated_files(options.root)
    return _check(options.root, files) if options.check else _write(options.root, files)


def _write(root: Path, files: dict[Path, str]) -> int:
    for path, text in files.items():
        target = root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")
    sys.stdout.write(f"{len(files)} files written\n")
    return 0


def _check(root: Path, files: dict[Path, str]) -> int:
    stale = 0
    for path, text in files.items():
        target = root / path
        present = target.read_text(encoding="utf-8") if target.exists() else ""
        if present != text:
            stale += 1
            sys.stdout.write(_difference(path, present, text))
    if stale:
        sys.stdout.write(f"{stale} generated files are not current: run `python -m dunning.contracts.generate`\n")
    return 1 if stale else 0


def _difference(path: Path, present: str, wanted: str) -> str:
    lines = list(
        difflib.unified_diff(
            present.splitlines(), wanted.splitlines(), f"{path} (present)", f"{path} (wanted)", lineterm="", n=1
        )
    )
    more = [f"… {len(lines) - DIFF_LINES_MAX} more lines"] if len(lines) > DIFF_LINES_MAX else []
    return "\n".join([*lines[:DIFF_LINES_MAX], *more]) + "\n"


if __name__ == "__main__":
    sys.exit(main())
