"""What a sandbox shows of a root: of a tree in the store that stands where host tools stand otherwise.

A derivation names one of its inputs in `fruixRoot`. That tree's directories are shown at their
places, read-only, its links are made again, and what is in its `etc` is shown beside the files that
the contract has there, which win. Of the host nothing is shown.

A path in the store doesn't change, so nothing is fingerprinted, copied or looked at again.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator

from fruix.dataclass import dataclass
from fruix.errors import BadDerivationError
from fruix.model.attributes import Attributes, variable
from fruix.model.derivation import Derivation
from fruix.model.hostview import VIEW_VARIABLE
from fruix.model.root import ROOT_VARIABLE
from fruix.model.storepath import StorePath
from fruix.sandbox import Bind, Link
from fruix.store import LocalStore
from fruix.store.tree.descriptors import NO_DIRECTORY, OPEN_DIRECTORY

# Where the sandbox has something else; the store's directory too.
_NEVER = frozenset({"build", "dev", "proc", "tmp"})
_ETC = "etc"
# Names at the top and in etc, each of which is a mount of its own: Debian's have some hundred.
_MOST_NAMES = 4096
_HINT = "a root is a tree with 'usr', such as builtin:root makes (docs/roots.md)"


@dataclass(frozen=True, slots=True)
class RootView:
    """A root as sandboxes show it.

    `source` is where its files are on the host; binds and links are disjoint.
    """

    path: StorePath
    source: str
    binds: tuple[Bind, ...]
    links: tuple[Link, ...]
    hidden: tuple[str, ...] = ()


def root_view(
    store: LocalStore, derivation: Derivation, attributes: Attributes, inputs: Collection[StorePath]
) -> RootView | None:
    """The root that `derivation` names, or None if it names none.

    Args:
        store: has its files.
        derivation: what is to be built.
        attributes: what it declares.
        inputs: what its builder may see of the store.

    Raises:
        BadDerivationError: that is none of the inputs, or no root; or it wants the host's tools too.
    """
    text = variable(derivation, attributes, ROOT_VARIABLE)
    if not text:
        return None
    if variable(derivation, attributes, VIEW_VARIABLE):
        hint = f"leave out {VIEW_VARIABLE} or {ROOT_VARIABLE}"
        raise BadDerivationError(f"'{derivation.name}' asks for a root and for a host view", hint=hint)
    path = next((path for path in inputs if str(path) == text), None)
    if path is None:
        raise BadDerivationError(
            f"the root '{text}' of '{derivation.name}' is none of its inputs",
            hint=f"{ROOT_VARIABLE} is the path of an input, such as an output of builtin:root",
        )
    return _shown(path, store.real(path), store.directory.split("/")[1])


def _shown(path: StorePath, source: str, store: str) -> RootView:
    try:
        top = dict(_kinds(source))
    except OSError as error:
        if error.errno not in NO_DIRECTORY:
            raise
        raise BadDerivationError(f"the root '{path}' is no directory", hint=_HINT) from None
    if top.get("usr") != "directory":
        raise BadDerivationError(f"the root '{path}' has no directory 'usr'", hint=_HINT)
    below = _kinds(f"{source}/{_ETC}") if top.pop(_ETC, "") == "directory" else ()
    kinds = {f"/{name}": kind for name, kind in top.items() if name not in _NEVER | {store}}
    kinds |= {f"/{_ETC}/{name}": kind for name, kind in below}
    if len(kinds) > _MOST_NAMES:
        hint = "a builder sees each of them by a mount; put them into directories below"
        what = f"has {len(kinds)} names at its top and in 'etc', more than {_MOST_NAMES}"
        raise BadDerivationError(f"the root '{path}' {what}", hint=hint)
    return RootView(
        path,
        source,
        tuple(Bind(source + at, at) for at, kind in kinds.items() if kind != "link"),
        tuple(Link(at, os.readlink(source + at)) for at, kind in kinds.items() if kind == "link"),
    )


def _kinds(directory: str) -> Iterator[tuple[str, str]]:
    """Names in a directory, which is no link, with what each is; in order, whatever the disk's is."""
    descriptor = os.open(directory, OPEN_DIRECTORY)
    try:
        with os.scandir(descriptor) as found:
            entries = sorted(found, key=lambda entry: entry.name)
            for entry in entries:
                is_directory = entry.is_dir(follow_symlinks=False)
                yield entry.name, "link" if entry.is_symlink() else "directory" if is_directory else "file"
    finally:
        os.close(descriptor)
