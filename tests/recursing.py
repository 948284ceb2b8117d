"""What builders do that talk to the daemon: run in their sandboxes, by `tests/building/test_recursive.py`.

Each function is a builder; what it returns is written into its output as JSON.
"""

from __future__ import annotations

import json
import os
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fruix.client import RemoteStore, connect
from fruix.dataclass import replace
from fruix.errors import FruixError
from fruix.model import aterm
from fruix.model.buildresult import BuildMode
from fruix.model.contentaddress import ContentAddress, Method
from fruix.model.derivation import Derivation, DerivationOutput
from fruix.model.derivedpath import ALL, DerivedPath
from fruix.model.drvhash import DerivationHasher, fill_outputs
from fruix.model.garbage import Goal
from fruix.model.hashes import Hash
from fruix.model.makepath import placeholder
from fruix.model.nar import write
from fruix.model.pathinfo import PathInfo
from fruix.model.storepath import StorePath
from fruix.protocol import handshake, nix
from fruix.protocol.common_operations import (
    AddTempRoot,
    BuildPaths,
    EnsurePath,
    OptimiseStore,
    QueryValidDerivers,
    SetOptions,
    VerifyStore,
)
from fruix.protocol.options import ClientOptions

STORE = os.environ.get("NIX_STORE", "")


def talk() -> RemoteStore:
    return connect(os.environ["NIX_REMOTE"].removeprefix("unix://"), STORE)


def given(name: str) -> StorePath:
    return StorePath.parse(os.environ[name], STORE)


def tried(work: Callable[[], Any]) -> str:
    """What came of it."""
    try:
        return str(work())
    except FruixError as error:
        return f"{type(error).__name__}: {error}"


def inner(
    store: RemoteStore,
    name: str,
    script: str,
    *,
    env: dict[str, str] | None = None,
    sources: tuple[StorePath, ...] = (),
    output: DerivationOutput | None = None,
) -> StorePath:
    """Add a derivation with the shell that this builder has."""
    shell = given("SHELL_PATH")
    plain = Derivation(
        name,
        {"out": output or DerivationOutput(None)},
        {},
        tuple(sorted({shell, *sources})),
        os.environ["SYSTEM"],
        f"{shell}/bin/sh",
        ("-c", f"PATH={shell}/bin\n{script}"),
        env or {},
    )
    if plain.is_floating:
        drv = replace(plain, env={**plain.env, "out": placeholder("out")})
    else:
        drv = fill_outputs(plain, DerivationHasher(store.read_derivation), STORE)
    return store.add_text(f"{name}.drv", aterm.render(drv), list(drv.references))


def built(store: RemoteStore, drv: StorePath) -> str:
    """The path of an inner build's output."""
    ((_, result),) = store.build([DerivedPath(drv, ALL)])
    if not result.success:
        raise FruixError(result.message)
    return str(result.outputs["out"])


def uses() -> Any:
    """Add, build, see, and be told the same by all questions."""
    with talk() as store:
        known = len(store.all_valid_paths())
        text = store.add_text("a-text", b"words")
        drv = inner(store, "inner", f"read word < {text} || :; echo from inner $word > $out", sources=(text,))
        output = built(store, drv)
        info = store.path_info(StorePath.parse(output, STORE))
        assert info is not None
        return {
            "known": known,
            "more": len(store.all_valid_paths()) - known,
            "text": Path(str(text)).read_text(),
            "output": Path(output).read_text(),
            "refers": [output, str(text)],
            "mode": oct(os.stat(output).st_mode),
            "deriver": str(info.deriver),
            "signatures": list(info.signatures),
            "time": info.registration_time,
            "trusted": store.trusted,
            "listed": sorted(os.listdir(STORE)),
        }


def looks() -> Any:
    """Ask for a path that isn't in its closure, in every way."""
    secret = given("SECRET")
    with talk() as store:
        return {
            "valid": store.is_valid(secret),
            "valids": len(store.valid_paths([secret])),
            "info": str(store.path_info(secret)),
            "all": secret in store.all_valid_paths(),
            "part": str(store.from_hash_part(secret.hash_part)),
            "there": os.path.lexists(str(secret)),
            "nar": tried(lambda: b"".join(store.nar(secret))),
            "references": tried(lambda: store.references(secret)),
            "referrers": len(store.referrers(given("SHELL_PATH"))),
            "derivers": len(store._call(QueryValidDerivers(given("SHELL_PATH")))),
            "outputs": tried(lambda: store.derivation_outputs(secret)),
            "missing": [str(path) for path in store.missing([DerivedPath(secret)]).unknown],
            "build": tried(lambda: store._call(BuildPaths((DerivedPath(secret),), BuildMode.NORMAL))),
            "results": tried(lambda: store.build([DerivedPath(secret)])),
            "ensure": tried(lambda: store._call(EnsurePath(secret))),
            "root": tried(lambda: store._call(AddTempRoot(secret))),
            "text": tried(lambda: store.add_text("refers", str(secret).encode(), [secret])),
            "source": tried(lambda: inner(store, "steals", f"cp {secret} $out", sources=(secret,))),
            "hidden": tried(lambda: _hidden_input(store, secret)),
            "realisation": tried(lambda: store._call(nix.QueryRealisation(os.environ["REALISED"]))),
        }


def _hidden_input(store: RemoteStore, secret: StorePath) -> str:
    """A derivation that doesn't name all of its inputs as references."""
    plain = Derivation(
        "hides", {"out": DerivationOutput(None)}, {}, (secret,), os.environ["SYSTEM"], "/bin/sh", (), {}
    )
    drv = fill_outputs(plain, DerivationHasher(store.read_derivation), STORE)
    return str(store.add_text("hides.drv", aterm.render(drv), []))


