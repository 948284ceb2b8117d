from __future__ import annotations

import subprocess
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fruix.errors import UsageError
from fruix.model import aterm, attributes
from fruix.model.aterm import parse
from fruix.model.contentaddress import Method
from fruix.model.drvhash import DerivationHasher, check_outputs
from fruix.model.hashes import Hash
from fruix.model.hostview import HostView
from fruix.model.makepath import fixed_path, text_path
from fruix.model.storepath import StorePath
from fruix.model.text_object import Text
from fruix.packages.build_systems import BUILD_SYSTEMS
from fruix.packages.load import find
from fruix.packages.lower import Lowering, LoweringContext
from fruix.packages.package import Origin, Package
from fruix.packages.phases import Phases, script

SHA = "0" * 64


class FakeStore:
    """Takes additions; nothing else is asked of a store by lowering."""

    directory = "/frx/store"

    def __init__(self) -> None:
        self.files: dict[StorePath, bytes] = {}

    def add_text_soon(self, text: Text) -> StorePath:
        return self.add_text(text.name, text.contents, text.references)

    def add_text(self, name: str, contents: bytes, references: Sequence[StorePath] = ()) -> StorePath:
        path = text_path(name, Hash.of("sha256", contents), references)
        self.files[path] = contents
        return path

    def add_path(
        self, name: str, source: str, method: Method = Method.NAR, algorithm: str = "sha256"
    ) -> StorePath:
        path = fixed_path(name, method, Hash.of(algorithm, Path(source).read_bytes()))
        self.files[path] = b""
        return path


def lowering(store: FakeStore, view: str = "f" * 64) -> Lowering:
    return Lowering(store, LoweringContext("x86_64-linux", lambda name: HostView(name, view, {})))  # type: ignore[arg-type]


def trivial(name: str, **fields: Any) -> Package:
    return Package(
        name=name, version="1", build_system="trivial", arguments={"script": "echo > $out"}, **fields
    )


def test_golden_derivation() -> None:
    store = FakeStore()
    lowered = lowering(store).lowered(trivial("tiny"))
    builder = next(path for path in store.files if path.name == "trivial-builder.sh")
    assert (
        store.files[builder]
        == b"""set -eu
. "$setUp"
trap '{ say_failure $?; } 2>/dev/null' EXIT

phase_build() {
set -x
echo > $out
}

{ begin_phase build; } 2>/dev/null
phase_build
{ set +x; } 2>/dev/null
"""
    )
    set_up = next(path for path in store.files if path.name == "builder-set-up.sh")
    out = lowered.derivation.output_paths["out"]
    first, second = sorted((builder, set_up))
    assert store.files[lowered.drv].decode() == (
        f'Derive([("out","{out}","","")],[],["{first}","{second}"],"x86_64-linux","/bin/sh",["{builder}"],['
        f'("LC_ALL","C"),("PATH","/usr/bin:/bin"),("SOURCE_DATE_EPOCH","315619200"),("TZ","UTC"),'
        f'("fruixContract","fruix"),("fruixHostView","base"),("fruixHostViewHash","{"f" * 64}"),'
        f'("out","{out}"),("patches",""),("pname","tiny"),'
        f'("setUp","{set_up}"),("source",""),("version","1")])'
    )


def test_what_lowering_makes_a_daemon_accepts() -> None:
    store = FakeStore()
    low = trivial("low", source=Origin(("http://x.example/low.tar.gz",), SHA))
    top = trivial("top", inputs=(low,), native_inputs=(trivial("tool"),), outputs=("out", "doc"))
    work = lowering(store)
    work.lowered(top)
    drvs = {path: parse(data, path.short_name) for path, data in store.files.items() if path.is_derivation}
    assert len(drvs) == 4
    for path, drv in drvs.items():
        assert aterm.render(drv) == store.files[path]
        check_outputs(drv, path, DerivationHasher(drvs.__getitem__))
    env = work.lowered(top).derivation.env
    low_out = work.lowered(low).derivation.output_paths["out"]
    assert env["inputs"] == f"{low_out}\n"
    assert "tool" in env["nativeInputs"]
    assert env["passAsFile"] == "inputs nativeInputs"
    assert env["PATH"] == "/usr/bin:/bin"


