"""Builders that talk to the daemon (recursive Nix): what they get, and what they are refused.

The builders are in `recursing`; they run in sandboxes like all others.
"""

from __future__ import annotations

import json
import os
import socket
import stat
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from building.recursive_machine import FEATURES, Recursive, recursive_machine, sessions_of_builders
from fruix.building.nested import MOST, SOCKET, KnownPaths, NestedBuild
from fruix.daemon.handlers import for_builders
from fruix.dataclass import replace
from fruix.errors import FruixError, NotPermittedError
from fruix.model.build_options import BuildOptions
from fruix.model.buildresult import BuildResult, BuildStatus
from fruix.model.derivation import DerivationOutput
from fruix.model.derivedpath import ALL, DerivedPath
from fruix.model.events import Event, LogLine
from fruix.model.garbage import Goal, Keep
from fruix.model.storepath import StorePath
from fruix.protocol import handshake, nix
from fruix.protocol.wire import Dialect
from fruix.sandbox.linux import userns
from fruix.store import Layout, LocalStore
from machine import build_uid, private_frx
from waiting import PATIENCE, until

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="machine: the builders are shown this Python by mounts of Linux"
)


@pytest.fixture
def rec(either_back_end: str, tmp_path: Path) -> Iterator[Recursive]:
    with recursive_machine(tmp_path) as one:
        yield one


def test_what_it_adds_and_builds_is_there_and_may_be_referred_to(rec: Recursive) -> None:
    found = rec.run("uses")
    assert found["known"] == 1  # the shell
    assert found["more"] == 3  # text, derivation, output
    assert found["text"] == "words"
    assert found["output"].startswith("from inner")
    assert found["deriver"] == "None"
    assert (found["signatures"], found["time"], found["trusted"]) == ([], 0, False)
    output, text = (StorePath.parse(path, rec.here.store.directory) for path in found["refers"])
    info = rec.here.store.path_info(rec.here.store.derivation_outputs(rec.derivation("uses"))["out"])
    assert info is not None
    assert {output, text} <= set(info.references)
    assert rec.here.store.path_info(output).deriver is not None  # type: ignore[union-attr]


def test_what_it_does_not_know_does_not_exist_for_it(rec: Recursive) -> None:
    store = rec.here.store
    secret = store.add_text("secret", b"a secret")
    floating = rec.floating("floating")
    assert rec.here.build(floating)[0].success
    known = store.database.realisation
    identity = f"sha256:{store.derivation_identity(store.read_derivation(floating))}!out"
    assert known(identity) is not None
    found = rec.run("looks", {"SECRET": str(secret), "REALISED": identity})
    invalid = f"InvalidPathError: path '{secret}' is not valid"
    for question in ("nar", "references", "outputs", "build", "ensure", "text", "source"):
        assert found[question] == invalid, question
    assert found["results"] == invalid
    assert found["hidden"].startswith("BadDerivationError: ")
    assert (found["valid"], found["valids"], found["all"], found["there"]) == (False, 0, False, False)
    assert (found["info"], found["part"], found["referrers"], found["derivers"]) == ("None", "None", 0, 0)
    assert found["missing"] == [str(secret)]
    assert found["root"] == "None"
    assert found["realisation"] == "()"


def test_naming_contents_that_it_has_not_teaches_it_nothing(rec: Recursive) -> None:
    secret = rec.files / "addressed"
    secret.write_text("contents that somebody else has added")
    path = rec.here.store.add_path("addressed", str(secret))
    signed = rec.here.store.add_text("other", b"named by no archive")
    found = rec.run("adds", {"ADDRESSED": str(path), "SECRET": str(signed), "CONTENTS": secret.read_text()})
    assert found["lied"].startswith("NotPermittedError: what was sent is '/frx/store/")
    assert (found["before"], found["bare"]) == (False, False)
    assert found["unnamed"].startswith(f"NotPermittedError: a builder can't add '{signed}'")
    assert (found["honest"], found["after"]) == ("None", True)


