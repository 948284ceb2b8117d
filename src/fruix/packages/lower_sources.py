"""Sources → paths in a store, or derivations that fetch them.

| source | becomes |
|---|---|
| `Origin` | a fixed-output derivation for the built-in fetcher; a file of this machine is added at once |
| `Local` | its files, added at once |
| `Git` | a fixed-output derivation for the built-in fetcher of commits |
"""

from __future__ import annotations

import hashlib

from fruix.dataclass import dataclass
from fruix.errors import UsageError
from fruix.late import late_import
from fruix.model.contentaddress import Method, render_output_method
from fruix.model.derivation import Derivation, DerivationOutput
from fruix.model.hashes import Hash
from fruix.model.hostview import CONTRACT_VARIABLE, VIEW_HASH_VARIABLE, VIEW_VARIABLE, HostView
from fruix.model.storepath import StorePath, legal_name
from fruix.packages.local_files import selected
from fruix.packages.sources import Git, Local, Origin
from fruix.store.interface import Store

TYPE_CHECKING = False  # what `typing` has, without loading it
if TYPE_CHECKING:
    import json
else:
    json = late_import("json")

SHELL = "/bin/sh"


@dataclass(frozen=True, slots=True)
class LoweredSource:
    """Where a source lies or will lie.

    `drv` is the derivation that fetches it and `hash` the declared hash, if it has those.
    """

    output: StorePath
    drv: StorePath | None = None
    hash: Hash | None = None


def fetch_file(origin: Origin) -> Derivation:
    """The derivation for the built-in fetcher.

    It has no URLs of files of this machine (see `add_files`), unless there are no others.
    """
    urls = [url for url in origin.urls if not url.startswith("file:")] or list(origin.urls)
    return Derivation(
        name=origin.store_name,
        outputs={"out": _fixed(Method.FLAT, origin.hash)},
        input_drvs={},
        input_srcs=(),
        system="builtin",
        builder="builtin:fetchurl",
        args=(),
        env={"url": urls[0], "urls": " ".join(urls), "name": origin.store_name},
    )


def view_variables(view: HostView) -> dict[str, str]:
    """The variables by which a builder gets the host's tools (see docs/derivations.md)."""
    return {
        VIEW_VARIABLE: view.name,
        VIEW_HASH_VARIABLE: view.fingerprint,
        CONTRACT_VARIABLE: "fruix",
        "PATH": ":".join(view.path),
    }


def fetch_commit(source: Git) -> Derivation:
    """The derivation for the built-in fetcher of commits, which reads Scheme data."""
    return Derivation(
        name=source.store_name,
        outputs={"out": _fixed(Method.NAR, source.hash)},
        input_drvs={},
        input_srcs=(),
        system="builtin",
        builder="builtin:git-download",
        args=(),
        env={
            "url": json.dumps(source.plain_url, ensure_ascii=False),
            "commit": source.commit,
            "recursive?": "#t" if source.submodules else "#f",
            "name": source.store_name,
        },
    )


def _fixed(method: Method, hash_: Hash) -> DerivationOutput:
    return DerivationOutput(None, render_output_method(method, "sha256"), hash_.base16)


def add_local(store: Store, source: Local) -> StorePath:
    """Add the files as they are now, without those that are excluded (see `local_files`)."""
    with selected(source.path, source.exclude) as path:
        return store.add_path(source.store_name, path)


def add_files(store: Store, origin: Origin, output: StorePath) -> None:
    """If one of the origin's URLs is a file of this machine: add it, so that it need not be fetched.

    Raises:
        UsageError: it is not there or has another hash, and there is no other URL.
    """
    if not origin.files or store.is_valid(output):
        return
    complaints = []
    for path in origin.files:
        try:
            found = _hash_of(path)
        except OSError as error:
            complaints.append(f"can't read {path}: {error.strerror}")
            continue
        if found == origin.hash:
            store.add_path(output.name, path, Method.FLAT)
            return
        complaints.append(f"{path} has the SHA-256 {found.base16}, not {origin.hash.base16}")
    if len(origin.files) == len(origin.urls):
        raise UsageError("; ".join(complaints), hint="correct the URL or the hash")


def _hash_of(path: str) -> Hash:
    with open(path, "rb") as file:
        return Hash("sha256", hashlib.file_digest(file, "sha256").digest())


def add_patch(store: Store, path: str) -> StorePath:
    """Add a patch, a file of this machine.

    Raises:
        UsageError: nothing is left of its name.
    """
    name = legal_name(path.rpartition("/")[2])
    if not name:
        hint = "give the file another name"
        raise UsageError(f"nothing is left of the name of {path} in the store", hint=hint)
    return store.add_path(name, path)
