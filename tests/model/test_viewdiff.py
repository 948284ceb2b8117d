"""What changed between two host views, in words and as a list."""

from __future__ import annotations

from collections.abc import Mapping

from fruix.model.hostview import HostPackage, HostView
from fruix.model.viewdiff import changes, in_words, sentence

ONE, TWO, OTHER = "1" * 64, "2" * 64, "3" * 64
COMPILER = ("cpp-12", "g++-12", "gcc-12", "gcc-12-base", "libstdc++6")


def view(tools: Mapping[str, str], packages: Mapping[str, tuple[str, str]] | None = None) -> HostView:
    """Packages: name → version and the path that it has."""
    known = {name: HostPackage(version, (path,)) for name, (version, path) in (packages or {}).items()}
    return HostView("base", "0" * 64, tools, packages=known)


def words(old: HostView, new: HostView) -> str:
    return in_words(old, new)[0]


def test_a_package_is_named_with_its_versions() -> None:
    old = view({"/usr/bin/gcc-12": ONE}, {"gcc-12": ("12.2.0-14", "/usr/bin/gcc-12")})
    new = view({"/usr/bin/gcc-12": TWO}, {"gcc-12": ("12.2.0-15", "/usr/bin/gcc-12")})
    assert in_words(old, new) == (
        "the host's gcc-12 changed 12.2.0-14 → 12.2.0-15",
        ["~gcc-12 12.2.0-14 → 12.2.0-15", "~/usr/bin/gcc-12"],
    )


def test_packages_that_changed_alike_are_told_together_and_programs_first() -> None:
    tools = {f"/usr/lib/{name}": ONE for name in COMPILER} | {"/usr/lib/a.so": ONE, "/usr/bin/make": ONE}
    packages = {name: ("12-1", f"/usr/lib/{name}") for name in COMPILER}
    extra = {"a-lib": ("1", "/usr/lib/a.so"), "make": ("4.3", "/usr/bin/make")}
    newer = {name: ("12-2", path) for name, (_, path) in packages.items()}
    extra_newer = {"a-lib": ("2", "/usr/lib/a.so"), "make": ("4.4", "/usr/bin/make")}
    old, new = view(tools, packages | extra), view(dict.fromkeys(tools, TWO), newer | extra_newer)
    assert words(old, new) == (
        "the host's make changed 4.3 → 4.4; a-lib changed 1 → 2; "
        "cpp-12, g++-12, gcc-12 and 2 more changed 12-1 → 12-2"
    )


def test_new_packages_and_those_that_are_gone() -> None:
    old = view({"/usr/bin/gcc-12": ONE, "/usr/bin/cc": "gcc-12"}, {"gcc-12": ("12.2", "/usr/bin/gcc-12")})
    new = view({"/usr/bin/gcc-13": ONE, "/usr/bin/cc": "gcc-13"}, {"gcc-13": ("13.1", "/usr/bin/gcc-13")})
    assert in_words(old, new) == (
        "the host's gcc-12 12.2 is gone; gcc-13 13.1 is new; cc changed gcc-12 → gcc-13",
        ["-gcc-12 12.2", "+gcc-13 13.1", "~/usr/bin/cc", "-/usr/bin/gcc-12", "+/usr/bin/gcc-13"],
    )


def test_a_version_that_changed_nothing_explains_nothing() -> None:
    """Somebody put another file in place.

    The package's own update touched nothing that is shown.
    """
    old = view({"/usr/bin/ld": ONE, "/usr/bin/awk": ONE}, {"mawk": ("1", "/usr/bin/awk")})
    new = view({"/usr/bin/ld": TWO, "/usr/bin/awk": ONE}, {"mawk": ("2", "/usr/bin/awk")})
    assert in_words(old, new) == ("the host's ld changed 111111111111 → 222222222222", ["~/usr/bin/ld"])


def test_a_file_that_changed_without_its_package() -> None:
    old = view({"/usr/bin/ld": ONE}, {"binutils": ("2.40-2", "/usr/bin/ld")})
    new = view({"/usr/bin/ld": TWO}, {"binutils": ("2.40-2", "/usr/bin/ld")})
    assert words(old, new) == "the host's ld changed 111111111111 → 222222222222"


def test_without_packages_files_are_named() -> None:
    old = view({"/opt/lib/x": ONE, "/usr/bin/ld": ONE, "/usr/bin/old": ONE})
    new = view({"/opt/lib/x": TWO, "/usr/bin/ld": OTHER, "/usr/bin/new": ONE})
    assert words(old, new) == (
        "the host's ld changed 111111111111 → 333333333333; new is new; old is gone; "
        "x changed 111111111111 → 222222222222"
    )


def test_a_view_that_was_kept_without_packages() -> None:
    """It is not known what it had, so none is new."""
    old = view({"/usr/bin/ld": ONE})
    new = view({"/usr/bin/ld": TWO}, {"binutils": ("2.40-2", "/usr/bin/ld")})
    assert words(old, new) == "the host's ld changed 111111111111 → 222222222222"


def test_much_is_told_in_short() -> None:
    names = [f"tool{number}" for number in range(9)]
    old = view({f"/usr/bin/{name}": ONE for name in names})
    new = view({f"/usr/bin/{name}": f"{number}" * 64 for number, name in enumerate(names)})
    told = words(old, new)
    assert told.count(";") == 4
    assert told.endswith("; 4 more changed")
    assert len(in_words(old, new)[1]) == len(changes(old, new)) == 8


def test_nothing_but_modes() -> None:
    """A fingerprint has them too."""
    assert sentence(changes(view({"/usr/bin/x": ONE}), view({"/usr/bin/x": ONE}))) == (
        "the modes of the host's files changed"
    )