def test_it_commands_nothing(rec: Recursive, tmp_path: Path) -> None:
    hook = rec.files / "hook"
    hook.write_text(f"#!/bin/sh\ntouch {rec.files}/hooked\n")
    hook.chmod(0o755)
    plain = rec.plain()
    before = rec.here.store.all_valid_paths()
    found = rec.run("commands", {"HOOK": str(hook), "DRV": str(plain)})
    refused = f"NotPermittedError: {for_builders.REFUSAL}"
    for command in ("collect", "delete", "signatures", "verify", "optimise", "log", "active", "view"):
        assert found[command] == refused, command
    assert found["repair"].startswith("NotPermittedError: a builder can have things built, but neither")
    assert found["roots"] == 0
    assert found["hooked"].startswith("/frx/store/")
    assert not (rec.files / "hooked").exists()
    assert "that's not allowed when 'sandbox' is 'true'" in found["unsandboxed"]
    assert "can't have the impure derivation" in found["impure"]
    assert set(before) <= set(rec.here.store.all_valid_paths())


def test_what_is_not_in_its_table_is_refused() -> None:
    """An operation that comes to the protocol is refused until somebody has thought of builders."""
    refused = {operation.kind.__name__ for operation in nix.NIX if operation.kind not in for_builders.ONLY}
    assert refused >= {"BuildDerivation", "CollectGarbage", "AddSignatures", "EnterSandbox", "ExportPath"}
    assert len(for_builders.ONLY) == 31
    assert for_builders.HANDLERS.keys() == {Dialect.NIX}


def test_clients_of_guix_are_not_served(rec: Recursive) -> None:
    found = rec.run("speaks_guix")
    assert for_builders.REFUSAL in found["answer"]
    assert os.listdir("/frx/var/fruix/profiles/per-user") == []


def test_one_slot_is_enough_for_builders_that_build(rec: Recursive) -> None:
    found = rec.run("nests")
    assert len(found["outputs"]) == 2


def test_builders_that_build_builders_that_build(rec: Recursive) -> None:
    inner = rec.derivation("nests", name="inner-nests")
    write(rec, inner)
    found = rec.run("asks_for", {"TARGET": inner.name})
    assert found["asked"] == str(rec.here.store.derivation_outputs(inner)["out"])


def test_a_builder_does_not_wait_for_itself(rec: Recursive) -> None:
    drv = rec.derivation("asks_for", {"TARGET": "asks-for.drv"})
    write(rec, drv)
    (result,) = rec.here.build(drv, options=BuildOptions("nix"))
    assert result.success, result.message
    asked = json.loads(rec.here.output(drv).read_text())["asked"]
    assert asked.endswith(f"the builder of '{drv}' can't wait for '{drv}': that waits for it")


def test_builders_do_not_wait_for_each_other(rec: Recursive) -> None:
    one = rec.derivation("asks_for", {"TARGET": "two.drv"}, name="one")
    two = rec.derivation("asks_for", {"TARGET": "one.drv"}, name="two")
    write(rec, one)
    write(rec, two)
    (result,) = rec.here.build(one, options=BuildOptions("nix"))
    assert result.success, result.message
    asked = json.loads(rec.here.output(two).read_text())["asked"]
    assert asked.endswith(f"the builder of '{two}' can't wait for '{one}': that waits for it")


def write(rec: Recursive, drv: StorePath) -> None:
    (rec.files / drv.name).write_bytes(Path(str(drv)).read_bytes())


def test_it_can_neither_change_nor_forestall_what_is_copied_for_it(rec: Recursive) -> None:
    way = rec.here.store.add_text("way", b"way")
    found = rec.run("spoils", {"IN_THE_WAY": str(way)})
    if not userns.confined():
        assert found["change"] == "refused"
    assert found["way"] == f"NotPermittedError: the builder has made '{way}' itself"


def test_what_it_has_added_outlives_collections_until_its_end(rec: Recursive) -> None:
    drv = rec.derivation("waits")
    results: list[BuildResult] = []
    lines: list[str] = []

    def on_event(event: Event) -> None:
        if isinstance(event, LogLine):
            lines.append(event.line)

    def build() -> None:
        request = [DerivedPath(drv, ALL)]
        builder = rec.here.builder
        results.extend(
            r for _, r in builder.realise(request, BuildOptions("nix"), on_event, threading.Event())
        )

    thread = threading.Thread(target=build)
    thread.start()
    try:
        until(lambda: any(line.startswith("added ") for line in lines), "the builder's word")
        rec.here.store.collect(Keep(), Goal())
    finally:
        go_on()
        thread.join(PATIENCE)
    assert results[0].success, results[0].message
    (text,) = (line.removeprefix("added ") for line in lines if line.startswith("added "))
    assert rec.here.store.is_valid(StorePath.parse(text, "/frx/store"))


