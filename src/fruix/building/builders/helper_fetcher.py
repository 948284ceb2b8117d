"""Guix's substitute helper (`substitutes.helper`), in a sandbox of its own for each request.

It runs as a build user who sees what the operator's setting shows of this machine, an empty store
and the access control list, and can write to one directory; it has the network of fixed outputs.
What it has made is read when all of it is dead.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from urllib.request import getproxies

from fruix.building.builders.entry_sandbox import network_of_servers, opened, run_entry
from fruix.building.builders.sandbox_spec import BUILD
from fruix.building.resources import Resources
from fruix.building.settings import HelperSettings
from fruix.building.workspace import Workspace
from fruix.dataclass import dataclass
from fruix.errors import FruixError
from fruix.model.pathinfo import PathInfo
from fruix.model.storepath import StorePath
from fruix.model.text import printable
from fruix.sandbox import Bind, Entry, File
from fruix.sandbox.network_files import contents
from fruix.store.tree.descriptors import OPEN_DIRECTORY
from fruix.store.tree.dump import dump
from fruix.store.tree.file_contents import SizeBudget
from fruix.substitutes.helper import info_request, parse_result, substitute_request
from fruix.substitutes.substituter import Offer

# Where the sandbox has the access control list; the helper looks for a file `acl` there.
_CONFIGURATION = "/configuration"
_ANSWERS, _TREE = "answers", "tree"
# Bytes of an answer, and of a file that it writes to give one: 512 paths with a thousand references each.
_LONGEST = 1 << 26
_MOST_LINES = 20
OnProgress = Callable[[int, int, str], None]


@dataclass(frozen=True, slots=True)
class HelperFetcher:
    """For one request or one path; it looks for interruption (`store.tree.interruption`) meanwhile.

    `on_progress`: told of bytes done, bytes in all (0: not known), and the URL.
    """

    resources: Resources
    on_progress: OnProgress = lambda _done, _total, _url: None

    def ask(self, paths: Sequence[StorePath]) -> tuple[bytes, Sequence[str]]:
        """The helper's answer on paths, and its warnings.

        Raises:
            FruixError: it could not be asked.
        """
        name = StorePath.of(self.resources.store.directory, "0" * 32 + "-substitutes")
        with self._run(name, "--query", info_request(paths), _LONGEST) as (area, lines):
            warnings = [line for line in lines if "warning: " in line]
            return _answer(area), warnings

    @contextmanager
    def fetch(self, offer: Offer) -> Iterator[tuple[PathInfo, Iterator[bytes]]]:
        """What an offer is, and its archive.

        Raises:
            ImportMismatchError: what came was another one.
            FruixError: nothing came; says why.
        """
        most = self.resources.settings.max_download_size
        request = substitute_request(offer.path, f"{BUILD}/{_TREE}")
        with self._run(offer.path, "--substitute", request, most) as (area, _):
            info = parse_result(_answer(area), offer)
            budget = SizeBudget(most) if most else None
            parent = os.open(area.build, OPEN_DIRECTORY)
            try:
                yield info, dump(parent, _TREE.encode(), where=str(offer.path), budget=budget)
            finally:
                os.close(parent)

    @contextmanager
    def _run(
        self, path: StorePath, mode: str, request: bytes, most: int
    ) -> Iterator[tuple[Workspace, Sequence[str]]]:
        """Run it to its end: what it has left, and its last words."""
        settings = self.resources.settings.substitute_helper
        if settings is None:
            raise FruixError("no substitute helper is set")
        lines: list[str] = []

        def hear(line: bytes) -> None:
            if (told := _progress(line)) is not None:
                self.on_progress(*told)
            elif text := printable(line.rpartition(b"\r")[2].decode("utf-8", "replace")).strip():
                lines.append(text)
                del lines[:-_MOST_LINES]

        program = Entry(
            "fruix.building.builders.helper_entry:main",
            {
                "command": [*settings.command, mode],
                "environment": self._environment(settings),
                "directory": BUILD,
                "request": request.decode(),
                "answers": _ANSWERS,
                "most": most,
            },
        )
        network = network_of_servers(self.resources.settings)
        binds, files = _shown(settings), self._files(settings)
        with run_entry(path, program, self.resources, network, binds, files, on_line=hear) as (area, ended):
            if ended:
                raise FruixError(": ".join(("the substitute helper failed", ended, *lines[-1:])))
            yield area, lines

    def _environment(self, settings: HelperSettings) -> dict[str, str]:
        """What it has to know, as guix-daemon hands it on; all that it keeps is kept in `BUILD`."""
        options = {"print-extended-build-trace": "1", **settings.options, "deduplicate": "no"}
        store = self.resources.store.directory
        return {
            "_NIX_OPTIONS": "".join(f"{name}={value}\n" for name, value in options.items()),
            "NIX_STORE_DIR": store,
            "NIX_STORE": store,
            "GUIX_CONFIGURATION_DIRECTORY": _CONFIGURATION,
            "HOME": BUILD,
            "TMPDIR": BUILD,
            "XDG_CACHE_HOME": BUILD,
            "PATH": "/usr/bin:/bin",
            **{f"{scheme}_proxy": url for scheme, url in getproxies().items()},
        }

    def _files(self, settings: HelperSettings) -> tuple[File, ...]:
        """The access control list, and a store in which there is nothing, unless `files` show one."""
        store = self.resources.store.directory
        made = []
        if not any(f"{store}/".startswith(f"{name}/") for name in settings.files):
            made.append(File(f"{store}/.empty", b""))
        if data := contents(settings.acl_file):
            made.append(File(f"{_CONFIGURATION}/acl", data))
        return tuple(made)


def _shown(settings: HelperSettings) -> tuple[Bind, ...]:
    """What is shown of this machine.

    Raises:
        FruixError: something isn't there.
    """
    for name in settings.files:
        if not os.path.lexists(name):
            raise FruixError(
                f"the substitute helper can't be shown '{name}': there is no such file",
                hint="look at 'files' in the setting 'substitute-helper'",
            )
    return tuple(Bind(name, name) for name in settings.files)


def _answer(area: Workspace) -> bytes:
    """What it has said.

    Raises:
        FruixError: too much.
    """
    with opened(f"{area.build}/{_ANSWERS}") as descriptor, open(descriptor, "rb", closefd=False) as file:
        data = file.read(_LONGEST + 1)
    if len(data) > _LONGEST:
        raise FruixError(f"the substitute helper's answer is longer than {_LONGEST} bytes")
    return data


def _progress(line: bytes) -> tuple[int, int, str] | None:
    """Bytes done, bytes in all (0: not known) and the URL, or None for any other line."""
    match line.rpartition(b"\r")[2].split():
        case [b"@", b"download-progress", _, url, size, done] if size.isdigit() and done.isdigit():
            return int(done[:18]), int(size[:18]), printable(url.decode("utf-8", "replace"))
    return None
