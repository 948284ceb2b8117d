"""`fruix prefetch`: fetch a file or a commit, and print what a definition says of it.

It is put into the store, so that no build fetches it again.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import subprocess
import sys
import tempfile
import urllib.request

from fruix.building.builders import download, git_script
from fruix.building.builders.mirrors import check_usable, expand
from fruix.cli.commands.hash import FORMS, hash_of
from fruix.cli.request.connect import open_store
from fruix.downloads.undelivered import others, read_report
from fruix.errors import FruixError, UsageError
from fruix.model.contentaddress import Method
from fruix.packages.sources import Git, Origin

_UNKNOWN = "0" * 64


def configure(parser: argparse.ArgumentParser) -> None:
    """Add where the source is, which commit of it, and the form of the hash."""
    parser.add_argument(
        "url", metavar="URL", help="http, https, mirror://NAME/…, file:///…, or git+https://…"
    )
    parser.add_argument(
        "--commit", metavar="HASH", help="of a git+https URL; default: the end of its main branch"
    )
    parser.add_argument("--submodules", action="store_true", help="with those of the commit")
    parser.add_argument("--file-name", default="", metavar="NAME", help="the name in the store")
    parser.add_argument("--form", choices=FORMS, default="hex", help="how to write the hash (default: hex)")


def run(options: argparse.Namespace) -> int:
    """Fetch the source, add it to the store, and print the `source=` of a definition."""
    with tempfile.TemporaryDirectory(prefix="fruix-prefetch-") as directory:
        prefetch = _commit if options.url.startswith("git+") else _file
        lines = prefetch(options, directory)
    print("\n".join(lines))
    return 0


def _file(options: argparse.Namespace, directory: str) -> list[str]:
    origin = Origin((options.url,), _UNKNOWN, file_name=options.file_name)
    path = origin.files[0] if origin.files else _download(options.url, directory)
    text = FORMS[options.form](hash_of(path))
    with open_store() as store:
        store.add_path(origin.store_name, path, Method.FLAT)
    return _definition("Origin", urls=[options.url], sha256=text, file_name=options.file_name)


def _definition(kind: str, **fields: str | list[str] | bool) -> list[str]:
    """The lines of a source in a definition, without the fields that are empty."""
    lines = [f"source={kind}("]
    for name, value in fields.items():
        if value:
            text = "True" if value is True else json.dumps(value, ensure_ascii=False)
            lines.append(f"    {name}={text},")
    return [*lines, "),"]


class _Log(io.TextIOBase):
    """A stream for what the downloader says, without its marks for the daemon."""

    def write(self, text: str) -> int:
        if not text.startswith("@ fruix "):
            sys.stderr.write(text)
        return len(text)


def _download(url: str, directory: str) -> str:
    """The path of the file.

    Raises:
        FruixError: nobody delivered it; says why.
    """
    path, report = os.path.join(directory, "file"), os.path.join(directory, "undelivered")
    found = expand([url], {})
    check_usable(found, ())
    arguments = {
        "urls": [[tried.url, tried.refusal] for tried in found],
        "hash": "",
        "destination": path,
        "report": report,
        "executable": False,
        "unpack": False,
        "max_size": 0,
        "ca_file": "",
        "proxies": urllib.request.getproxies(),
    }
    with contextlib.redirect_stdout(_Log()):
        status = download.main(arguments)
    if status != 0:
        why = "".join(others(read_report(report), ""))
        raise FruixError(f"can't be fetched:{why}", where=url)
    return path


def _commit(options: argparse.Namespace, directory: str) -> list[str]:
    url = options.url.removeprefix("git+")
    commit = options.commit or _head(url)
    source = Git(options.url, commit, _UNKNOWN, options.submodules, file_name=options.file_name)
    out = os.path.join(directory, source.store_name)
    variables = {
        **os.environ,
        **git_script.VARIABLES,
        "HOME": directory,
        "out": out,
        "commit": commit,
        "recursive": "1" if options.submodules else "",
        "longest": "",
    }
    command = ["/bin/sh", "-c", git_script.SCRIPT, "sh", url]
    done = subprocess.run(command, env=variables, cwd=directory, stdout=sys.stderr, check=False)
    if done.returncode != 0:
        raise FruixError("git can't fetch the commit: see above", where=f"{url} {commit}")
    text = FORMS[options.form](hash_of(out))
    with open_store() as store:
        store.add_path(source.store_name, out)
    return _definition(
        "Git",
        url=options.url,
        commit=commit,
        sha256=text,
        submodules=options.submodules,
        file_name=options.file_name,
    )


def _head(url: str) -> str:
    try:
        done = subprocess.run(
            ["git", "ls-remote", "--", url, "HEAD"], capture_output=True, text=True, check=False
        )
    except OSError as error:
        raise UsageError(f"git can't be run: {error.strerror}", hint="install git") from error
    if done.returncode != 0 or not done.stdout:
        said = done.stderr.strip().splitlines()
        raise FruixError(
            f"git can't read the repository: {said[-1] if said else 'it has no HEAD'}", where=url
        )
    return done.stdout.split()[0]
