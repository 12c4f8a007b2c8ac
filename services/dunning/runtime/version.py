"""Which version runs, as `dunning_build_info` and `dunning --version` tell it."""

from importlib.metadata import PackageNotFoundError, version

UNKNOWN = "unknown"


def running_version() -> str:
    """That of `pyproject.toml` when the package was installed; `unknown` for code that never was."""
    try:
        return version("dunning")
    except PackageNotFoundError:
        return UNKNOWN
