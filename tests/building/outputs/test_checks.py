"""Rules for outputs on a store that is only told of: chains, limits, who counts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pytest

from fruix.building.failures import FailedError
from fruix.building.outputs.checks import MOST_SHOWN, Outputs, check_outputs
from fruix.model.attributes import Attributes, OutputRules
from fruix.model.derivation import Derivation, DerivationOutput
from fruix.model.hashes import Hash
from fruix.model.pathinfo import PathInfo
from fruix.model.reasons import text_of
from fruix.model.storepath import StorePath

HASH = Hash.of("sha256", b"")


def path(name: str) -> StorePath:
    return StorePath(f"/frx/store/{name[0] * 32}-{name}")


def info(name: str, *references: str, size: int = 100) -> PathInfo:
    return PathInfo(path(name), HASH, size, tuple(sorted(map(path, references))))


@dataclass
class Told:
    """Knows infos."""

    infos: Mapping[StorePath, PathInfo] = field(default_factory=dict)
    directory: str = "/frx/store"
    asked: list[StorePath] = field(default_factory=list)

    def path_info(self, of: StorePath) -> PathInfo | None:
        self.asked.append(of)
        return self.infos.get(of)


def store(*infos: PathInfo) -> Told:
    return Told({one.path: one for one in infos})


def check(
    known: Told, rules: OutputRules, *new: PathInfo, guix: bool = False, places: Sequence[str] = ()
) -> None:
    outputs = {one.path.name: one for one in new}
    drv = Derivation(
        "x", {name: DerivationOutput(one.path) for name, one in outputs.items()}, {}, (), "", "", (), {}
    )
    found = Outputs(
        path("x.drv"), drv, outputs, known, lambda _, others: dict.fromkeys(others, tuple(places)), guix
    )
    check_outputs(found, Attributes(rules={"out": rules}))


def test_nothing_is_asked_without_rules() -> None:
    known = store()
    check(known, OutputRules(), info("out", "1", "2"))
    assert known.asked == []


def test_the_shortest_chain_is_told() -> None:
    known = store(info("1", "2"), info("2", "3"), info("3", "4"), info("4"), info("5", "4"))
    rules = OutputRules(disallowed_requisites=(str(path("4")),))
    with pytest.raises(FailedError) as caught:
        check(known, rules, info("out", "1"), places=["bin/x", "y"])
    assert str(caught.value).splitlines()[1:] == [
        f"  {path('4')}",
        "    mentioned in bin/x, y",
        f"    by way of {path('1')}, {path('2')}, {path('3')}",
    ]
    with pytest.raises(FailedError) as caught:
        check(known, rules, info("out", "1", "5"))
    assert str(caught.value).splitlines()[2] == f"    by way of {path('5')}"


def test_by_way_of_another_new_output() -> None:
    rules = OutputRules(disallowed_requisites=(str(path("4")),))
    with pytest.raises(FailedError, match=f"by way of {path('dev')}"):
        check(store(info("4")), rules, info("out", "dev"), info("dev", "4"))


def test_guix_names_the_first() -> None:
    with pytest.raises(FailedError) as caught:
        check(
            store(info("1"), info("2")), OutputRules(allowed_references=()), info("out", "2", "1"), guix=True
        )
    assert text_of(caught.value.why, path("x.drv"), guix=True) == (
        f"output (`{path('out')}') is not allowed to refer to path `{path('1')}'"
    )


def test_a_long_list_is_cut() -> None:
    names = list("0123456789abc")
    with pytest.raises(FailedError, match="and 3 more") as caught:
        check(store(*map(info, names)), OutputRules(allowed_references=()), info("out", *names))
    assert str(caught.value).count("/frx/store/") == MOST_SHOWN + 1


@pytest.mark.parametrize(
    ("allowed", "refers", "ignored", "good"),
    [
        ((), (), True, True),
        ((), ("out",), True, True),
        ((), (), False, False),  # in `outputChecks` the output is one of its requisites
        (("out",), ("out",), False, True),
    ],
)
def test_the_output_itself_among_its_requisites(
    allowed: tuple[str, ...], refers: tuple[str, ...], ignored: bool, good: bool
) -> None:
    rules = OutputRules(allowed_requisites=allowed, ignore_self=ignored)
    if good:
        check(store(), rules, info("out", *refers))
        return
    with pytest.raises(FailedError, match="not allowed to refer"):
        check(store(), rules, info("out", *refers))


def test_a_self_reference_is_a_reference() -> None:
    for ignored in (True, False):
        rules = OutputRules(allowed_references=(), ignore_self=ignored)
        with pytest.raises(FailedError, match="not allowed to refer"):
            check(store(), rules, info("out", "out"))


def test_sizes_at_the_limit() -> None:
    known = store(info("1", "2", size=50), info("2", size=25))
    check(known, OutputRules(max_size=100, max_closure_size=175), info("out", "1", "2"))
    for rules, why in (
        (OutputRules(max_size=99), "too large at 100 bytes; limit is 99"),
        (OutputRules(max_closure_size=174), "too large at 175 bytes; limit is 174"),
    ):
        with pytest.raises(FailedError, match=why):
            check(known, rules, info("out", "1", "2"))


def test_circles_of_any_length() -> None:
    three = info("a", "b"), info("b", "c"), info("c", "a", "c")
    with pytest.raises(FailedError, match="in the references of output 'a' from output 'c'"):
        check(store(), OutputRules(), *three)
    check(store(), OutputRules(), info("a", "b"), info("b", "b"))
