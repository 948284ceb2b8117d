"""A package whose host changes: what is said and kept, and what a request does meanwhile.

On a private /frx.

The host has a dpkg database of this test's own, in which `gcc` changes its version; its view has
that and what the builder needs.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from machine import private_frx

# The command line, told where dpkg keeps its records, and what to do once, before the host's view
# for `top` is looked at. An embedded daemon is a fork of it.
FRUIX = """
import contextlib, os, sys
from fruix.__main__ import main
from fruix.building.host_views import HostViews
from fruix.hostview import owners

records, upgrade, *sys.argv[1:] = sys.argv[1:]
owners.RECORDS = ((records, owners.DpkgRecords),)
of = HostViews.for_derivation

def for_derivation(self, derivation, attributes):
    if derivation.name == "top-1":
        with contextlib.suppress(FileNotFoundError):
            os.replace(upgrade, "/frx/tools/gcc")
    return of(self, derivation, attributes)

HostViews.for_derivation = for_derivation
sys.exit(main())
"""
CONFIGURATION = """
[views.tools]
tools = [
    "gcc", "sh", "cat", "chmod", "cp", "find", "grep", "ls", "mkdir", "rm", "sed", "sleep", "sort", "touch"
]
path = ["/frx/tools", "/usr/bin", "/bin"]
[views.plain]
tools = ["sh", "cat", "chmod", "cp", "find", "grep", "ls", "mkdir", "rm", "sed", "sort", "touch"]
"""
PACKAGES = """
low = Package(
    name="low", version="1", build_system="trivial", host_view="{view}", arguments={{"script": {script!r}}}
)
package = Package(
    name="top", version="1", build_system="trivial", host_view="tools", inputs=[low],
    arguments={{"script": "gcc > $out"}},
)
"""
# Says that it is ready, and goes on when the tool is another; gives up after a minute.
WAIT = """
echo ready
i=0
while [ $i -lt 600 ] && ! grep -q two /frx/tools/gcc; do sleep 0.1; i=$((i+1)); done
grep -q two /frx/tools/gcc && mkdir $out
"""


@dataclass
class Host:
    """A machine with a compiler of a version."""

    directory: Path

    @property
    def upgrade(self) -> Path:
        """What takes the compiler's place when the build of `top` begins, if it is there."""
        return Path("/frx/upgrade")

    def install(self, version: str, output: str) -> None:
        """Another version: in place, as builds that run already are to see it."""
        self.write(Path("/frx/tools/gcc"), output)
        (self.directory / "dpkg/info/gcc-12.list").write_text("/.\n/frx\n/frx/tools\n/frx/tools/gcc\n")
        (self.directory / "dpkg/status").write_text(
            "Package: dpkg\nArchitecture: amd64\nVersion: 1\n\n"
            f"Package: gcc-12\nStatus: install ok installed\nArchitecture: amd64\nVersion: {version}\n"
        )

    def write(self, tool: Path, output: str) -> None:
        """Write the compiler and nothing else of the host."""
        tool.write_text(f"#!/bin/sh\necho {output}\n")
        tool.chmod(0o755)

    def define(self, script: str = "mkdir $out", view: str = "tools") -> None:
        (self.directory / "top.py").write_text(PACKAGES.format(script=script, view=view))

    def start(self, *words: str, encoding: str = "utf-8") -> subprocess.Popen[str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("FRUIX_", "NIX_"))}
        config = {"FRUIX_CONF": f"{self.directory}/fruix.toml", "FRUIX_PACKAGE_PATH": str(self.directory)}
        return subprocess.Popen(
            [sys.executable, "-c", FRUIX, f"{self.directory}/dpkg/info", str(self.upgrade), *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**kept, **config, "PYTHONIOENCODING": encoding},
        )

    def fruix(self, *words: str, code: int = 0, encoding: str = "utf-8") -> tuple[str, str]:
        """Standard output and standard error of a command."""
        with self.start(*words, encoding=encoding) as process:
            out, err = process.communicate()
        assert process.returncode == code, f"{words}: {out}\n{err}"
        return out, err

    def events(self, when_ready: Callable[[], None]) -> list[dict[str, Any]]:
        """The events of a build of `top`, which succeeds; `when_ready` is called once in it."""
        actions = [when_ready]
        found: list[dict[str, Any]] = []
        with self.start("build", "--json", "top") as process:
            assert process.stdout is not None
            assert process.stderr is not None
            for line in process.stdout:
                found.append(json.loads(line))
                if found[-1].get("line") == "ready" and actions:
                    actions.pop()()
            err = process.stderr.read()
        assert process.returncode == 0, f"{found}\n{err}"
        return found


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    with private_frx():
        (tmp_path / "dpkg/info").mkdir(parents=True)
        Path("/frx/tools").mkdir()
        (tmp_path / "fruix.toml").write_text(CONFIGURATION)
        one = Host(tmp_path)
        one.define()
        one.install("12.2.0-14", "one")
        yield one