def test_the_same_definition_gives_the_same_derivation() -> None:
    first, second = (lowering(FakeStore()).lowered(find("hello")).drv for _ in range(2))
    assert first == second
    with_view = find("hello").inherit(host_view="base")
    views = {lowering(FakeStore(), view=view * 64).lowered(with_view).drv for view in "ef"}
    assert len(views | {first}) == 3


def test_deep_graphs_are_lowered() -> None:
    package = trivial("p0")
    for number in range(1, 2000):
        package = trivial(f"p{number}", inputs=(package,))
    assert lowering(FakeStore()).lowered(package).drv.name == "p1999-1.drv"


def test_a_shared_input_is_lowered_once() -> None:
    store = FakeStore()
    low = trivial("low")
    lowering(store).lowered(trivial("top", inputs=(trivial("a", inputs=(low,)), trivial("b", inputs=(low,)))))
    assert len([path for path in store.files if path.is_derivation]) == 4


def test_sources_and_patches(tmp_path: Path) -> None:
    (tmp_path / "fix.patch").write_text("x")
    origin = Origin(
        ("mirror://gnu/a/a-1.tar.gz", "http://b/c.tgz"), SHA, patches=(str(tmp_path / "fix.patch"),)
    )
    work = lowering(FakeStore())
    lowered = work.lowered(trivial("a", source=origin))
    assert lowered.source is not None
    assert lowered.source.output == fixed_path("a-1.tar.gz", Method.FLAT, Hash.parse(SHA, "sha256"))
    assert origin.file_names == ("a-1.tar.gz", "c.tgz")
    assert lowered.derivation.env["patches"].endswith("-fix.patch")
    assert any(path.name == "fix.patch" for path in lowered.derivation.input_srcs)
    assert work.origins == {origin: lowered.source.output}


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("https://x/a%20b.tar.gz", "a-b.tar.gz"),
        ("https://x/a~rc1.tar.gz", "a-rc1.tar.gz"),
        ("https://x/@scope/a@1.tgz", "a-1.tgz"),
        ("https://x/a&b.zip", "a-b.zip"),
        ("https://x/a[1](2){3}.zip", "a-1-2-3-.zip"),
        ("https://x/a%2Bb.zip", "a+b.zip"),
        ("https://x/a.zip?download=1#top", "a.zip"),
        ("https://x/.hidden", "hidden"),
        ("https://x/größe.txt", "gr-e.txt"),
        ("https://x/" + "a" * 300 + ".tar.gz", "a" * 103 + "a" * 97 + ".tar.gz"),
    ],
)
def test_names_of_sources_are_made_legal(url: str, name: str) -> None:
    origin = Origin((url,), SHA)
    assert origin.store_name == name
    lowered = lowering(FakeStore()).lowered(trivial("a", source=origin))
    assert lowered.source is not None
    assert lowered.source.output.name == name
    assert lowered.source.drv is not None
    assert lowered.source.drv.name == f"{name}.drv"


def test_names_of_patches_are_made_legal(tmp_path: Path) -> None:
    odd = tmp_path / "fix (1) ~ größe.patch"
    odd.write_text("x")
    lowered = lowering(FakeStore()).lowered(
        trivial("a", source=Origin(("http://x/y",), SHA, patches=(str(odd),), fuzz=2))
    )
    assert lowered.derivation.env["patches"].endswith("-fix-1-gr-e.patch")
    assert lowered.derivation.env["patchFuzz"] == "2"
    (tmp_path / "~").write_text("x")
    with pytest.raises(UsageError, match="nothing is left of the name") as caught:
        lowering(FakeStore()).lowered(
            trivial("a", source=Origin(("http://x/y",), SHA, patches=(str(tmp_path / "~"),)))
        )
    assert "give the file another name" in caught.value.hint