def adds() -> Any:
    """Say that it has what it hasn't."""
    secret, contents = given("ADDRESSED"), os.environ["CONTENTS"].encode()

    def archive(data: bytes) -> bytes:
        return write.MAGIC + write.file_head(len(data), executable=False) + data + write.file_tail(len(data))

    address = ContentAddress(Method.NAR, Hash.of("sha256", archive(contents)))
    info = PathInfo(secret, address.hash, len(archive(contents)), content_address=address)
    bare = PathInfo(given("SECRET"), address.hash, len(archive(contents)))
    with talk() as store:
        lied = tried(lambda: store.add_nar(info, [archive(b"x" * len(contents))]))
        before = store.is_valid(secret)
        unnamed = tried(lambda: store.add_nar(bare, [archive(contents)]))
        honest = tried(lambda: store.add_nar(info, [archive(contents)]))
        return {
            "lied": lied,
            "before": before,
            "unnamed": unnamed,
            "bare": store.is_valid(given("SECRET")),
            "honest": honest,
            "after": store.is_valid(secret),
        }


def commands() -> Any:
    """Ask for what a build has no business with."""
    shell = given("SHELL_PATH")
    options = ClientOptions(overrides={"post-build-hook": os.environ["HOOK"], "require-sigs": "false"})
    with talk() as store:
        store._call(SetOptions(options))
        hooked = tried(lambda: built(store, inner(store, "hooked", "echo > $out")))
        unsandboxed = inner(store, "unsandboxed", "echo > $out", env={"__noChroot": "1"})
        impure = inner(store, "impure", "echo > $out", output=DerivationOutput(None, "r:sha256", "impure"))
        return {
            "collect": tried(lambda: store.collect(Goal())),
            "delete": tried(lambda: store.delete([shell])),
            "roots": len(store.roots()),
            "signatures": tried(lambda: store.add_signatures(shell, ["key:c2lnbmF0dXJl"])),
            "verify": tried(lambda: store._call(VerifyStore(contents=False, repair=True))),
            "optimise": tried(lambda: store._call(OptimiseStore())),
            "repair": tried(
                lambda: store._call(BuildPaths((DerivedPath(shell),), BuildMode.REPAIR)),
            ),
            "log": tried(lambda: store.add_build_log(given("DRV"), [b"lies"])),
            "active": tried(store.active_builds),
            "view": tried(lambda: store.host_view("base")),
            "hooked": hooked,
            "unsandboxed": tried(lambda: built(store, unsandboxed)),
            "impure": tried(lambda: built(store, impure)),
        }


def asks_for() -> Any:
    """Have a derivation built whose text it finds, such as its own."""
    file = Path(os.environ["FILES"]) / os.environ["TARGET"]
    text = file.read_bytes()
    with talk() as store:
        references = list(aterm.parse(text, file.name.removesuffix(".drv"), STORE).references)
        drv = store.add_text(file.name, text, references)
        return {"asked": tried(lambda: built(store, drv))}


def nests() -> Any:
    """Build what builds, one slot for all of it."""
    with talk() as store:
        outputs = [built(store, inner(store, f"level-{number}", "echo > $out")) for number in range(2)]
        return {"outputs": outputs}


def spoils() -> Any:
    """Be in the way of what it adds, and change what it has."""
    with talk() as store:
        text = store.add_text("mine", b"words")
        change = "refused"
        try:
            os.chmod(str(text), 0o644)
            change = "changed"
        except OSError:
            pass
        try:
            os.rename(str(text), f"{STORE}/other")
            change = "moved"
        except OSError:
            pass
        path = Path(os.environ["IN_THE_WAY"])
        path.write_text("mine")
        return {"change": change, "way": tried(lambda: store.add_text("way", b"way"))}


def waits() -> Any:
    """Add something, and wait until it is told to go on."""
    with talk() as store:
        text = store.add_text("added-long-ago", b"before the collection")
    os.write(1, f"added {text}\n".encode())
    while not os.path.exists("/build/go-on"):
        time.sleep(0.02)
    return {"refers": str(text)}


def leaves() -> Any:
    """Leave a process with a connection behind."""
    store = talk()
    if os.fork() == 0:
        os.setsid()
        time.sleep(1000)
        store.all_valid_paths()
    return {}


def in_rounds() -> Any:
    """Say what it knows at the beginning, then add something."""
    with talk() as store:
        known = len(store.all_valid_paths())
        store.add_text("in-rounds", b"x")
        return {"known": known}


def speaks_guix() -> Any:
    """Greet as Guix's clients do."""
    with socket.socket(socket.AF_UNIX) as stream:
        stream.connect(os.environ["NIX_REMOTE"].removeprefix("unix://"))
        for number in (handshake.CLIENT_MAGIC, 0x164, 0, 0):
            stream.sendall(number.to_bytes(8, "little"))
        said = b""
        while piece := stream.recv(4096):
            said += piece
    return {"answer": said.decode(errors="replace")}


def many() -> Any:
    """Open more connections than are served at once, one after the other all the same."""
    stores = [talk() for _ in range(10)]
    found = [len(store.all_valid_paths()) > 0 for store in stores]
    for store in stores:
        store.close()
    return {"found": found}


def main() -> None:
    found = globals()[sys.argv[1]]()
    with open(os.environ["out"], "w", encoding="utf-8") as file:  # noqa: SIM112 - as builders know it
        json.dump(found, file)


if __name__ == "__main__":
    main()
