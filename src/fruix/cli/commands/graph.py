"""`fruix graph`: draw how packages, derivations or store objects depend on each other.

As a picture (SVG), or in the language of Graphviz (DOT).
"""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from collections.abc import Callable, Iterable, Sequence

from fruix.cli.request.connect import open_store
from fruix.cli.request.known import known_packages
from fruix.cli.request.targets import built, derivation_for, is_store_path, lowering
from fruix.cli.request.word_lists import WordList
from fruix.client import RemoteStore
from fruix.errors import UsageError
from fruix.graph import Graph, Node, to_dot, to_svg
from fruix.model.storepath import StorePath
from fruix.packages.load import UnknownPackageError, find
from fruix.packages.lower import Lowering
from fruix.packages.package_graph import package_graph

_FORMATS = {"dot": to_dot, "svg": to_svg}
_ENDINGS = {".dot": "dot", ".gv": "dot", ".svg": "svg"}


def configure(parser: argparse.ArgumentParser) -> None:
    """Add what to draw, which edges, in which format and where to."""
    parser.add_argument(
        "targets", nargs="*", action=WordList, metavar="PACKAGE|DRV|PATH", help="default: the whole catalogue"
    )
    parser.add_argument(
        "-t",
        "--type",
        choices=("inputs", "derivations", "references"),
        help="inputs: what definitions say; derivations: what builds need; references: what results need "
        "when they run (default: inputs for packages, references for store paths)",
    )
    parser.add_argument(
        "-f", "--format", choices=sorted(_FORMATS), help="default: as the output file is named, else dot"
    )
    parser.add_argument("-o", "--output", metavar="FILE", help="write to a file")


def run(options: argparse.Namespace) -> int:
    """Write the drawing to the file that was named, else to standard output."""
    draw = _FORMATS[_format(options)]
    text = draw(_graph(options), _title(options))
    if options.output:
        with open(options.output, "w", encoding="utf-8") as file:
            file.write(text)
    else:
        sys.stdout.write(text)
    return 0


def _format(options: argparse.Namespace) -> str:
    """What was asked for, or as the file is named.

    Raises:
        UsageError: the file is named as a picture of another format.
    """
    stem, ending = os.path.splitext(options.output or "")
    if options.format or not ending:
        return str(options.format or "dot")
    if ending.lower() in _ENDINGS:
        return _ENDINGS[ending.lower()]
    kind = ["-t", options.type] if options.type else []
    words = shlex.join(["fruix", "graph", *kind, *options.targets])
    svg, other = shlex.quote(f"{stem}.svg"), shlex.quote(options.output)
    raise UsageError(
        f"graphs are written as DOT or SVG, not as {ending[1:]}",
        where=options.output,
        hint=f"{words} -o {svg}; or by Graphviz: {words} | dot -T{shlex.quote(ending[1:])} > {other}",
    )


def _kind(options: argparse.Namespace) -> str:
    """What was asked for; by default the definitions' inputs if all words are packages."""
    return options.type or ("inputs" if all(map(_is_package, options.targets)) else "references")


def _is_package(word: str) -> bool:
    try:
        return "/" not in word and bool(find(word))
    except UnknownPackageError:
        return False


def _title(options: argparse.Namespace) -> str:
    kind = _kind(options)
    what = " ".join(word.rpartition("/")[2] for word in options.targets) or "the catalogue"
    return f"{what}: {kind}"


def _graph(options: argparse.Namespace) -> Graph:
    paths = [word for word in options.targets if "/" in word]
    kind = _kind(options)
    if kind == "inputs":
        if paths:
            raise UsageError(
                f"'{paths[0]}' is no package: a store path has no definition",
                hint="ask for -t derivations or -t references",
            )
        if not options.targets:
            return package_graph(known_packages(), mark=False)
        return package_graph([find(word) for word in options.targets])
    if not options.targets:
        raise UsageError("nothing to draw", hint="name packages or store paths")
    with open_store() as store:
        work = lowering(store)
        if kind == "derivations":
            roots = [derivation_for(store, word) for word in options.targets]
            return _store_graph(roots, lambda drv: store.read_derivation(drv).input_drvs, "input")
        wanted = [path for word in options.targets for path in _runnable(store, work, word)]
        return _store_graph(wanted, store.references, "reference")


def _runnable(store: RemoteStore, work: Lowering, word: str) -> Sequence[StorePath]:
    """The outputs of a word; a derivation that is named as a path stands for itself."""
    if is_store_path(store, word) and word.endswith(".drv"):
        return [StorePath.parse(word, store.directory)]
    return built(store, work, word)


def _store_graph(
    roots: Sequence[StorePath], needs: Callable[[StorePath], Iterable[StorePath]], kind: str
) -> Graph:
    """Everything that can be reached. One or two questions a path."""
    return Graph.from_roots(
        roots,
        lambda path: Node(str(path), path.name, root=path in roots),
        lambda path: ((kind, item) for item in needs(path)),
    )