def test_nobody_else_is_served_at_its_socket(rec: Recursive) -> None:
    drv = rec.derivation("waits")
    thread = threading.Thread(target=lambda: rec.here.build(drv, options=BuildOptions("nix")))
    thread.start()
    try:
        place = until(socket_of_builder, "its socket")
        closed = next(one for one in place.parents if one.parent.name in ("builds", "roots"))
        assert stat.S_IMODE(closed.stat().st_mode) == 0o700
        if not userns.confined():
            with socket.socket(socket.AF_UNIX) as stranger:
                until(lambda: _listens(stranger), "somebody who listens")
                with suppress(BrokenPipeError):  # sent away already
                    stranger.sendall(handshake.CLIENT_MAGIC.to_bytes(8, "little"))
                assert _received(stranger) == b""
    finally:
        go_on()
        thread.join(PATIENCE)


def areas() -> list[Path]:
    """Working directories of builders; while these run, jails have them in their roots."""
    builds = Path(Layout().builds)
    places = ("frx-*/build", "frx-*/root/build", "roots/*/root/build")
    return [area for place in places for area in builds.glob(place)]


def socket_of_builder() -> Path | None:
    """That of the one builder, once it runs."""
    with suppress(FileNotFoundError):  # it is just being moved
        for area in areas():
            if (area / SOCKET).stat().st_uid == build_uid():
                return area / SOCKET
    return None


def go_on() -> None:
    until(_told_to_go_on, "a builder that waits")


def _told_to_go_on() -> bool:
    try:
        for area in areas():
            (area / "go-on").touch()
            return True
    except FileNotFoundError:  # it is just being moved
        pass
    return False


def _listens(stream: socket.socket) -> bool:
    try:
        stream.connect(str(socket_of_builder()))
    except (ConnectionRefusedError, FileNotFoundError):  # it has its name already; it is being moved
        return False
    return True


def _received(stream: socket.socket) -> bytes:
    try:
        return stream.recv(1)
    except ConnectionResetError:
        return b""


def test_nothing_of_it_goes_on_after_the_build(rec: Recursive) -> None:
    rec.run("leaves")
    assert sessions_of_builders() == []


def test_each_round_begins_with_what_was_given(rec: Recursive) -> None:
    drv = rec.derivation("in_rounds")
    (result,) = rec.here.build(drv, options=BuildOptions("nix", rounds=2))
    assert result.success, result.message


def test_many_connections(rec: Recursive) -> None:
    assert rec.run("many")["found"] == [True] * 10


@pytest.mark.parametrize(
    ("features", "outputs", "text"),
    [
        ((), None, "builders can't talk to this daemon: it has no 'recursive-nix'"),
        (
            FEATURES,
            {"out": DerivationOutput(None, "sha256", "0" * 64)},
            "a builder with a network can't talk to this daemon",
        ),
    ],
)
def test_who_may_not_talk(
    rec: Recursive, features: tuple[str, ...], outputs: dict[str, DerivationOutput] | None, text: str
) -> None:
    resources = rec.here.builder._resources
    object.__setattr__(resources, "settings", replace(resources.settings, experimental_features=features))
    drv = rec.derivation("uses", outputs=outputs)
    (result,) = rec.here.build(drv, options=BuildOptions("nix"))
    assert result.status is BuildStatus.INPUT_REJECTED
    assert text in result.message


def test_builders_that_do_not_ask_have_no_socket(rec: Recursive) -> None:
    drv = rec.here.derivation("quiet", "ls -a > $out; echo NIX_REMOTE=$NIX_REMOTE >> $out", rec.shell)
    assert rec.here.build(drv, options=BuildOptions("nix"))[0].success
    assert rec.here.output(drv).read_text().split() == [".", "..", "NIX_REMOTE="]


def test_knowledge_ends_with_the_build_and_is_bounded(tmp_path: Path) -> None:
    with private_frx(), LocalStore(Layout()).open() as store:
        os.mkdir(tmp_path / "store")
        text, own = store.add_text("a", b"b"), store.add_text("own", b"c")
        build = NestedBuild(text, str(tmp_path), frozenset(), frozenset({own}))
        roots: set[StorePath] = set()
        known = KnownPaths(store, build, roots)
        known.add([text])
        assert known.added == [text]
        assert roots == {text}
        with pytest.raises(NotPermittedError, match="is an output of the build that asks for it"):
            known.add([own])
        known._added = {StorePath.of("/frx/store", f"{number:032d}-x") for number in range(MOST)}
        with pytest.raises(NotPermittedError, match="may add at most"):
            known.add([text])
        known.end()
        with pytest.raises(FruixError, match="has ended"):
            known.add([text])
