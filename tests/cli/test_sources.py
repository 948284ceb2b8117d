"""A package's source: at hand by hash, patched, its phases changed, its tests run.

On a private /frx.
"""

from __future__ import annotations

import hashlib
import io
import os
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from machine import private_frx

CONFIGURE = r"""#!/bin/sh
for flag; do case $flag in
--prefix=*) prefix=${flag#--prefix=} ;;
--with-word=*) word=${flag#--with-word=} ;;
esac; done
printf 'all:\n\tsh ./greeting > greeting.out\n' > Makefile
printf 'check:\n\tgrep -q patched greeting.out && echo "# PASS:  1" && echo "# FAIL:  0"\n' >> Makefile
printf 'install:\n\tmkdir -p %s/bin\n\tcp greeting.out %s/bin/greeting\n\techo %s $(EXTRA) > %s/word\n' \
    "$prefix" "$prefix" "$word" "$prefix" >> Makefile
"""
PATCH = "--- a/greeting\n+++ b/greeting\n@@ -1 +1 @@\n-echo plain\n+echo patched\n"
PACKAGE = """
package = Package(
    name="greeting", version="1.0", host_view="base",
    source=Origin(urls=["http://nowhere.invalid/greeting-1.0.tar.gz"], sha256="{hash}", patches=["{patch}"]),
    arguments={{
        "configure_flags": ["--with-word=$pname"],
        "make_flags": ["EXTRA=flagged"],
        "phases": lambda phases: phases.insert_before("build", "before", "echo before >> steps")
            .insert_after("install", "after", "cp steps $out/steps").replace("strip", "echo no strip"),
    }},
)
"""


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    where = tmp_path_factory.mktemp("sources")
    sources = where / "have"
    sources.mkdir()
    with tarfile.open(sources / "some other name", "w:gz") as archive:
        for name, text, mode in (("configure", CONFIGURE, 0o755), ("greeting", "echo plain\n", 0o644)):
            member = tarfile.TarInfo(f"greeting-1.0/{name}")
            member.size, member.mode = len(text), mode
            archive.addfile(member, io.BytesIO(text.encode()))
    (sources / "greeting-1.0.tar.gz").write_text("the right name, the wrong contents")
    (where / "fix.patch").write_text(PATCH)
    digest = hashlib.sha256((sources / "some other name").read_bytes()).hexdigest()
    (where / "greeting.py").write_text(PACKAGE.format(hash=digest, patch=where / "fix.patch"))
    with private_frx():
        yield where


def build(directory: Path, *words: str, **more: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("FRUIX_", "NIX_"))}
    return subprocess.run(
        [sys.executable, "-m", "fruix", "build", "-f", str(directory / "greeting.py"), *words],
        capture_output=True,
        text=True,
        env={**kept, **more},
        check=False,
    )


def test_without_the_file_the_failure_names_what_was_tried(directory: Path) -> None:
    done = build(directory)
    assert done.returncode != 0
    assert "http://nowhere.invalid/greeting-1.0.tar.gz" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_source_at_hand_is_found_by_its_hash(directory: Path) -> None:
    metadata = directory / "metadata"
    done = build(directory, FRUIX_SOURCES=f"/nowhere:{directory / 'have'}", METADATA_OUT=str(metadata))
    assert done.returncode == 0, done.stderr
    assert f"taken from {directory}/have/some other name" in done.stderr
    out = Path(done.stdout.strip())
    assert (out / "bin/greeting").read_text() == "patched\n"
    assert (out / "word").read_text() == "greeting flagged\n"
    assert (out / "steps").read_text() == "before\n"
    assert "tests=pass=1 fail=0\n" in metadata.read_text()
    phases = [line.rpartition(" ")[2] for line in done.stderr.splitlines() if ": phase " in line]
    assert phases[phases.index("build") - 1] == "before"
    assert phases[phases.index("install") + 1] == "after"
    standard = ["unpack", "patch", "configure", "build", "check", "install", "strip", "record-source"]
    assert [phase for phase in phases if phase in standard] == standard


def test_a_patch_that_does_not_apply_fails_in_its_phase(directory: Path) -> None:
    (directory / "fix.patch").write_text(PATCH.replace("plain", "something else"))
    done = build(directory, FRUIX_SOURCES=str(directory / "have"))
    assert done.returncode == 100
    assert "greeting-1.0 failed in phase patch" in done.stderr
    assert "fix.patch" in done.stderr


ENTERED = """
low = Package(name="low", version="1", build_system="trivial",
    arguments={"script": "mkdir -p $out/bin $out/include; ln -s /bin/true $out/bin/lowtool"})
package = Package(name="top", version="1", build_system="trivial", inputs=[low],
    arguments={"script": "lowtool; echo > $out"})
"""


def test_a_shell_in_a_builds_sandbox_finds_its_inputs(directory: Path) -> None:
    (directory / "top.py").write_text(ENTERED)
    fruix = [sys.executable, "-m", "fruix"]
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("FRUIX_", "NIX_"))
    }
    plan = subprocess.run(
        [*fruix, "build", "-n", "-f", str(directory / "top.py")],
        capture_output=True,
        text=True,
        env=environment,
        check=True,
    )
    drv = next(word for word in plan.stderr.split() + plan.stdout.split() if word.endswith("-top-1.drv"))
    command = [*fruix, "enter", drv, "--", "sh", "-c", "command -v lowtool; echo $CPATH"]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=True)
    tool, include = done.stdout.split()
    assert tool.endswith("-low-1/bin/lowtool")
    assert include.endswith("-low-1/include")
