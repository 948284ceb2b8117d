"""Checks of what machines differ in: file system, release, processor, compiler, network, many inputs, limits.

What a machine can't answer is said, with the reason and what it would take (`NotTriedError`), so that the
next run on another machine answers it. Each works in the scratch directory and undoes what it did.
"""

from __future__ import annotations

import errno
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from fruix.model.systems import common_name
from fruix.sandbox import back_end
from fruix.testing import kernel_checks, network_checks
from fruix.testing.kernel_checks import kernel, release
from fruix.testing.scratch_daemon import MEMORY
from fruix.testing.selftest_checks import Bench, FailedError, NotTriedError, told

MANY = 300  # inputs, a directory each
_HOG = MEMORY * 2 >> 20  # MiB that the greedy builder wants
# A compiler, a library with a run path, and what reads and strips it; each step says its name
# before it is taken.
_COMPILE = r"""
set -e
say() { echo "step: $*"; }
say write
printf 'int f(void) { return 7; }\n' > f.c
printf 'int f(void); int main(void) { return f() - 7; }\n' > m.c
mkdir -p $out/lib $out/bin
say library; cc -shared -fPIC -o $out/lib/libf.so f.c
say program; cc -o $out/bin/m m.c -L$out/lib -lf -Wl,-rpath,$out/lib
say readelf; readelf -d $out/bin/m > dynamic; grep -i path dynamic | grep -q "$out/lib"
say strip; strip $out/bin/m; strip $out/lib/libf.so
say run; $out/bin/m
say version; cc --version 2>&1 | head -n 1 > $out/compiler
"""


def _file_system(bench: Bench) -> str:
    """What the scratch directory lies on, and how it behaves where systems differ."""
    with _directory(bench) as scratch:
        for name in ("one", "two", "one/moved"):
            os.mkdir(f"{scratch}/{name}")
        os.utime(f"{scratch}/one/moved", (1, 1))
        os.rename(f"{scratch}/one/moved", f"{scratch}/two/moved")
        moved = "keep their time" if os.stat(f"{scratch}/two/moved").st_mtime == 1 else "change their time"
        flags = _immutable(f"{scratch}/two/moved")
    kind, source, place = _mount_of(bench.scratch.base)
    return f"{kind} ({source} on {place}): directories moved to another parent {moved}, {flags}"


def _immutable(path: str) -> str:
    """Whether a flag can be set that forbids changes."""
    change = getattr(os, "chflags", None)
    if change is None:
        return "no file flags"
    immutable = 2  # UF_IMMUTABLE
    try:
        change(path, immutable)
        change(path, 0)
    except OSError as error:
        return f"uchg can't be set ({errno.errorcode.get(error.errno or 0)})"
    return "uchg can be set and cleared"


def _mount_of(path: str) -> tuple[str, str, str]:
    """(type, source, mount point) of the file system that a directory lies on."""
    found = kernel()
    if found is not None:
        rows = [(row.fstype, row.source, row.target) for row in found.getfsstat()]
    else:
        with open("/proc/self/mounts", "rb") as file:
            rows = [(kind, source, target) for source, target, kind, *_ in map(bytes.split, file)]
    above = [row for row in rows if f"{path}/".startswith(os.fsdecode(row[2]).rstrip("/") + "/")]
    kind, source, target = max(above, key=lambda row: len(row[2]))
    return os.fsdecode(kind), os.fsdecode(source), os.fsdecode(target)


def _flagged(bench: Bench) -> str:
    """A builder that forbids to move or change its own directories."""
    if not hasattr(os, "chflags"):
        raise NotTriedError("this system has no file flags")
    script = "mkdir /tmp/d && echo x > $out && chflags uchg /tmp/d . $out && ls -lod . /tmp/d $out"
    built = bench.succeed("flagged", script)
    bench.clean()
    if flags := getattr(os.stat(built.output.text), "st_flags", 0):
        raise FailedError(f"{built.output} has flags {flags:#x}")
    return "directories that a builder made immutable were taken away with the build"


def _zfs(bench: Bench) -> str:
    """An access list that a builder sets must be gone from its output."""
    kind, _, place = _mount_of(bench.scratch.base)
    if kind != "zfs":
        raise NotTriedError(
            f"{bench.scratch.base} lies on {kind}; it takes a dataset mounted at or above {place}"
        )
    script = 'echo x > $out && setfacl -m "everyone@:full_set::allow" $out && getfacl $out'
    top = bench.succeed("access-list", script).output.text
    status = os.stat(top)
    if status.st_mode & 0o7777 != 0o444:
        raise FailedError(f"{top} has mode {status.st_mode & 0o7777:04o}")
    return "an access list that the builder set is gone from the output"


