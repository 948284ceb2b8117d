"""`fruix store …`: add to, read and query the store."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Iterable

from fruix.cli.commands import store_verify
from fruix.cli.output.amounts import plural, size
from fruix.cli.output.archive_listing import list_nar, read_nar_file
from fruix.cli.output.display import PlainDisplay
from fruix.cli.output.standard_streams import write_bytes
from fruix.cli.parser import Commands, add_command
from fruix.cli.request.connect import open_store
from fruix.cli.request.targets import lowering, outputs
from fruix.cli.request.valid_paths import valid
from fruix.cli.request.word_lists import PATHS, WordList, add_paths
from fruix.client import RemoteStore
from fruix.errors import InvalidPathError, PathAliveError
from fruix.model.contentaddress import Method
from fruix.model.planned import BuildPlan
from fruix.model.storepath import StorePath

QUERIES: dict[str, tuple[str, Callable[[RemoteStore, StorePath], Iterable[StorePath]]]] = {
    "references": ("list what a path refers to", RemoteStore.references),
    "referrers": ("list what refers to a path", RemoteStore.referrers),
    "requisites": (
        "list a path and all that it refers to, directly or not",
        lambda store, path: store.closure([path]),
    ),
    "derivers": ("list the derivations that a path is an output of", RemoteStore.valid_derivers),
}


def configure(parser: argparse.ArgumentParser) -> None:
    """Add a parser for each of the store's commands."""
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True, help="one of these:")
    add = add_command(commands, "add", "copy a file or tree into the store and print its path", _add)
    add.add_argument("source", metavar="FILE|DIRECTORY", help="what to copy")
    add.add_argument("--name", help="name in the store (default: the file's)")
    add.add_argument(
        "--flat",
        action="store_true",
        help="address a regular file by the hash of its bytes, not of its archive",
    )
    add.add_argument("--hash", default="sha256", metavar="ALGORITHM", help="default: sha256")
    cat = add_command(commands, "cat", "print a file of the store", _cat)
    cat.add_argument(
        "path", metavar="PATH|NAME", help="a store path, a file in one, or a name of what was built"
    )
    ls = add_command(commands, "ls", "list what a path holds", _ls)
    ls.add_argument(
        "path", metavar="PATH|NAME", help="a store path, a directory in one, or a name of what was built"
    )
    info = add_command(commands, "info", "print what the store knows of paths", _info)
    add_paths(info)
    for name, (text, _) in QUERIES.items():
        query = add_command(commands, name, text, _query)
        add_paths(query)
        query.set_defaults(query=name)
    _configure_upkeep(commands)


def _configure_upkeep(commands: Commands) -> None:
    delete = add_command(commands, "delete", "delete paths, if nothing keeps them alive", _delete)
    add_paths(delete)
    store_verify.configure(commands)
    add_command(commands, "optimise", "make equal files one, and say what that saved", _optimise)
    sign = add_command(commands, "sign", "sign what the store knows of paths, in Nix's form", _sign)
    add_paths(sign)
    sign.add_argument(
        "-k", "--key-file", required=True, metavar="FILE", help="a secret key (fruix key generate)"
    )
    sign.add_argument("-r", "--recursive", action="store_true", help="with all that they need")
    failures = add_command(
        commands,
        "failures",
        "list builds that are remembered to have failed (setting cache-failures)",
        _failures,
    )
    failures.add_argument(
        "--clear", nargs="*", action=WordList, metavar=PATHS, help="forget these outputs, or all of them"
    )


def run(options: argparse.Namespace) -> int:
    """Connect to the store, and do what the subcommand says."""
    if options.act in store_verify.WITHOUT_DAEMON:
        return int(options.act(options) or 0)
    with open_store() as store:
        return int(options.act(store, options) or 0)


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
        print(f"signatures: {' '.join(info.signatures)}")
        print(f"references: {' '.join(str(reference) for reference in info.references)}")


def _query(store: RemoteStore, options: argparse.Namespace) -> None:
    _, ask = QUERIES[options.query]
    found: set[StorePath] = set()
    for text in options.paths:
        path, _ = valid(store, text)
        found.update(ask(store, path))
    for path in sorted(found):
        print(path)


def _optimise(store: RemoteStore, _options: argparse.Namespace) -> None:
    store.optimise(on_event=PlainDisplay(sys.stderr, BuildPlan()).event)


def _sign(store: RemoteStore, options: argparse.Namespace) -> None:
    """The key is read here, where the user is who may read it."""
    from fruix.signing import path_signatures  # noqa: PLC0415 - loads ctypes, which nothing else needs

    key = path_signatures.read_secret_key(options.key_file)
    wanted = {valid(store, text)[0] for text in options.paths}
    for info in store.closure_infos(wanted):
        if options.recursive or info.path in wanted:
            store.add_signatures(info.path, [path_signatures.sign(info, key)])


def _delete(store: RemoteStore, options: argparse.Namespace) -> None:
    """All of the paths or, with the reason, none."""
    paths = [path for text in options.paths for path in _outputs(store, text)]
    try:
        found = store.delete(paths)
    except PathAliveError as error:
        raise PathAliveError(error.path, error.referrer, hint=error.hint or _why(error)) from None
    print(f"deleted {plural(len(found.paths), 'path')}, {size(found.freed)}")


def _why(error: PathAliveError) -> str:
    if error.referrer:
        return f"delete that as well, in the same command: fruix store delete {error.path} {error.referrer}"
    return f"what keeps it alive: fruix gc --why-live {error.path}"


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
