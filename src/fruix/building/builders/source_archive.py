"""Commits of an archive of source code, for those that no server has any more.

The archive speaks Software Heritage's interface (https://docs.softwareheritage.org, `/api/1/`). A
tree is named there by the hash of its NAR (an external identifier, so that of trees with submodules
too), by the hash of its commit, or by a tag at the newest visit of one of its URLs. The archive packs
a tree when it is asked for it (it "cooks" it), which takes minutes; then it is one `.tar.gz`.

Entry point `main(arguments)`, called in the sandbox of `git_download`: `git` goes first, as the
program that is run where no archive is set. What comes is believed as little as what a server of
repositories sends: the daemon compares the output's hash.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time
import urllib.error
import urllib.request
from base64 import urlsafe_b64encode
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import quote

from fruix.building.builders.tarballs import unpack
from fruix.dataclass import dataclass
from fruix.downloads.opener import make_opener, normalised
from fruix.downloads.problems import ATTEMPTS, CONNECT_TIMEOUT, is_final, reason_of
from fruix.errors import FruixError
from fruix.late import late_pattern
from fruix.model.text import printable

COMMIT = late_pattern(r"[0-9a-f]{40}")
_TREE = late_pattern(r"swh:1:dir:[0-9a-f]{40}")
_NOT_FOUND = 404
_LONGEST_ANSWER = 8 << 20  # bytes; a commit's message is part of it
_CHUNK = 1 << 18
_FIRST_WAIT, _LONGEST_WAIT = 0.5, 16.0  # seconds between questions for a tree that is being packed
_FAILED = 1


def main(arguments: Mapping[str, Any]) -> int:
    """Run `git`; where it has got nothing, ask the archive.

    Args:
        arguments: `git` (file, words, environment), `archive` (its address), `urls`, `commit`,
            `nar_sha256` (of the tree, base 16, or "" if it isn't declared so), `directory` (where
            to work), `out`, `max_size` (bytes; 0: any), `ca_file`, `proxies`.

    Returns:
        The exit status.
    """
    os.chdir(arguments["directory"])
    file, words, environment = arguments["git"]
    child = os.posix_spawn(file, words, environment)
    if os.waitpid(child, 0)[1] == 0:
        return 0
    archive = _Archive(
        arguments["archive"].rstrip("/"), make_opener(arguments["ca_file"], arguments["proxies"]).open
    )
    _say(f"asking the archive {archive.address} for the commit {arguments['commit']}")
    most = arguments["max_size"]
    if most:
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
    try:
        tree = archive.find(arguments["nar_sha256"], arguments["commit"], arguments["urls"])
        archive.pack(tree)
        archive.take(tree, "packed.tar.gz", most)
        _unpack("packed.tar.gz", tree, arguments["out"])
    except Exception as error:  # noqa: BLE001 - a server can bring about anything
        _say(f"the archive {archive.address}: {reason_of(error)}")
        return _FAILED
    return 0


@dataclass(frozen=True, slots=True)
class _Archive:
    """One archive, and what opens URLs.

    All methods raise whatever opening a URL does, and `FruixError` for answers of no use.
    """

    address: str
    open: Callable[..., Any]

    def find(self, nar_sha256: str, commit: str, urls: Sequence[str]) -> str:
        """The name of a commit's tree; only a commit's own hash says enough without a URL."""
        tree = self._by_hash(nar_sha256) if nar_sha256 else ""
        if not tree and COMMIT.fullmatch(commit):
            tree = self._of_commit(commit)
        elif not tree:
            tree = next(filter(None, (self._of_tag(commit, url) for url in urls)), "")
        if not tree:
            raise FruixError(f"it has no commit {commit}")
        return tree

    def pack(self, tree: str) -> None:
        """Have a tree packed, and wait for that."""
        place, said, wait = f"vault/flat/{tree}/", "", _FIRST_WAIT
        found = self._ask(place) or self._ask(place, method="POST")
        while found is not None and found.get("status") in {"new", "pending"}:
            words = printable(str(found.get("progress_message") or "it has yet to begin"))
            if words != said:
                _say(f"the archive packs {tree}: {words}")
            said = words
            time.sleep(wait)
            wait = min(wait * 2, _LONGEST_WAIT)
            found = self._ask(place)
        if found is None or found.get("status") != "done":
            why = printable(str((found or {}).get("progress_message") or "it doesn't say why"))
            raise FruixError(f"it can't pack {tree}: {why}")

    def take(self, tree: str, file: str, most: int) -> None:
        """Download a packed tree."""
        done = 0
        with self._opened(f"vault/flat/{tree}/raw/") as response, open(file, "xb") as copy:
            while chunk := response.read(_CHUNK):
                done += len(chunk)
                if most and done > most:
                    raise FruixError(f"longer than the limit of {most} bytes")
                copy.write(chunk)

    def _by_hash(self, nar_sha256: str) -> str:
        digest = urlsafe_b64encode(bytes.fromhex(nar_sha256)).decode().rstrip("=")
        found = self._ask(f"extid/nar-sha256/base64url:{digest}/?extid_version=1") or {}
        return _tree(str(found.get("target")))

    def _of_commit(self, commit: str) -> str:
        found = self._ask(f"revision/{commit}/") or {}
        return _tree(f"swh:1:dir:{found.get('directory')}")

    def _of_tag(self, tag: str, url: str) -> str:
        """Of what a tag stood for at the newest visit of `url`."""
        visit = self._ask(f"origin/{quote(url, safe=':/')}/visit/latest/?require_snapshot=true") or {}
        name = f"refs/tags/{tag}"
        place = f"snapshot/{visit.get('snapshot')}/?branches_from={quote(name, safe='')}&branches_count=1"
        branches = (self._ask(place) or {}).get("branches") if visit.get("snapshot") else None
        aim = branches.get(name) if isinstance(branches, dict) else None
        if isinstance(aim, dict) and aim.get("target_type") == "release":
            aim = self._ask(f"release/{aim.get('target')}/")
        if not isinstance(aim, dict) or aim.get("target_type") != "revision":
            return ""
        return self._of_commit(str(aim.get("target")))

    def _ask(self, place: str, method: str = "GET") -> dict[str, Any] | None:
        """One question; None where the archive has nothing of the kind."""
        try:
            with self._opened(place, method) as response:
                text = response.read(_LONGEST_ANSWER + 1)
        except urllib.error.HTTPError as error:
            error.close()
            if error.code == _NOT_FOUND:
                return None
            raise
        if len(text) > _LONGEST_ANSWER:
            raise FruixError(f"its answer is longer than {_LONGEST_ANSWER} bytes")
        try:
            found = json.loads(text)
        except ValueError as error:
            raise FruixError(f"its answer is no JSON: {error}") from error
        if not isinstance(found, dict):
            raise FruixError("its answer is no JSON object")
        return found

    def _opened(self, place: str, method: str = "GET") -> Any:
        url = normalised(f"{self.address}/api/1/{place}")
        request = urllib.request.Request(url, method=method)  # noqa: S310 - the opener knows http and https alone
        for attempt in range(ATTEMPTS):
            try:
                return self.open(request, timeout=CONNECT_TIMEOUT)
            except Exception as error:
                if is_final(error) or attempt + 1 == ATTEMPTS:
                    raise
                _say(f"the archive {self.address}: {reason_of(error)}; trying again")
                time.sleep(attempt)
        raise AssertionError


def _tree(name: str) -> str:
    return name if _TREE.fullmatch(name) else ""


def _unpack(file: str, tree: str, out: str) -> None:
    """Put what an archive holds under the tree's name at `out`."""
    beside = f"{out}.unpacked"  # the rest of the sandbox is another file system
    unpack(file, beside, "r:gz")
    if os.listdir(beside) != [tree]:
        raise FruixError(f"what it sent does not hold {tree} alone")
    os.rename(f"{beside}/{tree}", out)
    os.rmdir(beside)


def _say(line: str) -> None:
    sys.stdout.write(printable(line) + "\n")
    sys.stdout.flush()
