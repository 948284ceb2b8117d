"""`fruix store …`: add to, read and query the store."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Iterable
from typing import TypeAlias

from fruix.cli.output.archive_listing import list_nar, read_nar_file
from fruix.cli.output.display import PlainDisplay
from fruix.cli.output.streams import write_bytes
from fruix.cli.request.connect import open_store
from fruix.cli.request.targets import built, lowering, outputs
from fruix.client import RemoteStore
from fruix.errors import InvalidPathError, StoreError, UsageError
from fruix.model.contentaddress import Method
from fruix.model.planned import BuildPlan
from fruix.model.storepath import StorePath, in_store

QUERIES: dict[str, tuple[str, Callable[[RemoteStore, StorePath], Iterable[StorePath]]]] = {
    "references": ("list what a path refers to", lambda store, path: store.references(path)),
    "referrers": ("list what refers to a path", lambda store, path: store.referrers(path)),
    "requisites": (
        "list a path and all that it refers to, directly or not",
        lambda store, path: store.closure([path]),
    ),
    "derivers": (
        "list the derivations that a path is an output of",
        lambda store, path: store.valid_derivers(path),
    ),
}


def configure(parser: argparse.ArgumentParser) -> None:
    """Subcommands."""
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True, help="one of these:")
    add = _command(commands, "add", "copy a file or tree into the store and print its path", _add)
    add.add_argument("source", metavar="FILE|DIRECTORY", help="what to copy")
    add.add_argument("--name", help="name in the store (default: the file's)")
    add.add_argument(
        "--flat",
        action="store_true",
        help="address a regular file by the hash of its bytes, not of its archive",
    )
    add.add_argument("--hash", default="sha256", metavar="ALGORITHM", help="default: sha256")
    cat = _command(commands, "cat", "print a file of the store", _cat)
    cat.add_argument(
        "path", metavar="PATH|NAME", help="a store path, a file in one, or a name of what was built"
    )
    ls = _command(commands, "ls", "list what a path holds", _ls)
    ls.add_argument(
        "path", metavar="PATH|NAME", help="a store path, a directory in one, or a name of what was built"
    )
    info = _command(commands, "info", "print what the store knows of paths", _info)
    info.add_argument(
        "paths", nargs="+", metavar="PATH|NAME", help="a store path, or a name of what was built"
    )
    for name, (text, _) in QUERIES.items():
        query = _command(commands, name, text, _query)
        query.add_argument(
            "paths", nargs="+", metavar="PATH|NAME", help="a store path, or a name of what was built"
        )
        query.set_defaults(query=name)
    _configure_upkeep(commands)


_Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"  # noqa: SLF001 - its only name
_Act: TypeAlias = Callable[[RemoteStore, argparse.Namespace], int | None]


def _command(commands: _Commands, name: str, text: str, act: _Act) -> argparse.ArgumentParser:
    parser = commands.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}.")
    parser.set_defaults(act=act)
    return parser


def _configure_upkeep(commands: _Commands) -> None:
    verify = _command(commands, "verify", "check that every valid path is there; status 1 if not", _verify)
    verify.add_argument("--contents", action="store_true", help="read and hash every path too")
    verify.add_argument("--repair", action="store_true", help="build again what is damaged or missing")
    failures = _command(
        commands,
        "failures",
        "list builds that are remembered to have failed (setting cache-failures)",
        _failures,
    )
    failures.add_argument(
        "--clear", nargs="*", metavar="PATH|NAME", help="forget these outputs, or all of them"
    )


def run(options: argparse.Namespace) -> int:
    """Connect and act."""
    with open_store() as store:
        return int(options.act(store, options) or 0)


def valid(store: RemoteStore, text: str) -> tuple[StorePath, str]:
    """A path in the store as the user wrote it (links to it are followed): store path and the rest below it.

    Raises:
        UsageError: not in the store.
        InvalidPathError: in the store, but not registered.
    """
    if "/" not in text and not os.path.realpath(text).startswith(store.directory + "/"):
        return _named(store, text), ""
    absolute = os.path.abspath(text)
    if not absolute.startswith(store.directory + "/"):
        absolute = os.path.realpath(text)
    if not absolute.startswith(store.directory + "/"):
        raise UsageError(f"'{text}' is not in the store", hint=f"store paths begin with {store.directory}/")
    path, rest = in_store(absolute, store.directory)
    if not store.is_valid(path):
        raise InvalidPathError(str(path), hint="nothing of that name is registered in the store")
    return path, rest


def _named(store: RemoteStore, word: str) -> StorePath:
    """The first output of what a name stands for: `out`, if it has one.

    Raises:
        UsageError: it is not built, or nothing has that name.
    """
    paths = built(store, lowering(store), word)
    return min(paths, key=lambda path: len(path.name))


def _add(store: RemoteStore, options: argparse.Namespace) -> None:
    name = options.name or os.path.basename(os.path.abspath(options.source))
    method = Method.FLAT if options.flat else Method.NAR
    print(store.add_path(name, options.source, method, options.hash))


def _cat(store: RemoteStore, options: argparse.Namespace) -> None:
    path, rest = valid(store, options.path)
    write_bytes(read_nar_file(store.nar(path), rest, str(path)), raw=False)


def _ls(store: RemoteStore, options: argparse.Namespace) -> None:
    path, rest = valid(store, options.path)
    for line in list_nar(store.nar(path), rest, str(path)):
        print(line)


def _info(store: RemoteStore, options: argparse.Namespace) -> None:
    for text in options.paths:
        path, _ = valid(store, text)
        info = store.path_info(path)
        if info is None:
            raise InvalidPathError(str(path))
        print(f"path: {info.path}")
        print(f"nar hash: {info.nar_hash.sri}")
        print(f"nar size: {info.nar_size}")
        print(f"deriver: {info.deriver or ''}")
        print(f"content address: {info.content_address or ''}")
        print(f"built here: {'yes' if info.ultimate else 'no'}")
        print(f"references: {' '.join(str(reference) for reference in info.references)}")


def _query(store: RemoteStore, options: argparse.Namespace) -> None:
    _, ask = QUERIES[options.query]
    found: set[StorePath] = set()
    for text in options.paths:
        path, _ = valid(store, text)
        found.update(ask(store, path))
    for path in sorted(found):
        print(path)


def _verify(store: RemoteStore, options: argparse.Namespace) -> int:
    display = PlainDisplay(sys.stderr, BuildPlan())
    bad = store.verify(contents=options.contents, repair=options.repair, on_event=display.event)
    if bad:
        raise _damaged(options)
    print("everything is as it should be", file=sys.stderr)
    return 0


def _damaged(options: argparse.Namespace) -> StoreError:
    """What was found is not whole, or still isn't; with what to do next."""
    if options.repair:
        return StoreError(
            "not everything could be repaired",
            hint="what nothing here can make is repaired by adding it again, as it was added the first time",
        )
    flag = " --contents" if options.contents else ""
    return StoreError(
        "the store is damaged", hint=f"build again what is damaged: fruix store verify{flag} --repair"
    )


def _outputs(store: RemoteStore, word: str) -> list[StorePath]:
    """A path, whether it is there or not, or all outputs of what a name stands for."""
    return [StorePath.parse(word, store.directory)] if "/" in word else outputs(store, lowering(store), word)


def _failures(store: RemoteStore, options: argparse.Namespace) -> None:
    if options.clear is not None:
        paths = [path for text in options.clear for path in _outputs(store, text)]
        store.clear_failures(paths or None)
        return
    for path in store.failures():
        print(path)
