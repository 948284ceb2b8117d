"""A daemon's parts for recursive builds, whose builders are in `recursing`."""

from __future__ import annotations

import json
import os
import shutil
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fruix
from fruix.daemon.opening import open_service
from fruix.daemon.settings import Settings
from fruix.dataclass import replace
from fruix.model import aterm
from fruix.model.build_options import BuildOptions
from fruix.model.derivation import DerivationOutput
from fruix.model.makepath import placeholder
from fruix.model.storepath import StorePath
from fruix.sandbox.spawner.forking import Forked
from fruix.store import Layout
from fruix.this_machine import local_system
from machine import Machine, left_over, private_frx

PACKAGE = Path(fruix.__file__).parent
BUILDERS = Path(__file__).parents[1] / "recursing.py"
PYTHON = os.path.realpath(sys.executable)
FEATURES = ("recursive-nix", "ca-derivations", "impure-derivations")
TALKS = {"requiredSystemFeatures": "recursive-nix"}


@dataclass
class Recursive:
    """A daemon's parts, and a directory that builders see."""

    here: Machine
    shell: StorePath
    files: Path

    def derivation(
        self,
        function: str,
        env: Mapping[str, str] | None = None,
        name: str = "",
        outputs: Mapping[str, DerivationOutput] | None = None,
    ) -> StorePath:
        return self.here.derivation(
            name or function.replace("_", "-"),
            f"PYTHONPATH={self.files}/python exec {PYTHON} {self.files}/python/{BUILDERS.name} {function}",
            self.shell,
            env={
                **TALKS,
                "SHELL_PATH": str(self.shell),
                "SYSTEM": local_system(),
                "FILES": str(self.files),
                **(env or {}),
            },
            outputs=outputs,
        )

    def floating(self, name: str) -> StorePath:
        """A derivation whose output is named by its contents."""
        plain = self.here.store.read_derivation(self.plain(name))
        outputs = {"out": DerivationOutput(None, "r:sha256")}
        drv = replace(plain, outputs=outputs, env={"out": placeholder("out")})
        return self.here.store.add_text(f"{name}.drv", aterm.render(drv), drv.references)

    def plain(self, name: str = "plain") -> StorePath:
        return self.here.derivation(name, "echo > $out", self.shell)

    def run(self, function: str, env: Mapping[str, str] | None = None) -> dict[str, Any]:
        """Build one of `recursing`'s, and what it wrote."""
        drv = self.derivation(function, env)
        (result,) = self.here.build(drv, options=BuildOptions("nix"))
        assert result.success, (result.message, self.here.log(drv))
        found: dict[str, Any] = json.loads(self.here.output(drv).read_text())
        return found


@contextmanager
def recursive_machine(scratch: Path) -> Iterator[Recursive]:
    files = Path("/frx/files")  # not below /tmp, where builders have their own
    shown = ["/usr", "/lib?", "/lib64?", os.path.realpath(sys.base_prefix), str(files)]
    paths = tuple(path for path in dict.fromkeys(shown) if path == "/usr" or not path.startswith("/usr/"))
    build = {
        "max_jobs": 1,
        "cores": 1,
        "experimental_features": FEATURES,
        "sandbox_paths": paths,
        "max_jobs_per_user": 1,
    }
    with private_frx():
        spawner = Forked.start()
        try:
            layout = Layout()
            layout.create()
            # Wherever this checkout is: builders have a /tmp of their own.
            shutil.copytree(PACKAGE, files / "python/fruix", ignore=shutil.ignore_patterns("__pycache__"))
            shutil.copy(BUILDERS, files / "python")
            service = open_service(layout, Settings(building=build), spawner)
            try:
                here = Machine(service.store, service.builder)
                yield Recursive(here, here.shell(scratch), files)
                assert sessions_of_builders() == []
            finally:
                service.close()
            assert left_over(layout) == []
        finally:
            spawner.close()


def sessions_of_builders() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("builder-session")]
