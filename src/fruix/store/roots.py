"""Permanent roots: links that keep store paths from being collected.

A user's link (a build's `result`) becomes an indirect root by a second link in `gcroots/auto`,
named after the nix32 form of the SHA-1 of the user's file name; it counts as long as the user's
link points into the store.
"""

from __future__ import annotations

import os

from fruix.errors import StoreError, UsageError
from fruix.model import base32
from fruix.model.hashes import Hash
from fruix.store.layout import Layout


def replace_link(target: str, path: str) -> None:
    """Make `path` a symlink to `target`, at once and whatever link was there.

    Raises:
        OSError: `path` is a directory, or as the system says.
    """
    temporary = f"{path}.tmp-{os.urandom(6).hex()}"
    os.symlink(target, temporary)
    try:
        os.rename(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def auto_name(link: str) -> str:
    """The name in `gcroots/auto` that stands for a user's link."""
    return base32.encode(Hash.of("sha1", os.fsencode(link)).digest)


def add_indirect_root(gcroots: str, link: str) -> None:
    """Register a user's link as a root.

    Raises:
        UsageError: not an absolute file name.
    """
    if not link.startswith("/") or "\0" in link:
        raise UsageError("not an absolute file name", where=link)
    replace_link(link, os.path.join(gcroots, "auto", auto_name(link)))


def make_permanent_root(target: str, link: str, layout: Layout) -> str:
    """Make a link to the store path `target`; returns its name in normal form.

    Raises:
        UsageError: not an absolute file name.
        StoreError: it would lie in the store, or what has its name is no link into the store.
    """
    if not link.startswith("/") or "\0" in link:
        raise UsageError("not an absolute file name", where=link)
    name = os.path.normpath("/" + link.lstrip("/"))
    if name == layout.store or name.startswith(f"{layout.store}/"):
        raise StoreError(
            f"creating a garbage collector root ({name}) in the Nix store is forbidden"
            " (are you running nix-build inside the store?)"
        )
    try:
        taken = not os.readlink(name).startswith(f"{layout.store}/")
    except FileNotFoundError:
        taken = False
    except OSError:
        taken = True
    if taken:
        raise StoreError(f"cannot create symlink '{name}'; already exists")
    replace_link(target, name)
    return name
