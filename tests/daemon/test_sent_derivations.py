"""Derivations that another machine sends (BuildDerivation): whose word is taken on what."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from daemon.asking import some
from daemon.serving import Running, running
from fruix.daemon.peers import Admission
from fruix.errors import NotPermittedError
from fruix.model.buildresult import BuildResult, BuildStatus
from fruix.model.derivation import Derivation, DerivationOutput
from fruix.model.drvhash import DerivationHasher, fill_outputs
from fruix.model.storepath import StorePath


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Running]:
    with running(tmp_path) as found:
        yield found


@pytest.fixture
def distrusting(daemon: Running, monkeypatch: pytest.MonkeyPatch) -> Running:
    """The daemon, which trusts nobody."""
    monkeypatch.setattr(Admission, "admit", lambda *_: False)
    return daemon


def derivation(daemon: Running, **output: str) -> tuple[StorePath, Derivation]:
    """One of this store's, and the name under which it is sent."""
    bare = Derivation(
        "thing", {"out": DerivationOutput(None, **output)}, {}, (), "x86_64-linux", "/bin/sh", (), {}
    )
    hasher = DerivationHasher(daemon.store.read_derivation)
    return some(daemon, "thing.drv"), fill_outputs(bare, hasher, daemon.store.directory)


def test_a_trusted_client_s_is_built_under_its_name(daemon: Running) -> None:
    """It is no path of this store, neither before nor afterwards."""
    drv, sent = derivation(daemon)
    daemon.builder.results = {drv: BuildResult(BuildStatus.BUILT, times_built=1)}
    result = daemon.connect().build_derivation(drv, sent)
    assert result.status is BuildStatus.BUILT
    assert result.outputs == sent.output_paths
    assert result.drv_hash == DerivationHasher(daemon.store.read_derivation).identity(sent)
    assert dict(daemon.builder.given) == {drv: sent}
    assert daemon.store.all_valid_paths() == []


def test_a_failure_has_no_outputs(daemon: Running) -> None:
    drv, sent = derivation(daemon)
    daemon.builder.results = {drv: BuildResult(BuildStatus.PERMANENT_FAILURE, "it broke")}
    result = daemon.connect().build_derivation(drv, sent)
    assert (result.status, result.message, result.outputs) == (BuildStatus.PERMANENT_FAILURE, "it broke", {})


def test_nobody_else_chooses_the_outputs_of_other_derivations(distrusting: Running) -> None:
    drv, sent = derivation(distrusting)
    with pytest.raises(NotPermittedError, match="not privileged to build input-addressed derivations"):
        distrusting.connect().build_derivation(drv, sent)
    assert not distrusting.builder.seen


def test_declared_contents_are_built_under_the_name_that_is_theirs(distrusting: Running) -> None:
    """Whoever waits for what really has the name that was sent gets nothing of it."""
    drv, sent = derivation(distrusting, method_algorithm="sha256", hash=hashlib.sha256(b"x").hexdigest())
    result = distrusting.connect().build_derivation(drv, sent)
    assert result.outputs == sent.output_paths
    assert not distrusting.builder.given
    (own,) = distrusting.store.all_valid_paths()
    assert own != drv
    assert distrusting.store.read_derivation(own) == sent


def test_declared_contents_have_no_other_path(distrusting: Running) -> None:
    drv, sent = derivation(distrusting, method_algorithm="sha256", hash=hashlib.sha256(b"x").hexdigest())
    wrong = {"out": replace(sent.outputs["out"], path=some(distrusting))}
    with pytest.raises(Exception, match="has incorrect output"):
        distrusting.connect().build_derivation(drv, replace(sent, outputs=wrong))
    assert not distrusting.builder.seen
