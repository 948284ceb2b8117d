"""Why something is built again, as `why-rebuild` and plans tell it.

By name against what was built last, and between two derivations. On a private /frx.
"""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from machine import private_frx

LOW = """
package = Package(
    name="low", version="{version}", build_system="trivial",
    arguments={{
        "script": "echo one\\nmkdir $out\\n{command}\\necho three", "environment": {{"FLAGS": {flags!r}}}
    }},
)
"""
TOP = """
package = Package(
    name="top", version="1", build_system="trivial", inputs=[find("low")], arguments={"script": "mkdir $out"},
)
"""
HASH = re.compile(r"[0-9a-z]{32}-")


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with private_frx():
        where = tmp_path_factory.mktemp("packages")
        (where / "top.py").write_text(TOP)
        yield where


def fruix(directory: Path, *words: str, code: int = 0, config: str = "") -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("FRUIX_", "NIX_"))}
    done = subprocess.run(
        [sys.executable, "-m", "fruix", *words],
        capture_output=True,
        text=True,
        env={**kept, "FRUIX_PACKAGE_PATH": str(directory), **({"FRUIX_CONF": config} if config else {})},
        check=False,
    )
    assert done.returncode == code, f"{words}: {done.stdout}\n{done.stderr}"
    return done


def test_why_it_is_built_again(directory: Path) -> None:
    low = directory / "low.py"
    low.write_text(LOW.format(version="1", command="echo two", flags="-O2 -g"))
    nothing = fruix(directory, "why-rebuild", "top", code=2).stderr
    assert (
        "nobody knows what was built last for 'top-1'\nhint: name two: fruix why-rebuild OLD top\n" in nothing
    )
    assert "changed since" not in fruix(directory, "build", "-n", "top").stderr
    fruix(directory, "build", "top")
    assert fruix(directory, "why-rebuild", "top", code=1).stdout.endswith(
        "-top-1.drv is the same derivation\n"
    )
    old = fruix(directory, "why-rebuild", "top", code=1).stdout.split()[0]
    # only what is compared changes; what was built stays
    low.write_text(LOW.format(version="1", command="echo 2", flags="-O3 -g"))
    plan = fruix(directory, "build", "-n", "top").stderr
    assert (
        "       changed since the last build: "
        "the file trivial-builder.sh differs, the variable FLAGS differs\n"
    ) in plan
    assert "       changed since the last build: the input low-1 differs\n" in plan
    expected = """\
top-1 differs:
- /frx/store/top-1.drv
+ /frx/store/top-1.drv
  the input low-1 differs

low-1 differs:
- /frx/store/low-1.drv
+ /frx/store/low-1.drv
  the file trivial-builder.sh differs:
    @@ line 7 (phase_build)
     echo one
     mkdir $out
    -echo two
    +echo 2
     echo three
     }
  the variable FLAGS differs:
    --O2
    +-O3
"""
    assert HASH.sub("", fruix(directory, "why-rebuild", "top").stdout) == expected
    assert HASH.sub("", fruix(directory, "why-rebuild", old, "top").stdout) == expected
    low.write_text(LOW.format(version="2", command="echo two", flags="-O2 -g"))
    shown = HASH.sub("", fruix(directory, "why-rebuild", "low").stdout)
    assert shown.startswith("low-1 and low-2 differ:\n- /frx/store/low-1.drv\n+ /frx/store/low-2.drv\n")
    assert "  the variable version differs:\n    -1\n    +2\n" in shown


def test_the_hosts_tools_are_named(directory: Path, tmp_path: Path) -> None:
    """A view with a tool of this test's own, which changes between two builds."""
    config, tool = tmp_path / "fruix.conf", Path("/frx/tools/own-tool")
    tool.parent.mkdir()
    config.write_text(f'[views.own]\nextends = "base"\nfiles = ["{tool}"]\n')
    (directory / "mine.py").write_text(LOW.format(version="1", command="true", flags="").replace(
        'name="low"', 'name="mine", host_view="own"'
    ))  # fmt: skip
    tool.write_text("one")
    fruix(directory, "build", "mine", config=str(config))
    tool.write_text("two")
    plan = fruix(directory, "build", "-n", "mine", config=str(config)).stderr
    words = f"the host's own-tool changed {sha256('one')} → {sha256('two')}"
    assert f"       changed since the last build: {words}\n" in plan
    assert f"{words}:\n    ~{tool}\n" in fruix(directory, "why-rebuild", "mine", config=str(config)).stdout


def sha256(text: str) -> str:
    """As much of it as people are told."""
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def test_wrong_words(directory: Path) -> None:
    assert "no package 'lowest'" in fruix(directory, "why-rebuild", "lowest", code=2).stderr