def test_people_are_told_why(host: Host) -> None:
    assert "rebuilt" not in host.fruix("build", "top")[1]
    host.install("12.2.0-15", "two")
    why = "rebuilt because the host's gcc-12 changed 12.2.0-14 → 12.2.0-15: low-1, top-1\n"
    plan = host.fruix("build", "-n", "top")[1]
    assert why in plan
    assert "changed since the last build: the host's gcc-12 changed 12.2.0-14 → 12.2.0-15\n" in plan
    change = {"name": "gcc-12", "old": "12.2.0-14", "new": "12.2.0-15"}
    (event,) = map(json.loads, host.fruix("build", "-n", "--json", "top")[0].splitlines())
    assert event["host_changed"]["changes"] == [change]
    assert len(event["host_changed"]["builds"]) == 2
    path, said = host.fruix("build", "top")
    assert why in said
    assert Path(path.strip()).read_text() == "two\n"
    assert "rebuilt" not in host.fruix("build", "-n", "top")[1]


def test_a_version_alone_rebuilds_nothing(host: Host) -> None:
    host.fruix("build", "top")
    host.install("12.2.0-15", "one")
    assert "nothing to be done: everything is valid" in host.fruix("build", "-n", "top")[1]


def test_a_change_while_it_is_built(host: Host) -> None:
    """What was built meanwhile counts for nothing, and all is lowered again."""
    host.define(WAIT)
    events = host.events(lambda: host.install("12.2.0-15", "two"))
    begun = [event for event in events if event["event"] == "begun-anew"]
    assert [event["number"] for event in begun] == [1]
    assert begun[0]["because"] == (
        "host view 'tools' was changed while it was built: /frx/tools/gcc was changed"
    )
    assert [event["event"] for event in events].count("plan") == 2
    assert made(events).read_text() == "two\n"


def test_a_change_before_it_is_built(host: Host) -> None:
    """What needs the tool was lowered for another one; what doesn't need it isn't built again."""
    host.define("mkdir $out", "plain")
    host.write(host.upgrade, "two")
    events = host.events(lambda: None)
    (begun,) = (event for event in events if event["event"] == "begun-anew")
    assert "host view 'tools' has changed since 'top-1' was made: the host's gcc changed " in begun["because"]
    started = [event["name"] for event in events if event["event"] == "build-started"]
    assert started.count("low-1") == 1
    assert made(events).read_text() == "two\n"


def test_people_are_told_that_it_begins_anew(host: Host) -> None:
    host.write(host.upgrade, "two")
    path, said = host.fruix("build", "top")
    assert "begun anew for the tools that are here now (1 of 8)\n" in said
    assert "overtaken: top-1 after " in said
    assert "error" not in said
    assert Path(path.strip()).read_text() == "two\n"


@pytest.mark.parametrize("name", ["top", "above"])
def test_a_shell_in_a_sandbox_begins_anew_too(host: Host, name: str) -> None:
    """Whether the view of the sandbox itself changed, or the one of what it needs first."""
    (host.directory / "above.py").write_text(
        "package = Package(name='above', version='1', build_system='trivial', host_view='plain',\n"
        "    inputs=[find('top')], arguments={'script': 'cat $top > $out'})\n"
    )
    host.write(host.upgrade, "two")
    _, said = host.fruix("enter", name, "--", "/bin/sh", "-c", "exit 7", code=7)
    assert said.count("begun anew for the tools that are here now") == 1
    assert "fruix: error" not in said


