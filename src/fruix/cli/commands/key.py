"""`fruix key …`: keys that sign, in Nix's form and in Guix's."""

from __future__ import annotations

import argparse
import os
import secrets

from fruix.atomic_file import atomic_file
from fruix.cli.output.terminal import harmless
from fruix.cli.parser import add_command
from fruix.errors import FormatError, UsageError
from fruix.model.guix_signature import acl, public_key, read_acl, read_public_key
from fruix.model.named_keys import SEED_SIZE, usable_name
from fruix.model.sexp import Sexp, advanced, find
from fruix.signing import libgcrypt, path_signatures
from fruix.signing.export_signatures import read_private_key
from fruix.signing.key_files import PUBLIC_MODE, SECRET_MODE, read_public, read_secret, write_new


def configure(parser: argparse.ArgumentParser) -> None:
    """Add a parser for each of the things that are done with keys."""
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True, help="one of these:")
    generate = add_command(commands, "generate", "make a key, and print its public half", _generate)
    generate.add_argument(
        "file", metavar="FILE", help="where the secret goes; the public half lies beside it"
    )
    generate.add_argument(
        "--name", default="", help="of the key, which its signatures carry (default: the host's, and -1)"
    )
    generate.add_argument("--guix", action="store_true", help="in Guix's form, which has no name")
    public = add_command(commands, "public", "print the public half of a secret key", _public)
    public.add_argument("file", metavar="FILE", help="a secret key, of either form")
    convert = add_command(commands, "convert", "write a key of Nix's form in Guix's", _convert)
    convert.add_argument("file", metavar="FILE", help="a secret key in Nix's form")
    convert.add_argument("new", metavar="NEW", help="where the other form goes")
    authorize = add_command(
        commands, "authorize", "let archives that a key has signed be imported", _authorize
    )
    authorize.add_argument("file", metavar="FILE", help="a public key in Guix's form")
    authorize.add_argument("--acl", metavar="FILE", help="the list (default: the setting acl-file)")


def run(options: argparse.Namespace) -> int:
    """Do what the subcommand says, without a daemon."""
    options.act(options)
    return 0


def _generate(options: argparse.Namespace) -> None:
    if options.guix:
        if options.name:
            raise UsageError("a key in Guix's form has no name")
        private = find(libgcrypt.generate(), b"private-key") or ()
        _write(options.file, advanced(private), advanced(public_key(private)))
        return
    name = options.name or f"{os.uname().nodename}-1"
    if not usable_name(name):
        raise UsageError(
            f"'{harmless(name, colour=False)}' can't be the name of a key", hint="such as cache-1"
        )
    key = path_signatures.generate(name, secrets.token_bytes(SEED_SIZE))
    _write(options.file, key.secret_text, str(key.public))


def _write(file: str, secret: str, public: str) -> None:
    """Write both halves of a key to files, and print the public one."""
    write_new({_beside(file): (public, PUBLIC_MODE), file: (secret, SECRET_MODE)})
    print(public.rstrip("\n"))


def _beside(file: str) -> str:
    """The file of the public half: `key.pub` for `key.sec`, and for `key`."""
    return file.removesuffix(".sec") + ".pub"


def _public(options: argparse.Namespace) -> None:
    if _is_guix(read_secret(options.file)):
        print(advanced(public_key(read_private_key(options.file))), end="")
    else:
        print(path_signatures.read_secret_key(options.file).public)


def _is_guix(data: bytes) -> bool:
    return data.lstrip().startswith(b"(")


def _convert(options: argparse.Namespace) -> None:
    private = path_signatures.as_guix_key(path_signatures.read_secret_key(options.file))
    _write(options.new, advanced(private), advanced(public_key(private)))


def _authorize(options: argparse.Namespace) -> None:
    file = options.acl or _acl_file()
    try:
        key: Sexp = read_public_key(read_public(options.file))
        before = read_acl(read_public(file)) if os.path.lexists(file) else ()
    except FormatError as error:
        raise UsageError(str(error), where=options.file) from error
    if key not in before:
        with atomic_file(file, sync=True) as stream:
            stream.write(acl(*before, key).encode("utf-8"))


def _acl_file() -> str:
    from fruix.daemon.settings import load  # noqa: PLC0415 - only for its default

    return load(os.environ).acl_file
