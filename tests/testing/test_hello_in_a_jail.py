"""GNU Hello, whole, in a jail of the double.

With BSD's make, the one true awk, BSD's tar, and busybox for GNU's other tools.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from docs.documents import compared_by
from docs.shown import Names, difference
from fruix.hostview import definitions
from machine import BUSYBOX, private_frx

ROOT = Path(__file__).parents[2]
# What has GNU's make in it, or is one; and compilers' tools, which stay what they are.
LEFT_OUT = frozenset({"make", "gmake", "gawk", "mawk", "bash"})
OWN = {"make": "bmake", "awk": "original-awk", "tar": "bsdtar"}
KEPT = frozenset(
    [
        "cc",
        "gcc",
        "cpp",
        "ld",
        "as",
        "ar",
        "ranlib",
        "nm",
        "strip",
        "objdump",
        "objcopy",
        "readelf",
        "strings",
        "c++filt",
        "addr2line",
        "gzip",
    ]
)


def tools(directory: Path) -> list[str]:
    """A directory of programs by their usual names; each one not GNU's where there is another."""
    directory.mkdir(parents=True)
    applets = set(subprocess.check_output([BUSYBOX, "--list"], text=True).split())
    view = definitions({})["base"]
    for name in (*view.tools, *view.optional):
        where = shutil.which(OWN.get(name, name))
        if name in applets - KEPT - OWN.keys():
            where = BUSYBOX
        if where and (name in OWN or name not in LEFT_OUT):
            (directory / name).symlink_to(os.path.realpath(where))
    return sorted(path.name for path in directory.iterdir())


def configuration(directory: Path) -> str:
    """Instead of the default view: that directory, and what it leads to."""
    base = definitions({})["base"]
    lists = {
        "tools": tools(directory),
        "trees": ["/usr/include"],
        "optional-trees": ["/usr/lib/gcc", "/usr/share/bmake", "/usr/share/mk"],
        "files": ["/bin/sh", *base.files],
        "path": [str(directory)],
    }
    lines = [f"{key} = {json.dumps(list(value))}" for key, value in lists.items()]
    return "[views.base]\n" + "\n".join(lines) + "\n"


def looks_as_shown(found: Mapping[str, str], record: Mapping[str, Any]) -> None:
    """What docs/freebsd.md shows of the metadata and of the build record."""
    metadata, isolation = compared_by(__file__)
    printed = "".join(f"{name}={found[name]}\n" for name in (line.split("=")[0] for line in metadata.lines))
    volatile = metadata.marked("volatile")
    assert Names().agree(metadata.lines, printed, volatile), difference(metadata.lines, printed)
    name = json.loads(f"{{{isolation.text}}}")["isolation"]["name"]
    shown = json.loads(f"{{{isolation.text}}}".replace(name, found["jail_name"]))["isolation"]
    targets = [mount["target"] for mount in shown["mounts"]]
    mounts = [mount for mount in record["isolation"]["mounts"] if mount["target"] in targets]
    assert {**record["isolation"], "mounts": mounts} == shown


def test_hello(tmp_path: Path) -> None:
    for program in (BUSYBOX, *OWN.values()):
        assert shutil.which(program), f"{program} is missing (scripts/need test)"
    with private_frx():
        bin_ = Path("/frx/bsd/bin")
        Path("/frx/etc").mkdir()
        Path("/frx/etc/fruix.toml").write_text(configuration(bin_))
        metadata = tmp_path / "metadata"
        environment = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": f"{ROOT}/src:{ROOT}/tests",
            **{
                name: os.environ[name]
                for name in ("FRUIX_SOURCES", "http_proxy", "https_proxy")
                if name in os.environ
            },
        }
        done = subprocess.run(
            [
                sys.executable,
                "-S",
                "-m",
                "freebsd_double",
                "build",
                "-v",
                "-e",
                'hello.inherit(host_view="base")',
                "--metadata",
                str(metadata),
            ],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        found = dict(line.split("=", 1) for line in metadata.read_text().splitlines())
        record = json.loads(
            next(Path("/frx/var/log/fruix/drvs").glob("*/*-hello-2.12.3.drv.json")).read_text()
        )
        shown = json.loads(next(Path("/frx/var/fruix/views").glob("*.json")).read_text())["tools"]
        said = done.stdout + done.stderr
    assert [path for path in shown if path.endswith(("make", "/gawk", "/mawk"))] == [
        f"{bin_}/make",
        "/usr/bin/bmake",
        "/usr/share/bmake",
    ]
    assert "hello-2.12.3> --- all" in said  # as BSD's make says which of several jobs it works on
    assert found["build_mode"] == "freebsd-jail"
    assert (found["build_uid"], found["build_gid"]) == ("35001", "35001")
    assert found["jail_name"].startswith("frx-")
    assert found["jail_hostname"] == "localhost"
    assert found["host_view"] == "base"
    assert len(found["host_view_hash"]) == 64
    assert found["source_store_path"] in found["references"].split()
    assert found["source_sha256"] == "0d5f60154382fee10b114a1c34e785d8b1f492073ae2d3a6f7b147687b366aa0"
    assert found["runtime_output"] == "Hello, world!"
    # One of its seven tests is skipped unless the moon is full.
    assert found["tests"] in {"pass=7 fail=0", "pass=6 fail=0 skip=1"}
    looks_as_shown(found, record)
