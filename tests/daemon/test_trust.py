"""Whose word is taken on what clients add: the settings, and what trusted users set for their session."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from daemon.serving import running
from fruix.client import RemoteStore
from fruix.client.remote import client_options as sent_options
from fruix.daemon import client_options
from fruix.daemon.keyring import Keyring
from fruix.daemon.settings import Settings
from fruix.errors import NotPermittedError, UsageError
from fruix.model.build_options import BuildOptions
from fruix.model.buildresult import BuildMode, BuildResult, BuildStatus
from fruix.model.derivedpath import ALL, DerivedPath
from fruix.model.events import BuildFinished
from fruix.model.hashes import Hash
from fruix.model.named_keys import SecretKey
from fruix.model.nar import write
from fruix.model.pathinfo import PathInfo
from fruix.model.storepath import StorePath
from fruix.protocol import nix
from fruix.protocol.common_operations import SetOptions
from fruix.protocol.options import ClientOptions
from fruix.protocol.wire import Context, Dialect
from fruix.signing.path_signatures import sign
from golden_data import GOLDEN

KEY = SecretKey.parse((GOLDEN / "keys/nix-test-1.secret").read_text())
PUBLIC = str(KEY.public)
ARCHIVE = b"".join((write.MAGIC, write.file_head(3, False), b"one", write.file_tail(3)))


def thing(store: RemoteStore, *signatures: str) -> PathInfo:
    path = StorePath.of(store.directory, f"{'a' * 32}-thing")
    return PathInfo(path, Hash.of("sha256", ARCHIVE), len(ARCHIVE), signatures=signatures)


def add(store: RemoteStore, info: PathInfo) -> None:
    store.add_several([(info, [ARCHIVE])], 1, unchecked=False)


def test_a_signature_by_a_trusted_key_is_needed(tmp_path: Path) -> None:
    with running(tmp_path, Settings(trusted_public_keys=(PUBLIC,))) as daemon:
        store = daemon.connect()
        info = thing(store)
        with pytest.raises(NotPermittedError) as caught:
            add(store, info)
        assert str(caught.value) == (
            f"cannot add path '{info.path}' because it lacks a signature by a trusted key"
        )
        for wrong in (sign(replace(info, nar_size=1), KEY), sign(info, replace(KEY, name="test-2"))):
            with pytest.raises(NotPermittedError):
                add(store, replace(info, signatures=(wrong,)))
        assert not store.is_valid(info.path)
        right = replace(info, signatures=(sign(info, KEY),))
        add(store, right)
        found = store.path_info(info.path)
        assert found is not None
        assert found.signatures == right.signatures


def test_where_none_are_required_none_are_looked_at(tmp_path: Path) -> None:
    with running(tmp_path, Settings(require_sigs=False)) as daemon:
        store = daemon.connect()
        add(store, thing(store))
        assert store.is_valid(thing(store).path)


@pytest.mark.parametrize("text", ["a b", "key:short", "two signatures", f"key:{'A' * 86}== other:x", ""])
def test_what_is_no_signature_is_not_kept(text: str, tmp_path: Path) -> None:
    """The database keeps them in one text, which blanks would break into others."""
    with running(tmp_path, Settings(require_sigs=False)) as daemon:
        store = daemon.connect()
        with pytest.raises(UsageError, match="is no signature"):
            add(store, thing(store, text))
        assert not store.is_valid(thing(store).path)


SETTINGS: list[tuple[Mapping[str, str], bool]] = [
    ({}, False),
    ({"require-sigs": "false"}, True),
    ({"trusted-public-keys": PUBLIC}, True),
    ({"extra-trusted-public-keys": f"other-1:{'A' * 43}=  {PUBLIC}"}, True),
    ({"trusted-public-keys": ""}, False),
]


@pytest.mark.parametrize(("said", "taken"), SETTINGS, ids=[str(number) for number in range(len(SETTINGS))])
def test_trusted_users_say_whom_they_believe(said: Mapping[str, str], taken: bool, tmp_path: Path) -> None:
    with running(tmp_path) as daemon:
        store = daemon.connect()
        set_options(store, said)
        info = thing(store)
        info = replace(info, signatures=(sign(info, KEY),))
        if not taken:
            with pytest.raises(NotPermittedError):
                add(store, info)
            return
        add(store, info)
        assert store.is_valid(info.path)
    assert not list(client_options.warnings(ClientOptions(overrides=said), trusted=True))
    told = list(client_options.warnings(ClientOptions(overrides=said), trusted=False))
    assert [message.text.split("'")[1] for message in told] == list(said)


def set_options(store: RemoteStore, said: Mapping[str, str]) -> None:
    store._call(SetOptions(ClientOptions(verbosity=3, overrides=said)))


@pytest.mark.parametrize(
    "said", [{"require-sigs": "perhaps"}, {"trusted-public-keys": "nonsense"}], ids=["require", "keys"]
)
def test_values_that_are_none(said: Mapping[str, str], tmp_path: Path) -> None:
    with running(tmp_path) as daemon, pytest.raises(UsageError, match=next(iter(said))):
        set_options(daemon.connect(), said)


def test_trusted_users_name_keys_that_sign_what_is_built_for_them(tmp_path: Path) -> None:
    """Also what is only needed for it; not what was there before."""
    key, before = tmp_path / "key", ("signed", "needed", "other")
    key.write_text(KEY.secret_text)
    key.chmod(0o400)
    with running(tmp_path) as daemon:
        store = daemon.connect()
        paths = [store.add_text(name, name.encode()) for name in before]
        drv = StorePath.of(store.directory, f"{'d' * 32}-x.drv")
        daemon.builder.events = [BuildFinished(drv, 1.0, {"out": str(path)}) for path in paths[:2]]
        daemon.builder.results = {drv: BuildResult(BuildStatus.DEPENDENCY_FAILED)}
        request = nix.BuildPathsWithResults((DerivedPath(drv, ALL),), BuildMode.NORMAL)
        store._call(request)
        set_options(store, {"secret-key-files": f"{key}"})
        assert all(info.signatures == () for info in store.closure_infos(paths))
        store._call(request)
        signed = {info.path: info.signatures for info in store.closure_infos(paths)}
        for info in store.closure_infos(paths[:2]):
            assert signed[info.path] == (sign(info, KEY),)
        assert signed[paths[2]] == ()
        key.chmod(0o444)
        with pytest.raises(NotPermittedError, match="should be secret"):
            set_options(store, {"secret-key-files": f"{key}"})


def test_own_keys_and_those_of_the_settings() -> None:
    keyring = replace(
        Keyring.open(Settings(trusted_public_keys=(f"other-1:{'A' * 43}=",))), secret_keys=[KEY]
    )
    assert set(keyring.trusting(None, [], required=None).keys) == {"other-1", "test-1"}
    assert set(keyring.trusting([], [], required=None).keys) == {"test-1"}
    assert keyring.trusting([], [], required=False).required is False


@pytest.mark.parametrize(
    ("mode", "text", "why"),
    [(0o440, KEY.secret_text, "should be secret"), (0o400, "nonsense", "no secret key")],
    ids=["mode", "text"],
)
def test_a_daemon_doesn_t_start_with_a_key_that_is_none(
    mode: int, text: str, why: str, tmp_path: Path
) -> None:
    file = tmp_path / "key"
    file.write_text(text)
    file.chmod(mode)
    with pytest.raises((NotPermittedError, UsageError), match=why):
        Keyring.open(Settings(secret_key_files=(str(file),)))


def test_no_secret_is_in_what_is_shown(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text(KEY.secret_text)
    file.chmod(0o400)
    keyring = Keyring.open(Settings(secret_key_files=(str(file),)))
    seen: Any = (keyring, keyring.secret_keys, KEY)
    assert "2Goqw4" not in repr(seen) + str(KEY)
    assert "2Goqw4" in KEY.secret_text


def test_machines_are_named_by_trusted_clients_alone(tmp_path: Path) -> None:
    """The daemon runs `ssh` and reads files for them."""
    (tmp_path / "machines").write_text("ssh-ng://box - - 2\n")
    said = ClientOptions(overrides={"builders": f"@{tmp_path}/machines; other"})
    found = client_options.machines(said)
    assert found is not None
    assert [(one.host, one.max_jobs) for one in found] == [("box", 2), ("other", 1)]
    assert client_options.machines(ClientOptions()) is None
    assert client_options.machines(ClientOptions(overrides={"builders": ""})) == ()
    assert client_options.machines(ClientOptions(offload=False)) == ()
    for wrong in ("unix:///x", "@/nonexistent"):
        with pytest.raises(UsageError, match="setting 'builders'"):
            client_options.machines(ClientOptions(overrides={"builders": wrong}))
    assert not list(client_options.warnings(said, trusted=True))
    assert "ignoring the client-specified setting 'builders'" in str(
        *client_options.warnings(said, trusted=False)
    )


def test_trusted_clients_have_machines_fetch_by_themselves() -> None:
    context, name = Context(Dialect.NIX, 38, "/frx/store"), "builders-use-substitutes"
    for said, found in (("true", True), ("false", False)):
        options = ClientOptions(overrides={name: said})
        for trusted in (False, True):
            built = client_options.build_options(options, context, BuildMode.NORMAL, trusted=trusted)
            assert built.machines_substitute is (found if trusted else None)
            assert bool(list(client_options.warnings(options, trusted=trusted))) is not trusted
    assert sent_options(BuildOptions(machines_substitute=True)).overrides == {name: "true"}
    assert sent_options(BuildOptions()).overrides == {}
