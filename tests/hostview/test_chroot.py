"""The default view is enough to compile with, and nothing else is there: in a real root made of it alone."""

from __future__ import annotations

import contextlib
import glob
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from fruix.errors import HostViewError
from fruix.hostview import ResolvedView, definitions, fingerprint, resolve_view
from fruix.model.viewdiff import difference
from fruix.sandbox.linux import libc
from machine import own_mounts

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
    """Run shell commands in a root that shows the view and an empty /tmp.

    It is made in a mount namespace of its own.
    """
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
        printf 'all: main\\nlibf.a: f.o\\n\\tar rc $@ f.o\\n\\tranlib $@\\n' >Makefile
        printf 'main: main.o libf.a\\n\\tcc -o $@ main.o libf.a\\n' >>Makefile
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
    assert shown <= {"bin", "lib", "lib64", "usr", "etc"}


@pytest.mark.parametrize(
    ("text", "flags"),
    [
        ("#include <zlib.h>", "-c"),
        ("int main(void) { return 0; }", "-lz"),
        ("int main(void) { return 0; }", "-l:libz.a"),
    ],
)
def test_libraries_of_the_host_are_not_there(
    base: ResolvedView, tmp_path: Path, text: str, flags: str
) -> None:
    """Headers and libraries that the host's compiler finds."""
    file = tmp_path / "x.c"
    file.write_text(text)
    subprocess.run(["cc", str(file), "-o", str(tmp_path / "x"), *flags.split()], check=True)
    root = tmp_path / "root"
    root.mkdir()
    done = run_inside(base, root, f"cd /tmp; printf '%s\\n' {shlex.quote(text)} >x.c; cc x.c -o x {flags}")
    assert done.returncode != 0
    assert "No such file" in done.stderr or "cannot find" in done.stderr, done.stderr


def test_pkg_config_files_of_the_host_are_not_there(base: ResolvedView, tmp_path: Path) -> None:
    done = run_inside(
        base, tmp_path, "find / -name '*.pc' -o -name '*.la' -o -name '*.m4' -o -name '*Config.cmake'"
    )
    assert (done.returncode, done.stdout) == (0, ""), done.stderr


@pytest.mark.parametrize("name", ["base", "base+cmake", "base+git", "base+perl", "base+python"])
def test_installing_something_changes_no_fingerprint(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Directories of the host with more in them, as a package for developers puts it there."""
    definition = definitions({})[name]
    monkeypatch.setattr(fingerprint, "SETTLED_NS", -(1 << 60))
    before = resolve_view(definition, str(tmp_path / "one"), hide=True)
    own_mounts()
    python = os.path.basename(os.path.realpath("/usr/bin/python3"))
    machine = os.path.basename(next(iter(glob.glob("/usr/include/*-linux-*")), "none"))
    added = {
        "/usr/include": (
            "new.h",
            "new/new.h",
            "linux/new.h",
            "sys/new.h",
            f"{machine}/bits/new.h",
            "c++/99/iostream",
        ),
        "/usr/share/cmake": ("new/NewConfig.cmake",),
        "/usr/share/perl": ("new.pm", "5.99/New.pm"),
        f"/usr/lib/{python}": ("distutils2/__init__.py", "new.py", "unittest/new.py"),
    }
    with contextlib.ExitStack() as stack:
        for directory, names in added.items():
            if os.path.isdir(directory):
                stack.enter_context(with_more(directory, names, tmp_path))
        assert os.path.exists("/usr/include/linux/new.h")
        after = resolve_view(definition, str(tmp_path / "other"), hide=True)
        assert not any(bind.source.endswith("/new.h") for bind in after.binds)
        assert "/usr/include/linux" not in {bind.source for bind in after.binds}
    assert difference(before.view, after.view) == []
    assert after.view.fingerprint == before.view.fingerprint


@contextlib.contextmanager
def with_more(directory: str, names: Iterable[str], scratch: Path) -> Iterator[None]:
    """A copy with more files in the directory's place, in this mount namespace."""
    copy = scratch / directory.replace("/", "-")
    shutil.copytree(directory, copy, symlinks=True)
    for name in names:
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        (copy / name).write_text("new")
    libc.mount(str(copy).encode(), directory.encode(), None, libc.MS_BIND)
    try:
        yield
    finally:
        libc.umount(directory.encode(), libc.MNT_DETACH)


def test_cxx_programs_are_compiled_and_run(base: ResolvedView, tmp_path: Path) -> None:
    source = shlex.quote("#include <iostream>\nint main() { std::cout << 7 << std::endl; }\n")
    done = run_inside(
        base, tmp_path, f"cd /tmp; printf %b {source} >x.cc; c++ x.cc -o x; ./x; c++ -static x.cc -o y; ./y"
    )
    assert (done.returncode, done.stdout) == (0, "7\n7\n"), done.stderr


def test_perl_has_its_own_modules_and_no_others(tmp_path: Path) -> None:
    view = resolve_view(definitions({})["base+perl"], str(tmp_path / "view"), hide=True)
    own = "use strict; use Test::More; use POSIX (); use File::Spec; use Encode; print POSIX::floor(7.5)"
    done = run_inside(view, tmp_path, f"perl -e {shlex.quote(own)}")
    assert (done.returncode, done.stdout) == (0, "7"), done.stderr
    assert not any(bind.source.startswith("/usr/share/perl5") for bind in view.binds)


@pytest.mark.parametrize("place", ["/usr/include/linux", "/usr/include/stdio.h"])
def test_read_only_binds_keep_the_host_safe(base: ResolvedView, tmp_path: Path, place: str) -> None:
    done = run_inside(base, tmp_path, f"if [ -d {place} ]; then echo >{place}/fruix; else echo >>{place}; fi")
    assert done.returncode != 0
    assert "Read-only" in done.stderr
    assert not os.path.exists("/usr/include/linux/fruix")
