"""Nix's configuration, read as Nix reads it, becomes settings of this daemon."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from fruix.building.builders.platforms import features
from fruix.building.settings import BuildSettings
from fruix.daemon import nix_conf, settings
from fruix.daemon.nix_conf import NixConfiguration
from fruix.errors import UsageError


def read(directory: Path, text: str, **more: str) -> NixConfiguration:
    (directory / "nix.conf").write_text(text)
    return nix_conf.read({"NIX_CONF_DIR": str(directory), "HOME": str(directory / "home"), **more})


def changes(directory: Path, text: str, **more: str) -> Mapping[str, Any]:
    return read(directory, text, **more).changes


def test_files_and_variables_in_their_order(tmp_path: Path) -> None:
    (tmp_path / "more").mkdir()
    (tmp_path / "more/a.conf").write_text("cores = 2\ninclude b.conf # from there\n")
    (tmp_path / "more/b.conf").write_text("max-jobs = 4\n!include not-there\n")
    text = "# nothing\n\ncores = 1\ninclude more/a.conf\nkeep-outputs = true # yes\n"
    assert changes(tmp_path, text) == {"cores": 2, "max-jobs": 4, "keep-outputs": True}
    for name, cores in (("first", 5), ("second", 6)):
        (tmp_path / name).write_text(f"cores = {cores}\n")
    files = f"{tmp_path}/first:{tmp_path}/second"
    assert changes(tmp_path, text, NIX_USER_CONF_FILES=files)["cores"] == 5
    said = {"NIX_USER_CONF_FILES": files, "NIX_CONFIG": "cores = 7\ntimeout = 8"}
    assert changes(tmp_path, text, **said)["cores"] == 7
    (tmp_path / "home/.config/nix").mkdir(parents=True)
    (tmp_path / "home/.config/nix/nix.conf").write_text("cores = 9\n")
    assert changes(tmp_path, text)["cores"] == 9
    assert nix_conf.read({"NIX_CONF_DIR": str(tmp_path / "none"), "NIX_USER_CONF_FILES": ""}).changes == {}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("sandbox = false", {"sandbox": False}),
        ("sandbox = true", {"sandbox": True}),
        ("sandbox = relaxed", {"sandbox": True}),
        ("build-use-sandbox = no", {"sandbox": False}),
        ("sandbox-fallback = true", {}),
        ("sandbox-paths = /a /b=/c?", {"sandbox-paths": ["/a", "/b=/c?"]}),
        ("sandbox-paths = /a\nextra-sandbox-paths = /b\n", {"sandbox-paths": ["/a", "/b"]}),
        ("extra-sandbox-paths = /b\nsandbox-paths = /a\n", {"sandbox-paths": ["/a"]}),
        ("extra-trusted-users = x @y", {"trusted-users": ["root", "x", "@y"]}),
        ("trusted-users =", {"trusted-users": []}),
        ("extra-allowed-users = x", {"allowed-users": ["*", "x"]}),
        ("system-features = a\nextra-system-features = b", {"system-features": ["a", "b"]}),
        ("max-jobs = auto", {"max-jobs": os.cpu_count()}),
        ("min-free = 2G\nmax-free = 4G", {"collect-below": 2 << 30, "collect-until": 4 << 30}),
        ("auto-optimise-store = true", {"deduplication": "all"}),
        ("gc-keep-outputs = 1\nkeep-derivations = 0", {"keep-outputs": True, "keep-derivations": False}),
        ("compress-build-log = false", {"log-compression": "none"}),
        ("impure-env = A=b C=d=e", {"impure-env": {"A": "b", "C": "d=e"}}),
        ("substituters = https://x.example/ daemon", {"substituters": ["https://x.example/"]}),
        ("experimental-features = a\nextra-experimental-features = b", {"experimental-features": ["a", "b"]}),
        ("builders-use-substitutes = true", {"builders-use-substitutes": True}),
        ("show-trace = true", {}),
    ],
)
def test_meanings(tmp_path: Path, text: str, found: Mapping[str, Any]) -> None:
    configuration = read(tmp_path, text)
    assert configuration.changes == found
    assert not configuration.unknown
    settings.changed(settings.Settings(), found, "nix.conf")


def test_features_that_are_added_stand_beside_the_machines_own(tmp_path: Path) -> None:
    found = changes(tmp_path, "extra-system-features = gccarch-x")["system-features"]
    assert found == [*features(BuildSettings()), "gccarch-x"]


def test_every_meaning_is_a_setting_and_every_alias_means_something() -> None:
    assert {key for key, _ in nix_conf._MEANINGS.values()} <= set(settings._KEYS)
    known = {*nix_conf._MEANINGS, *nix_conf._WITHOUT_EFFECT}
    assert set(nix_conf._ALIASES.values()) <= known
    assert not known & nix_conf._OF_CLIENTS


def test_what_has_no_effect_is_said_and_what_nobody_knows(tmp_path: Path) -> None:
    text = "build-users-group = nixbld\nbuilders = @/nonexistent\nsystem-features = uid-range kvm\nfoo = 1\n"
    text += "extra-cores = 2\n"
    configuration = read(tmp_path, text)
    assert configuration.changes == {"system-features": ["kvm"], "builders": ""}
    assert configuration.unknown == {"foo", "extra-cores"}
    group, feature = configuration.notes
    assert group.startswith("setting 'build-users-group' has no effect: builders run as numbers")
    assert feature.startswith("'uid-range' in setting 'system-features' has no effect")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("cores", "syntax error in configuration line 'cores' in \"{file}\""),
        ("cores=2", "syntax error in configuration line 'cores=2' in \"{file}\""),
        ("include x", 'file "{directory}/x" included from "{file}" not found'),
        ("sandbox = x", "{file}: setting 'sandbox' has invalid value 'x'"),
        ("cores = x", "{file}: setting 'cores' has invalid value 'x'"),
        ("min-free = 2X", "{file}: setting 'min-free' has invalid value '2X'"),
        ("impure-env = x", "{file}: setting 'impure-env' has invalid value 'x'"),
    ],
)
def test_what_is_wrong(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        read(tmp_path, text)
    assert str(caught.value) == said.format(file=tmp_path / "nix.conf", directory=tmp_path)
