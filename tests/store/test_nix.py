"""Debian's nix-store reads what LocalStore made."""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest

from fruix.model.storepath import StorePath
from fruix.store.layout import Layout
from fruix.store.local import LocalStore
from store.helpers import info_of, make_golden_tree
from store.test_registration import add, derivation

pytestmark = [
    pytest.mark.skipif(
        shutil.which("nix-store") is None, reason="nix-store is missing: apt-get install nix-bin"
    ),
    pytest.mark.skipif(os.geteuid() != 0, reason="nix-store opens the database for writing: needs root"),
]


@pytest.fixture
def filled(layout: Layout, area: str) -> dict[str, StorePath]:
    make_golden_tree(f"{area}/tree")
    paths = {}
    with LocalStore(layout) as store:
        paths["tree"] = store.add_path("tree", f"{area}/tree")
        paths["text"] = store.add_text("text", str(paths["tree"]).encode(), [paths["tree"]])
        first = derivation(store, "first")
        paths["drv"] = add(store, first)
        paths["second"] = add(store, derivation(store, "second", {paths["drv"]: ("out", "lib")}))
        info, archive = info_of(store, "built", b"built")
        from dataclasses import replace

        store.add_nar(
            replace(info, deriver=paths["drv"], references=(paths["text"],), ultimate=True), [archive]
        )
        paths["built"] = info.path
        paths["first-lib"] = first.output_paths["lib"]
    return paths


def nix_store(layout: Layout, *arguments: str) -> list[str]:
    environment = {
        **os.environ,
        "NIX_STORE_DIR": layout.store,
        "NIX_STATE_DIR": layout.state,
        "NIX_LOG_DIR": layout.log,
        "NIX_CONF_DIR": f"{layout.state}/no-configuration",
        "NIX_REMOTE": "local",
        "HOME": layout.state,
        "XDG_CACHE_HOME": f"{layout.state}/cache",
    }
    result = subprocess.run(
        ["nix-store", *arguments], env=environment, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    return result.stdout.split()


def test_queries(layout: Layout, filled: dict[str, StorePath]) -> None:
    query = {
        ("--references", "text"): {filled["tree"]},
        ("--references", "second"): {filled["drv"]},
        ("--referrers", "tree"): {filled["text"]},
        ("--requisites", "built"): {filled["built"], filled["text"], filled["tree"]},
        ("--requisites", "second"): {filled["second"], filled["drv"]},
        ("--deriver", "built"): {filled["drv"]},
    }
    for (option, name), expected in query.items():
        assert set(nix_store(layout, "-q", option, str(filled[name]))) == set(map(str, expected)), option
    with LocalStore(layout) as store:
        for name in ["tree", "text", "drv", "built"]:
            info = store.path_info(filled[name])
            assert info is not None
            assert nix_store(layout, "-q", "--hash", str(filled[name])) == [info.nar_hash.prefixed]
            assert nix_store(layout, "-q", "--size", str(filled[name])) == [str(info.nar_size)]
    outputs = nix_store(layout, "-q", "--outputs", str(filled["drv"]))
    assert str(filled["first-lib"]) in outputs
    assert len(outputs) == 2


def test_dump_and_verification(layout: Layout, filled: dict[str, StorePath]) -> None:
    nix_store(layout, "--verify", "--check-contents")
    nix_store(layout, "--verify-path", *(str(filled[name]) for name in ["tree", "text", "drv", "built"]))
    with LocalStore(layout) as store:  # and it left everything as it was
        assert store.recovered == []
        assert store.verify(contents=True) == []
        assert len(store.all_valid_paths()) == 5


def test_nix_adds_what_we_would_add(layout: Layout, filled: dict[str, StorePath], area: str) -> None:
    assert nix_store(layout, "--add", f"{area}/tree") == [str(filled["tree"])]
    with open(f"{area}/new", "wb") as file:
        file.write(b"new")
    (added,) = nix_store(layout, "--add", f"{area}/new")
    with LocalStore(layout) as store:
        assert store.is_valid(StorePath.parse(added, layout.store))
        assert store.recovered == []
        assert str(store.add_path("new", f"{area}/new")) == added
