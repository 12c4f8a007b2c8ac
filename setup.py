"""What `pyproject.toml` cannot say: a wheel takes the migrations along, which lie beside the packages."""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py


class WithMigrations(build_py):
    """Puts them where `dunning.runtime.migrate` looks first."""

    def run(self) -> None:
        super().run()
        if not self.editable_mode:
            shutil.copytree("schemas/db", Path(self.build_lib) / "dunning/schemas/db", dirs_exist_ok=True)


setup(cmdclass={"build_py": WithMigrations})
