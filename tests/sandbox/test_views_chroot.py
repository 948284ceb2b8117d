"""The default view is enough to compile with, and nothing else is there: in a real root made of it alone."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from fruix.errors import HostViewError
from fruix.sandbox.views import ResolvedView, definitions, resolve_view

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or os.geteuid() != 0, reason="needs mount namespaces, so Linux and root"
)

HELLO = """
#include <math.h>
#include <stdio.h>
int main(int argc, char **argv) { printf("hello %.1f\\n", sqrt(argc * 4.0)); return 0; }
"""


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> ResolvedView:
    try:
        return resolve_view(definitions({})["base"], str(tmp_path_factory.mktemp("views")))
    except HostViewError as error:
        pytest.skip(f"this host has no full base view: {error}")


def run_inside(view: ResolvedView, root: Path, commands: str) -> subprocess.CompletedProcess[str]:
    """Run shell commands in a root that shows the view and an empty /tmp, made in a mount namespace of its own."""
    quoted = [(shlex.quote(bind.source), shlex.quote(f"{root}{bind.target}")) for bind in view.binds]
    kinds = ["mkdir -p" if os.path.isdir(bind.source) else "touch" for bind in view.binds]
    lines = ["set -e", f"mount -t tmpfs tmpfs {root}", f"mkdir {root}/tmp {root}/dev"]
    places = {os.path.dirname(item.target) for item in view.binds} | {
        os.path.dirname(link.path) for link in view.links
    }
    lines += [f"mkdir -p {shlex.quote(f'{root}{place}')}" for place in sorted(places)]
    lines += [
        f"{kind} {target}; mount --bind -o ro {source} {target}"
        for kind, (source, target) in zip(kinds, quoted, strict=True)
    ]
    lines += [f"ln -s {shlex.quote(item.target)} {shlex.quote(f'{root}{item.path}')}" for item in view.links]
    lines += [f"touch {root}/dev/null; mount --bind /dev/null {root}/dev/null"]
    lines += [f"exec chroot {root} /usr/bin/env -i PATH=/usr/bin:/bin /bin/sh -ec {shlex.quote(commands)}"]
    return subprocess.run(
        ["unshare", "-m", "sh"], input="\n".join(lines), capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("flags", ["", "-static", "-O2 -flto -pthread", "-g -fPIE -pie"])
def test_a_c_program_is_compiled_and_runs(base: ResolvedView, tmp_path: Path, flags: str) -> None:
    source = shlex.quote(HELLO)
    done = run_inside(
        base, tmp_path, f"cd /tmp; printf %s {source} >hello.c; cc {flags} hello.c -o hello -lm; ./hello"
    )
    assert (done.returncode, done.stdout) == (0, "hello 2.0\n"), done.stderr


def test_make_sed_awk_tar_and_archives_work(base: ResolvedView, tmp_path: Path) -> None:
    done = run_inside(
        base,
        tmp_path,
        """cd /tmp
        printf 'int f(void) { return 7; }' >f.c
        printf 'int f(void); int main(void) { return f(); }' >main.c
        printf 'all: main\\nlibf.a: f.o\\n\\tar rc $@ f.o\\n\\tranlib $@\\nmain: main.o libf.a\\n\\tcc -o $@ main.o libf.a\\n' >Makefile
        make >make.log
        ./main || echo $? | sed 's/$/ seven/' | awk '{print $2, $1}'
        tar czf x.tar.gz f.c; rm f.c; tar xzf x.tar.gz; find . -name 'f.c' | xargs grep -c return
        cmp f.c f.c; diff f.c f.c; egrep -c int f.c; install -m 755 f.c g; [ -x g ]; expr 1 + 1
        """,
    )
    assert (done.returncode, done.stdout) == (0, "seven 7\n1\n1\n2\n"), done.stderr


def test_every_tool_runs(base: ResolvedView, tmp_path: Path) -> None:
    """Loader and libraries of each required tool are there: what could not be started says 126 or 127."""
    names = " ".join(shlex.quote(tool) for tool in definitions({})["base"].tools)
    done = run_inside(
        base,
        tmp_path,
        f"for tool in {names}; do code=0; timeout 2 $tool --version </dev/null >/tmp/out 2>&1 || code=$?; "
        "case $code in 126|127) echo $tool; cat /tmp/out;; esac; done",
    )
    assert (done.returncode, done.stdout) == (0, ""), done.stderr


def test_nothing_else_is_there(base: ResolvedView, tmp_path: Path) -> None:
    done = run_inside(
        base,
        tmp_path,
        "for tool in perl python3 pkg-config git ssh; do if command -v $tool; then exit 1; fi; done; ls /",
    )
    assert done.returncode == 0, done.stderr
    shown = {path.split("/")[1] for path in base.view.tools}
    assert set(done.stdout.split()) == shown | {"tmp", "dev"}
    # Libraries of other ABIs are there where the host's compiler makes programs for them, too.
    assert shown <= {"bin", "lib", "lib32", "lib64", "libx32", "usr", "etc"}


def test_read_only_binds_keep_the_host_safe(base: ResolvedView, tmp_path: Path) -> None:
    done = run_inside(base, tmp_path, "touch /usr/include/fruix-was-here")
    assert done.returncode != 0
    assert "Read-only" in done.stderr
    assert not os.path.exists("/usr/include/fruix-was-here")
