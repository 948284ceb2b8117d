"""A root as a value: the pieces of the tree that builds see as `/usr`, `/bin`, `/lib` and `/etc`.

Where its pins are: `fruix.packages.roots`. How it is put together: `builtin:root`, docs/roots.md.
"""

from __future__ import annotations

from typing import Literal

from fruix.dataclass import dataclass

# Variables by which a derivation names the root it is built in, and the libraries that its results
# may keep references to: store paths among its inputs.
ROOT_VARIABLE = "fruixRoot"
RUNTIME_VARIABLE = "fruixRuntime"
# Of the runtime: its loader, and the run paths of its libraries, a colon between them.
LOADER_VARIABLE = "fruixLoader"
LIBRARY_PATH_VARIABLE = "fruixLibraryPath"

Kind = Literal["deb", "base-set", "tarball"]


@dataclass(frozen=True, slots=True)
class Piece:
    """An archive that is part of a root.

    Attributes:
        urls: tried in order; `mirror://` URLs stand for lists, so that they are the same everywhere.
        sha256: of the file, 64 hex digits.
        size: of the file, in bytes; 0: unknown.
        kind: a Debian package, a set of FreeBSD's base system, or any tarball.
    """

    name: str
    version: str
    urls: tuple[str, ...]
    sha256: str
    size: int
    kind: Kind


@dataclass(frozen=True, slots=True)
class Root:
    """A tree that is made of pieces.

    Attributes:
        name: as packages and its path in the store have it: `debian-12+perl`, `debian-12-runtime`.
        system: for which programs in it are.
        pieces: in the order in which they are unpacked, which changes nothing: none may contradict
            another.
        links: path below the root → target, what maintainer scripts would have made.
        only: patterns of the paths that are kept, `*` stands for any text; none: all are. After a
            `!`: of paths that are left out all the same.
        loader: the dynamic loader, below the root.
        library_path: directories of libraries, below the root.
    """

    name: str
    system: str
    pieces: tuple[Piece, ...]
    links: tuple[tuple[str, str], ...] = ()
    only: tuple[str, ...] = ()
    loader: str = ""
    library_path: tuple[str, ...] = ()