def _release(_bench: Bench) -> str:
    found = kernel()
    if found is None:
        raise NotTriedError(
            f"this is {os.uname().sysname} {os.uname().release}; it takes FreeBSD 14 or later"
        )
    name = release(found)
    if int(name.partition(".")[0]) < 14:
        raise NotTriedError(f"this is {name}")
    return f"all of this ran on {name}"


def _processor(_bench: Bench) -> str:
    found = kernel()
    machine = os.uname().machine if found is None else found.sysctl(b"hw.machine").rstrip(b"\0").decode()
    if common_name(machine) != "aarch64":
        raise NotTriedError(f"this is {common_name(machine)}")
    return f"all of this ran on {machine}"


def _compiler(bench: Bench) -> str:
    """Compile, give a run path, read it, strip, run; in the sandbox, with the view's own tools."""
    built = bench.build("compiled", _COMPILE)
    if not built.result.success:
        raise FailedError(told(built.result))  # the last step that was said is the one that failed
    compiler = Path(built.output.text, "compiler").read_text("utf-8", "replace").strip()
    if kernel() is not None and "clang" not in compiler:
        raise NotTriedError(
            f"the compiler here is {compiler}, with which all steps succeed; "
            "it takes a base system with clang"
        )
    return f"{compiler}: library, run path, readelf, strip, run"


def _many_inputs(bench: Bench) -> str:
    """Hundreds of directories, each of which is shown by itself."""
    with _directory(bench) as scratch, closing(bench.scratch.connect()) as store:
        sources = []
        for number in range(MANY):
            os.mkdir(f"{scratch}/{number}")
            Path(scratch, str(number), "file").write_text(f"{number}\n", "ascii")
            sources.append(store.add_path(f"many-{number}", f"{scratch}/{number}"))
    begun = time.monotonic()
    script = (
        "cat $NIX_STORE/*-many-*/file | sort -n | tail -n 1 > $out; ls $NIX_STORE | grep -c -- -many- >> $out"
    )
    built = bench.succeed("many", script, sources=sources)
    seconds = time.monotonic() - begun
    found = Path(built.output.text).read_text("ascii").split()
    if found != [str(MANY - 1), str(MANY)]:
        raise FailedError(f"of {MANY} inputs the builder saw {found}")
    bench.clean()
    return f"{MANY} inputs were shown, read and taken away; {seconds * 1000 / MANY:.1f} ms each"


def _over_memory(bench: Bench) -> str:
    """A builder that wants twice of what it may have is ended, or gets no more."""
    script = (
        'awk \'BEGIN { s = "x"; while (length(s) < 1048576) s = s s; '
        f'for (i = 0; i < {_HOG}; i++) a[i] = s i; system("sleep 20"); print length(a[0]) }}\' > $out'
    )
    built = bench.build("greedy", script)
    limits = bench.record(built.drv)["isolation"].get("jailLimits")
    kept = "" if limits is None else f"; the kernel keeps {', '.join(limits) or 'no limit'}"
    if built.result.success:
        raise FailedError(f"{_HOG} MiB were had, where {MEMORY >> 20} are allowed{kept}")
    bench.clean()
    said = [line.strip(" .") for line in built.result.message.splitlines() if "memory" in line]
    return f"{said[0] if said else told(built.result)}{kept}"


@contextmanager
def _directory(bench: Bench) -> Iterator[str]:
    """A scratch directory, on the same file system as the store."""
    with tempfile.TemporaryDirectory(prefix="check-", dir=bench.scratch.base) as path:
        yield path


def _on_kernel(attempt: Callable[[Any, str], str]) -> Callable[[Bench], str]:
    """A check of a FreeBSD kernel's own calls; it is given the kernel and a scratch directory."""

    def check(bench: Bench) -> str:
        found = kernel()
        if found is None:
            raise NotTriedError(f"jails are FreeBSD's; here builds are isolated by {back_end().kind}")
        with _directory(bench) as scratch:
            return attempt(found, scratch)

    return check


MACHINE_CHECKS: tuple[tuple[str, Callable[[Bench], str]], ...] = (
    ("file system", _file_system),
    ("file flags", _flagged),
    ("zfs", _zfs),
    ("FreeBSD 14 or later", _release),
    ("arm64", _processor),
    ("jail descriptors", _on_kernel(kernel_checks.descriptor_ends_jail)),
    ("sockets and nullfs", _on_kernel(kernel_checks.socket_through_nullfs)),
    ("racct", _on_kernel(kernel_checks.limits_kept)),
    ("base compiler", _compiler),
    ("networked build", network_checks.networked),
    ("download", network_checks.download),
    ("many inputs", _many_inputs),
    ("over memory", _over_memory),
)
