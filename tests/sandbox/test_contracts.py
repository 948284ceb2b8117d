"""The build contracts against what builders of the real daemons saw (tests/golden/sandbox.json)."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from fruix.sandbox.contracts import CONTRACTS, Contract
from fruix.sandbox.spec import Identity
from golden_data import load

UID = 35001


def environment(contract: Contract, env: Mapping[str, str], **changes: Any) -> Mapping[str, str]:
    arguments: dict[str, Any] = {
        "store": "/frx/store",
        "cores": 2,
        "build_directory": contract.build_directory("hello-2.12.drv"),
        "fixed_output": False,
    }
    return contract.environment(env, **(arguments | changes))


def etc(contract: Contract, identity: Identity) -> dict[str, str]:
    return {file.path: file.data.decode() for file in contract.files(identity)}


@pytest.mark.parametrize(("dialect", "drv"), [("guix", "attrs.drv"), ("nix", "sbx.drv")])
def test_environment_is_that_of_the_real_daemon(dialect: str, drv: str) -> None:
    recorded: dict[str, str] = load("sandbox.json")[dialect]["environment"]
    own = {name: value for name, value in recorded.items() if name[0].islower()}
    seen = environment(
        CONTRACTS[dialect],
        own,
        cores=int(recorded["NIX_BUILD_CORES"]),
        build_directory=CONTRACTS[dialect].build_directory(drv),
    )
    # SHLVL is the recording shell's own.
    assert seen == {name: value for name, value in recorded.items() if name != "SHLVL"}


@pytest.mark.parametrize(("dialect", "ids"), [("guix", (999, 999)), ("nix", (30001, 30000))])
def test_etc_is_that_of_the_real_daemon(dialect: str, ids: tuple[int, int]) -> None:
    recorded = load("sandbox.json")[dialect]
    assert etc(CONTRACTS[dialect], Identity(UID, UID, *ids)) == {
        "/etc/passwd": recorded["etc_passwd"],
        "/etc/group": recorded["etc_group"],
        "/etc/hosts": recorded["etc_hosts"],
    }


@pytest.mark.parametrize(
    ("name", "identity"),
    [
        ("fruix", Identity(UID, UID, 35001, 35001, user_namespace=True)),
        ("guix", Identity(UID, UID, 30001, 30000, user_namespace=True)),
        ("nix", Identity(UID, UID, 1000, 100, user_namespace=True)),
    ],
)
def test_identity(name: str, identity: Identity) -> None:
    assert CONTRACTS[name].identity(UID) == identity
    other = replace(identity, uid=UID + 7, gid=UID + 7)
    assert CONTRACTS[name].identity(UID + 7) == other, "what it sees does not depend on its slot"


@pytest.mark.parametrize(
    ("name", "directory"), [("fruix", "/build"), ("guix", "/tmp/guix-build-x-1.drv-0"), ("nix", "/build")]
)
def test_build_directory(name: str, directory: str) -> None:
    assert CONTRACTS[name].build_directory("x-1.drv") == directory


def test_fruix_environment() -> None:
    assert environment(CONTRACTS["fruix"], {"PATH": "/usr/bin:/bin", "out": "/frx/store/x"}) == {
        "HOME": "/homeless-shelter",
        "NIX_BUILD_CORES": "2",
        "NIX_BUILD_TOP": "/build",
        "NIX_STORE": "/frx/store",
        "PATH": "/usr/bin:/bin",
        "PWD": "/build",
        "TEMP": "/tmp",
        "TEMPDIR": "/tmp",
        "TMP": "/tmp",
        "TMPDIR": "/tmp",
        "out": "/frx/store/x",
    }


def test_fruix_etc_names_the_build_user() -> None:
    contract = CONTRACTS["fruix"]
    files = etc(contract, contract.identity(UID))
    assert files["/etc/passwd"].splitlines() == [
        "root:x:0:0:Fruix build root:/build:/noshell",
        f"frxbld:x:{UID}:{UID}:Fruix build user:/build:/noshell",
        "nobody:x:65534:65534:Nobody:/:/noshell",
    ]
    assert f"frxbld:!:{UID}:\n" in files["/etc/group"]
    assert files["/etc/hosts"] == "127.0.0.1 localhost\n::1 localhost\n"


@pytest.mark.parametrize("name", sorted(CONTRACTS))
def test_the_derivation_overrides_defaults_but_not_the_build_directory(name: str) -> None:
    contract = CONTRACTS[name]
    own = dict.fromkeys(
        ("PATH", "HOME", "NIX_STORE", "NIX_BUILD_CORES", "TMPDIR", "PWD", "NIX_BUILD_TOP"), "mine"
    )
    seen = environment(contract, own)
    assert [seen[key] for key in ("PATH", "HOME", "NIX_STORE", "NIX_BUILD_CORES")] == ["mine"] * 4
    assert "mine" not in {seen[key] for key in ("TMPDIR", "PWD", "NIX_BUILD_TOP")}


def test_only_nix_tells_of_logs_terminals_and_checked_outputs() -> None:
    names = {"TERM", "NIX_LOG_FD", "NIX_OUTPUT_CHECKED"}
    seen = {name: names & environment(row, {}, fixed_output=True).keys() for name, row in CONTRACTS.items()}
    assert seen == {"fruix": set(), "guix": set(), "nix": names}
    assert "NIX_OUTPUT_CHECKED" not in environment(CONTRACTS["nix"], {})


def test_zero_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 7)
    told = {name: environment(row, {}, cores=0)["NIX_BUILD_CORES"] for name, row in CONTRACTS.items()}
    assert told == {"fruix": "7", "guix": "0", "nix": "7"}


@pytest.mark.parametrize("contract", CONTRACTS.values(), ids=sorted(CONTRACTS))
def test_nothing_of_the_host_is_inherited(contract: Contract, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FRUIX_LEAK", "1")
    assert "FRUIX_LEAK" not in environment(contract, {})