def test_a_derivation_that_nobody_lowers_is_refused(host: Host) -> None:
    drv = host.fruix("build", "-n", "--json", "top")[0]
    path = json.loads(drv)["builds"][-1]["drv"]
    host.install("12.2.0-15", "two")
    said = host.fruix("build", path, code=100)[1]
    assert "begun anew" not in said
    assert "the host's gcc-12 changed 12.2.0-14 → 12.2.0-15" in said


def test_views_are_shown(host: Host) -> None:
    """One, all of them, and what each was before; by name, and by the beginning of a fingerprint."""
    shown = host.fruix("view", "tools")[0].splitlines()
    name, first = shown[0].split()
    assert name == "tools"
    assert shown[2:5] == [
        "programs in: /frx/tools /usr/bin /bin",
        "packages of the host:",
        "  gcc-12  12.2.0-14",
    ]
    assert "  /usr/bin/mkdir" in shown[shown.index("of no package:") :]
    assert host.fruix("view", "tools", "--diff", code=1)[1].endswith(
        "'tools' had no other fingerprint that is known\n"
    )
    host.install("12.2.0-15", "two")
    second = host.fruix("view", "tools")[0].split()[1]
    words = "the host's gcc-12 changed 12.2.0-14 → 12.2.0-15"
    difference = (
        f"- tools {first}\n+ tools {second}\n{words}:\n  ~gcc-12 12.2.0-14 → 12.2.0-15\n  ~/frx/tools/gcc\n"
    )
    assert host.fruix("view", "tools", "--diff")[0] == difference
    assert host.fruix("view", first[:10], "--diff")[0] == difference
    assert host.fruix("view", first[:10])[0].splitlines()[0] == f"tools {first}"
    every = host.fruix("view", "--diff")[0]
    assert f"tools        {second[:16]}  since " in every
    assert f", 1 other known\n  {words}\n" in every


def test_views_for_programs(host: Host) -> None:
    (before,) = objects(host.fruix("view", "tools", "--json")[0])
    assert before["packages"] == {"gcc-12": "12.2.0-14"}
    assert [seen["fingerprint"] for seen in before["history"]] == [before["fingerprint"]]
    assert "/frx/tools/gcc" in before["entries"]
    host.install("12.2.0-15", "two")
    (changed,) = objects(host.fruix("view", "tools", "--diff", "--json")[0])
    assert changed["old"] == before["fingerprint"]
    assert changed["changes"] == [{"name": "gcc-12", "old": "12.2.0-14", "new": "12.2.0-15"}]
    every = {each["name"]: each for each in objects(host.fruix("view", "--json")[0])}
    assert every["tools"]["fingerprint"] == changed["new"]
    assert {"plain", "base"} <= every.keys()


def test_a_view_that_lacks_something(host: Host) -> None:
    """It is said in its line; the others are shown."""
    Path("/frx/tools/gcc").rename("/frx/tools/other")
    with (host.directory / "fruix.toml").open("a") as file:
        file.write('[views.lacking]\ntools = ["no-such-tool"]\n')
    lines = host.fruix("view")[0].splitlines()
    (lacking,) = (line for line in lines if line.startswith("lacking "))
    assert "no-such-tool" in lacking
    assert any(line.startswith("plain ") and "since" in line for line in lines)
    assert "no-such-tool" in host.fruix("view", "lacking", code=1)[1]
    (said,) = (each for each in objects(host.fruix("view", "--json")[0]) if each["name"] == "lacking")
    assert "no-such-tool" in said["error"]
    assert "'nothing' is not offered here" in host.fruix("view", "nothing", code=1)[1]


def test_in_ascii(host: Host) -> None:
    host.fruix("view", "tools")
    host.install("12.2.0-15", "two")
    assert "12.2.0-14 -> 12.2.0-15" in host.fruix("view", "tools", "--diff", encoding="ascii")[0]


def objects(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def made(events: list[dict[str, Any]]) -> Path:
    """What the last line says."""
    assert events[-1]["event"] == "result"
    return Path(events[-1]["results"][0]["outputs"]["out"])
