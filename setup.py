"""Puts into the wheel what lies outside its packages: the built pages and nginx's template; see core/settings.py."""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py


class BuildWithPages(build_py):
    """Copies them where the modules look for them. What is not there (the image builds its pages apart) is left out."""

    def run(self) -> None:
        """Build the packages, then copy; an editable install has the source tree and needs no copies."""
        super().run()
        if self.editable_mode:
            return
        library, template = Path(self.build_lib), Path("nginx/nginx.conf.template")
        shutil.rmtree(library / "gateway" / "dist", ignore_errors=True)
        if Path("ui/dist").is_dir():
            shutil.copytree("ui/dist", library / "gateway" / "dist")
        if template.is_file():
            shutil.copy(template, library / "stack")


setup(cmdclass={"build_py": BuildWithPages})
