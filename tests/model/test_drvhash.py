from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from fruix.errors import BadDerivationError
from fruix.model import drvhash
from fruix.model.aterm import parse, render
from fruix.model.derivation import Derivation
from fruix.model.drvhash import DerivationHasher, check_outputs, fill_outputs, write_filled
from fruix.model.hashes import Hash
from fruix.model.makepath import text_path
from fruix.model.storepath import StorePath
from golden_data import GOLDEN, load

ROWS = load("drvs.json")["derivations"]


def read_row(row: dict[str, Any]) -> tuple[StorePath, bytes, Derivation]:
    path = StorePath.parse(row["drv_path"])
    data = (GOLDEN / row["file"]).read_bytes()
    return path, data, parse(data, path.short_name)


FILES = {path: drv for path, _, drv in map(read_row, ROWS)}


def derivation_path(derivation: Derivation) -> StorePath:
    """The store path of the derivation's own file."""
    contents = Hash.of("sha256", render(derivation))
    return text_path(f"{derivation.name}.drv", contents, derivation.references)


def hasher() -> DerivationHasher:
    return DerivationHasher(FILES.__getitem__)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row['client']}-{row['label']}")
def test_golden_derivations(row: dict[str, Any]) -> None:
    path, data, drv = read_row(row)
    assert render(drv) == data
    assert derivation_path(drv) == path
    assert [str(reference) for reference in drv.references] == sorted(row["references"])
    check_outputs(drv, path, hasher())
    assert {name: str(output.path) for name, output in drv.outputs.items() if output.path} == {
        name: text for name, text in row["outputs"].items() if text
    }


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row['client']}-{row['label']}")
def test_golden_hashes(row: dict[str, Any]) -> None:
    path, _, drv = read_row(row)
    if (masked := row.get("hash_modulo_masked")) and not drv.is_fixed:
        assert hasher().hash_masked(drv).hex() == masked
    if unmasked := row.get("hash_modulo"):
        assert hasher().hash_modulo(path).hex() == unmasked
    if named := unmasked if drv.is_fixed else masked:
        assert hasher().identity(drv) == named


def test_fill_outputs_makes_what_clients_make() -> None:
    for drv in FILES.values():
        if len(drv.output_paths) == len(drv.outputs):
            blank = replace(
                drv,
                outputs={name: replace(output, path=None) for name, output in drv.outputs.items()},
                env={name: value for name, value in drv.env.items() if name not in drv.outputs},
            )
            assert fill_outputs(blank, hasher()) == drv


def simple() -> tuple[StorePath, Derivation]:
    return next((path, drv) for path, drv in FILES.items() if drv.name == "simple")


def test_a_changed_variable_changes_the_output() -> None:
    path, drv = simple()
    with pytest.raises(BadDerivationError, match="incorrect output"):
        check_outputs(replace(drv, env={**drv.env, "extra": "x"}), path, hasher())


def test_the_output_variable_must_be_there_and_right() -> None:
    path, drv = simple()
    # The variables named like outputs are masked when paths are computed, so only this check sees
    # them.
    with pytest.raises(BadDerivationError, match="missing environment variable 'out'"):
        check_outputs(
            replace(drv, env={name: value for name, value in drv.env.items() if name != "out"}),
            path,
            _Same(drv),
        )
    with pytest.raises(BadDerivationError, match="incorrect environment variable 'out'"):
        check_outputs(replace(drv, env={**drv.env, "out": "/frx/store/x"}), path, hasher())


class _Same(DerivationHasher):
    """Answers as for the unchanged derivation: a file without the variable hashes differently."""

    def __init__(self, drv: Derivation) -> None:
        super().__init__(FILES.__getitem__)
        self._drv = drv

    def hashes(self, derivation: Derivation) -> tuple[bytes, bytes]:
        del derivation
        return super().hashes(self._drv)


def test_what_was_checked_is_not_written_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """One writing serves the check of a derivation, and the hash that those that need it are made from."""
    for path, drv in FILES.items():
        if drv.is_fixed or drv.is_unresolved:
            continue
        checked = hasher()
        check_outputs(drv, path, checked)
        with monkeypatch.context() as patching:
            patching.setattr(drvhash, "Printer", None)
            known = checked.hash_modulo(path)
        assert known == hasher().hash_modulo(path)


def test_what_a_client_writes_is_hashed_with_it() -> None:
    for path, drv in FILES.items():
        if drv.is_unresolved:
            continue
        written = write_filled(drv, hasher())
        assert (written.derivation, written.text) == (drv, render(drv))
        assert written.hash_modulo == hasher().hash_modulo(path)


def test_deep_chains_need_no_stack() -> None:
    path, drv = simple()
    chain = {path: drv}
    last = path
    for number in range(5000):
        name = f"n{number}"
        base = replace(drv, name=name, input_drvs={last: ("out",)}, input_srcs=())
        last = derivation_path(base)
        chain[last] = base
    assert len(DerivationHasher(chain.__getitem__).hash_modulo(last)) == 32


def test_cycles_are_refused() -> None:
    path, drv = simple()
    other = next(p for p in FILES if p != path)
    files = {
        path: replace(drv, input_drvs={other: ("out",)}),
        other: replace(drv, input_drvs={path: ("out",)}),
    }
    with pytest.raises(BadDerivationError, match="cycle"):
        DerivationHasher(files.__getitem__).hash_modulo(path)
