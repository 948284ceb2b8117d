"""`builtin:root`: one tree of several archives, which builds see as `/usr`, `/bin`, `/lib` and `/etc`.

Variables read: `pieces`, lines of kind, name and store path; `links`, lines of path and target;
`only`, lines of patterns of paths that are kept, or after a `!` left out. The rules: `root_tree`,
docs/roots.md. Nothing of a piece is run.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import Any, get_args

from fruix.building.builders.root_archives import opened
from fruix.building.builders.root_tree import Bounds, Tree
from fruix.errors import BadDerivationError, FruixError
from fruix.model.derivation import Derivation
from fruix.model.root import Kind
from fruix.model.text import printable

BOUNDS = Bounds()
_KINDS = get_args(Kind)
_FAILED = 1


def read_arguments(derivation: Derivation) -> dict[str, Any]:
    """What a derivation of this builder asks for.

    Raises:
        BadDerivationError: a line is not as it should be.
    """
    pieces = [line.split(" ") for line in derivation.env.get("pieces", "").splitlines()]
    links = [line.split(" ", 1) for line in derivation.env.get("links", "").splitlines()]
    if (
        not pieces
        or any(len(piece) != 3 or piece[0] not in _KINDS or not all(piece) for piece in pieces)
        or any(len(link) != 2 or not link[1] for link in links)
    ):
        raise BadDerivationError(
            "'pieces' or 'links' of builtin:root is malformed",
            where=derivation.name,
            hint=f"lines KIND NAME PATH with a kind of {', '.join(_KINDS)}, and lines PATH TARGET",
        )
    return {"pieces": pieces, "links": links, "only": derivation.env.get("only", "").splitlines()}


def main(arguments: Mapping[str, Any]) -> int:
    """Make a root.

    Args:
        arguments: `out`, `pieces` (kind, name and path of each), `links` (path and target of each),
            `only`.

    Returns:
        The exit status.
    """
    out, pieces = arguments["out"], arguments["pieces"]
    os.mkdir(out, 0o755)
    tree = Tree(out, any(kind == "deb" for kind, _, _ in pieces), arguments["only"], BOUNDS)
    try:
        for kind, name, path in pieces:
            _add(tree, kind, printable(name), path)
        tree.finish(dict(arguments["links"]))
    except FruixError as error:
        _say(f"error: {error}" + (f"\n{error.hint}" if error.hint else ""))
        return _FAILED
    _say(f"a root of {len(pieces)} pieces: {len(tree.entries)} entries, {tree.size} bytes in files")
    return 0


def _add(tree: Tree, kind: str, name: str, path: str) -> None:
    try:
        with opened(path, kind) as archive:
            tree.add(name, archive)
    except OSError as error:
        raise FruixError(f"the piece {name} can't be read from {path}: {error.strerror}") from error
    except FruixError as error:
        error.where = f"piece {name}"
        raise


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()
