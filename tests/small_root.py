"""A root of busybox that has the shape of Debian's: merged /usr, links at the top, files in /etc."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path

from fruix.model.root import ROOT_VARIABLE
from fruix.model.storepath import StorePath
from machine import BUSYBOX, Machine

# What the contracts or the sandbox have files of their own for, too.
OWN = ("etc/greeting", "etc/passwd", "tmp/secret", "frx/store/secret")


def write_root(tree: Path) -> None:
    """Into a directory that is there."""
    for directory in ("usr/bin", "usr/share", "etc/alternatives", "var/lib", "tmp", "frx/store"):
        (tree / directory).mkdir(parents=True)
    (tree / "usr/bin/busybox").write_bytes(Path(BUSYBOX).read_bytes())
    (tree / "usr/bin/busybox").chmod(0o755)
    for applet in subprocess.check_output([BUSYBOX, "--list"], text=True).split():
        if applet != "busybox":
            (tree / "usr/bin" / applet).symlink_to("busybox")
    for name, target in {"bin": "usr/bin", "etc/alternatives/sh": "/usr/bin/sh"}.items():
        (tree / name).symlink_to(target)
    for name in OWN:
        (tree / name).write_text(f"{name} of the root\n")


def small_root(here: Machine, scratch: Path) -> StorePath:
    tree = scratch / "small-root"
    tree.mkdir()
    write_root(tree)
    return here.store.add_path("small-root", str(tree))


def in_root(
    here: Machine,
    name: str,
    script: str,
    root: StorePath,
    env: Mapping[str, str] | None = None,
    sources: Iterable[StorePath] = (),
) -> StorePath:
    """A derivation whose builder is the root's own shell."""
    env = {ROOT_VARIABLE: str(root), "PATH": "/usr/bin:/bin", **(env or {})}
    script = f"PATH=/usr/bin:/bin; {script}"
    return here.derivation(name, script, root, env=env, builder="/bin/sh", sources=sources)
