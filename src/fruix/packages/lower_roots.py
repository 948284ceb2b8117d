"""Roots → derivations: pieces are fetched by hash as other sources are, `builtin:root` makes a tree of them.

The runtime of a root, to which alone results refer, is another tree of some of the same pieces.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from fruix.dataclass import dataclass
from fruix.model.derivation import Derivation, DerivationOutput
from fruix.model.hostview import CONTRACT_VARIABLE
from fruix.model.root import (
    LIBRARY_PATH_VARIABLE,
    LOADER_VARIABLE,
    ROOT_VARIABLE,
    RUNTIME_VARIABLE,
    Piece,
    Root,
)
from fruix.model.storepath import StorePath
from fruix.packages import roots

_PATH = "/usr/bin:/bin"

# Lowers a piece: the derivation that fetches it, and its output.
FetchPiece = Callable[[Piece], tuple[StorePath, StorePath]]
# Adds a derivation whose outputs have no paths yet.
Add = Callable[[Derivation], tuple[StorePath, Derivation]]


@dataclass(frozen=True, slots=True)
class LoweredRoot:
    """A root with its runtime: their derivations, and what builders are told of them."""

    drvs: tuple[StorePath, StorePath]
    variables: Mapping[str, str]


def lower_root(name: str, system: str, fetch: FetchPiece, add: Add) -> LoweredRoot:
    """Add the derivations of a root and of its runtime.

    Raises:
        UsageError: there is no such root for this system.
    """
    runtime = roots.runtime(name, system)
    (root_drv, root), (runtime_drv, libraries) = (
        add(_assembled(each, fetch)) for each in (roots.root(name, system), runtime)
    )
    place, own = root.output_paths["out"], libraries.output_paths["out"]
    return LoweredRoot(
        (root_drv, runtime_drv),
        {
            ROOT_VARIABLE: place.text,
            RUNTIME_VARIABLE: own.text,
            LOADER_VARIABLE: f"{own}/{runtime.loader}",
            LIBRARY_PATH_VARIABLE: ":".join(f"{own}/{directory}" for directory in runtime.library_path),
            CONTRACT_VARIABLE: "fruix",
            "PATH": _PATH,
            # Of the root results may keep nothing but the runtime.
            "disallowedReferences": place.text,
        },
    )


def _assembled(root: Root, fetch: FetchPiece) -> Derivation:
    pieces = [(piece.kind, piece.name, *fetch(piece)) for piece in root.pieces]
    lines = {
        "pieces": [f"{kind} {name} {output}" for kind, name, _, output in pieces],
        "links": [f"{path} {target}" for path, target in root.links],
        "only": root.only,
    }
    return Derivation(
        name=root.name,
        outputs={"out": DerivationOutput(None)},
        input_drvs=dict.fromkeys(sorted({drv for _, _, drv, _ in pieces}), ("out",)),
        input_srcs=(),
        system=root.system,
        builder="builtin:root",
        args=(),
        env={
            "name": root.name,
            **{name: "".join(f"{line}\n" for line in value) for name, value in lines.items() if value},
        },
    )
