"""What the command line says before any command."""

from importlib.metadata import version

import pytest

from dunning_cli.main import app


def test_the_version_is_the_one_that_was_installed(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        app(["--version"])

    assert (end.value.code, capsys.readouterr().out) == (0, f"dunning {version('dunning')}\n")