def test_declared_attributes() -> None:
    package = trivial("fast", declares={"requiredSystemFeatures": "kvm", "allowedReferences": ""})
    found = attributes.read(lowering(FakeStore()).lowered(package).derivation)
    assert found.required_features == ("kvm",)
    assert found.rules["out"].allowed_references == ()


def test_names_of_attributes_are_those_that_are_read() -> None:
    """A variable that is offered changes what is read."""
    for name in attributes.NAMES:
        value = {"exportReferencesGraph": "a /frx/store/x", "allowSubstitutes": "0"}.get(name, "1")
        drv = replace(lowering(FakeStore()).lowered(trivial("x")).derivation, env={name: value})
        assert attributes.read(drv) != attributes.Attributes(), name


def test_lists_are_as_good_as_tuples() -> None:
    listed = Origin(["http://x/y"], SHA, patches=[__file__])  # type: ignore[arg-type]
    assert listed == Origin(("http://x/y",), SHA, patches=(__file__,))
    assert hash(listed) == hash(Origin(("http://x/y",), SHA, patches=(__file__,)))


@given(
    st.dictionaries(
        st.sampled_from(["version", "synopsis", "license", "home_page"]),
        st.from_regex(r"[a-z0-9]{1,9}", fullmatch=True),
    )
)
def test_inherit_changes_what_it_says(changes: dict[str, str]) -> None:
    base = find("hello")
    made = base.inherit(**changes)
    for field in (
        "name",
        "version",
        "synopsis",
        "license",
        "home_page",
        "source",
        "build_system",
        "description",
    ):
        assert getattr(made, field) == changes.get(field, getattr(base, field))


def test_phases() -> None:
    phases = Phases((("a", "1"), ("b", "2")))
    assert phases.insert_before("b", "x", "3").names == ("a", "x", "b")
    assert phases.insert_after("b", "x", "3").names == ("a", "b", "x")
    assert phases.replace("a", "9").items[0] == ("a", "9")
    assert phases.remove("a").names == ("b",)
    with pytest.raises(UsageError, match="no phase 'c'"):
        phases.remove("c")
    with pytest.raises(UsageError, match="twice"):
        phases.insert_after("a", "b", "")
    with pytest.raises(UsageError, match="script of phase 'b' should be a text, not None"):
        phases.replace("b", None)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="should be the name of a phase"):
        Phases((("a b", ""),))


@pytest.mark.parametrize("shell", ["sh", "bash"])
@pytest.mark.parametrize("system", sorted(BUILD_SYSTEMS))
def test_builder_scripts_are_shell(system: str, shell: str) -> None:
    arguments: dict[str, dict[str, Any]] = {
        "trivial": {"script": "true"},
        "copy": {"install": (("a", "bin/"),)},
        "gnu": {"count_tests": ("it's ok", "FAIL")},
        "cmake": {"check_flags": ("-E", "a b"), "configure_flags": ("-DX=$out",)},
        "meson": {"configure_flags": ("-Dx=`y`",)},
        "python": {"check_command": "python3 -m unittest"},
    }
    package = Package(
        name="x",
        version="1",
        build_system=system,
        arguments=arguments[system],
        source=Origin(("http://x/y.tar",), SHA),
    )
    subprocess.run([shell, "-n"], input=script(package.recipe.phases).encode(), check=True)


def test_phases_of_gnu_can_be_changed() -> None:
    package = find("hello").inherit(
        arguments={
            "tests": False,
            "phases": lambda phases: phases.replace("build", "echo mine").remove("strip"),
        }
    )
    made = package.recipe.phases
    assert "check" not in made.names
    assert "strip" not in made.names
    assert dict(made.items)["build"] == "echo mine"
    assert find("hello").recipe.phases.names == (
        "set-up-linker", "unpack", "patch", "configure", "build", "check", "install", "tidy",
        "patch-shebangs", "strip", "validate-runpath", "record-source",
    )  # fmt: skip
