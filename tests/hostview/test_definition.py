"""View definitions: defaults per platform, and what an operator can and can't write."""

from __future__ import annotations

from typing import Any

import pytest

from fruix.errors import UsageError
from fruix.hostview import ViewDefinition, definitions


def test_linux_offers_base() -> None:
    views = definitions({}, "Linux")
    assert set(views) == {"base", "base+cmake", "base+git", "base+perl", "base+python"}
    base = views["base"]
    assert {"sh", "cc", "ld", "as", "ar", "ranlib", "make", "sed", "awk", "[", "install", "xargs"} <= set(
        base.tools
    )
    assert not {"perl", "python3", "pkg-config"} & {*base.tools, *base.optional}
    assert not set(base.tools) & set(base.optional)


def test_no_library_pattern_matches_other_libraries() -> None:
    """Such as libcrypto by libcrypt*, librtmp by librt*."""
    from fnmatch import fnmatch

    patterns = [item.rpartition("/")[2] for item in definitions({}, "Linux")["base"].files]
    foreign = [
        "libcrypto.so",
        "librtmp.so.1",
        "libmagic.so.1",
        "libcairo.so.2",
        "libdlt.so",
        "libutility.so",
        "libgmp.a",
    ]
    assert [name for name in foreign if any(fnmatch(name, pattern) for pattern in patterns)] == []
    needed = ["crt1.o", "Scrt1.o", "libc.so", "libc.so.6", "libm-2.36.a", "libm.so.6", "libstdc++.so"]
    assert [name for name in needed if not any(fnmatch(name, pattern) for pattern in patterns)] == []


def test_freebsd_offers_whole_directories() -> None:
    views = definitions({}, "FreeBSD")
    assert set(views) == {"base", "base+ports", "base+cmake", "base+git", "base+perl", "base+python"}
    assert "/usr/lib" in views["base"].trees
    assert "/usr/local" not in views["base"].trees
    assert "/usr/local" in views["base+ports"].trees
    assert all(view.files == () for view in views.values())


MORE = {"base+cmake": "cmake", "base+git": "git", "base+perl": "perl", "base+python": "python3"}


def test_views_with_more_tools_hold_all_of_base() -> None:
    for system in ("Linux", "FreeBSD"):
        views = definitions({}, system)
        assert len([name for name in views if name not in {"base", "base+ports"}]) == len(MORE)
        for name, tool in MORE.items():
            assert {*views["base"].tools, tool} <= set(views[name].tools)
            assert {*views["base"].trees, *views["base"].parts} <= {*views[name].trees, *views[name].parts}


def test_other_systems_offer_what_is_configured() -> None:
    assert definitions({}, "Plan9") == {}
    assert definitions({"mine": {"tools": ["rc"]}}, "Plan9") == {"mine": ViewDefinition("mine", ("rc",))}


def test_configured() -> None:
    table = {
        "tools": ["sh"],
        "optional-tools": ["bash"],
        "trees": ["/usr/include"],
        "optional-trees": ["/usr/lib/gcc"],
        "files": ["/usr/lib/*/crt*.o"],
        "path": ["/opt/bin"],
    }
    assert definitions({"mine": table}, "Linux")["mine"] == ViewDefinition(
        "mine",
        ("sh",),
        ("bash",),
        ("/usr/include",),
        ("/usr/lib/gcc",),
        files=("/usr/lib/*/crt*.o",),
        path=("/opt/bin",),
    )


def test_a_configured_view_replaces_the_platforms() -> None:
    assert definitions({"base": {"tools": ["sh"]}}, "Linux")["base"].tools == ("sh",)


def test_extending() -> None:
    base = definitions({}, "Linux")["base"]
    views = definitions({"base+perl": {"extends": "base", "tools": ["perl", "sh"]}}, "Linux")
    assert views["base+perl"].tools == (*base.tools, "perl")
    assert views["base+perl"].files == base.files
    assert views["base"] == base


@pytest.mark.parametrize(
    ("name", "table", "where", "what"),
    [
        ("v", {"tolls": []}, "views.v", "unknown key 'tolls'"),
        ("v", {"tools": "sh"}, "views.v.tools", "list of strings"),
        ("v", {"tools": [1]}, "views.v.tools", "list of strings"),
        ("v", {"tools": {"sh": 1}}, "views.v.tools", "list of strings"),
        ("v", {"tools": ["/bin/sh"]}, "views.v.tools", "not a tool's name"),
        ("v", {"tools": [".."]}, "views.v.tools", "not a tool's name"),
        ("v", {"tools": [""]}, "views.v.tools", "not a tool's name"),
        ("v", {"trees": ["usr"]}, "views.v.trees", "not an absolute path"),
        ("v", {"trees": ["/"]}, "views.v.trees", "not an absolute path"),
        ("v", {"trees": ["/usr/../etc"]}, "views.v.trees", "not an absolute path"),
        ("v", {"files": ["/a\0b"]}, "views.v.files", "not an absolute path"),
        ("v", {"path": ["bin"]}, "views.v.path", "not an absolute path"),
        ("v", {"extends": "nothing"}, "views.v.extends", "no view 'nothing' to extend"),
        ("v", {"extends": ["base"]}, "views.v.extends", "to extend"),
        ("a/b", {}, "views.a/b", "can't be a host view's name"),
        ("..", {}, "views...", "can't be a host view's name"),
    ],
)
def test_mistakes(name: str, table: dict[str, Any], where: str, what: str) -> None:
    with pytest.raises(UsageError) as caught:
        definitions({name: table}, "Linux")
    assert caught.value.where == where
    assert what in caught.value.message


def test_misspelt_words_are_guessed() -> None:
    tables: list[tuple[dict[str, Any], str]] = [({"tolls": []}, "tools"), ({"extends": "bse"}, "base")]
    for table, meant in tables:
        with pytest.raises(UsageError) as caught:
            definitions({"v": table}, "Linux")
        assert f"did you mean '{meant}'" in caught.value.hint
