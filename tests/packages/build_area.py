"""A directory in which phases of builders run as in a sandbox, but without one.

It has a store, a build directory and an output.
"""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from fruix.packages.build_systems.shared_phases import SET_UP
from fruix.packages.phases import Phases, script


@dataclass
class BuildArea:
    """Its directories are below `top`.

    `environment` has more variables for builders, and `user` is the user that runs them, by default
    the one of the tests.
    """

    top: Path
    environment: dict[str, str] = field(default_factory=dict)
    user: int | None = None

    def __post_init__(self) -> None:
        for path in (self.store, self.build, self.tools):
            path.mkdir(parents=True, exist_ok=True)
        (self.top / "set-up.sh").write_text(SET_UP)

    @property
    def store(self) -> Path:
        return self.top / "store"

    @property
    def build(self) -> Path:
        return self.top / "build"

    @property
    def tools(self) -> Path:
        """A directory for programs that builders find first."""
        return self.top / "tools"

    @property
    def out(self) -> Path:
        return self.store / f"{'o' * 32}-mine-1"

    def variables(self) -> dict[str, str]:
        return {
            "PATH": f"{self.tools}:/usr/bin:/bin",
            "NIX_BUILD_TOP": str(self.build),
            "NIX_BUILD_CORES": "1",
            "NIX_STORE": str(self.store),
            "setUp": str(self.top / "set-up.sh"),
            "out": str(self.out),
            "pname": "mine",
            "patches": "",
            "LC_ALL": "C",
            "TZ": "UTC",
            **self.environment,
        }

    def source(self, name: str) -> Path:
        """Where a source of that name lies; the next builder gets it."""
        path = self.store / f"{'s' * 32}-{name}"
        self.environment["source"] = str(path)
        return path

    def run(
        self, *phases: tuple[str, str], shell: Sequence[str] = ("sh",)
    ) -> subprocess.CompletedProcess[str]:
        """Run a builder with these phases."""
        builder = self.top / "builder.sh"
        builder.write_text(script(Phases(phases)))
        return self.execute([*shell, str(builder)])

    def execute(self, words: Sequence[str]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            words,
            cwd=self.build,
            env=self.variables(),
            text=True,
            errors="surrogateescape",
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            user=self.user,
            check=False,
        )
