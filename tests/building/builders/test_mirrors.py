from __future__ import annotations

from pathlib import Path

import pytest

from fruix.building.builders.mirrors import MIRRORS, Candidate, check_usable, debian_mirrors, expand
from fruix.errors import UsageError


@pytest.fixture
def apt(tmp_path: Path) -> str:
    parts = tmp_path / "sources.list.d"
    parts.mkdir()
    (tmp_path / "sources.list").write_text(
        "# deb http://commented.example/debian bookworm main\n"
        "deb [arch=amd64 signed-by=/x] https://one.example/debian/ bookworm main contrib\n"
        "deb cdrom:[x]/ bookworm main\n"
    )
    (parts / "third.list").write_text("deb https://third.example/apt stable main\n")
    (parts / "debian.sources").write_text(
        "Types: deb\nURIs: http://two.example/debian\n  http://three.example/debian\n"
        "Suites: bookworm\nComponents: main\n"
        "\n# a comment\nTypes: deb\nURIs: http://two.example/debian-security\nSuites: x\nComponents: main\n"
        "\nEnabled: no\nURIs: http://off.example/debian\nComponents: main\n"
    )
    return str(tmp_path)


def test_apt_configuration_is_read(apt: str) -> None:
    assert debian_mirrors(apt) == (
        "https://one.example/debian/",
        "http://two.example/debian",
        "http://three.example/debian",
        "https://third.example/apt",
        "http://two.example/debian-security",
    )


def test_no_apt_no_mirrors(tmp_path: Path) -> None:
    assert debian_mirrors(str(tmp_path)) == ()


def test_mirrors_are_put_in_in_order(apt: str) -> None:
    urls = expand(
        ["http://a.example/x", "mirror://debian/pool/h.tar.gz", "http://a.example/x"], {}, apt_root=apt
    )
    assert [found.url for found in urls[:2]] == [
        "http://a.example/x",
        "https://one.example/debian/pool/h.tar.gz",
    ]
    assert len(urls) == len(set(urls)) == 6


def test_known_lists_and_configured_ones() -> None:
    assert expand(["mirror://gnu/hello/hello.tar.gz"], {}) == [
        Candidate(base + "hello/hello.tar.gz") for base in MIRRORS["gnu"]
    ]
    assert expand(["mirror://gnu/h"], {"gnu": ("http://near.example/g",)}) == [
        Candidate("http://near.example/g/h")
    ]
    near = {
        "https://far.example/": ("http://near.example/far/", "http://other.example/"),
        "far": ("http://no/",),
    }
    assert expand(["https://far.example/a/b"], near) == [
        Candidate("https://far.example/a/b"),
        Candidate("http://near.example/far/a/b"),
        Candidate("http://other.example/a/b"),
    ]


@pytest.mark.parametrize(
    "url", ["file:///etc/shadow", "ftp://x/y", "data:,x", "gopher://x", "/etc/shadow", "mirror://nowhere/x"]
)
def test_other_urls_are_refused(url: str) -> None:
    with pytest.raises(UsageError, match=r"scheme|unknown mirror"):
        check_usable(expand([url], {}), {})


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("http://[::1", "malformed"),
        ("http://\u2100.example/", "malformed"),  # its NFKC form has a slash
        ("ftp://x/y", "scheme 'ftp'"),
        ("mirror://nowhere/x", "unknown mirror list 'nowhere'"),
        ("mirror://[/x", "malformed"),
    ],
)
def test_a_url_that_can_not_be_fetched_leaves_the_others(url: str, why: str) -> None:
    refused, good = expand([url, "http://a.example/x"], {})
    assert why in refused.refusal
    assert good == Candidate("http://a.example/x")
    with pytest.raises(UsageError, match=why):
        check_usable(expand([url], {}), {})


def test_malformed_lines_of_apt_are_passed_over(tmp_path: Path) -> None:
    (tmp_path / "sources.list").write_text("deb http://[::1 x main\ndeb http://good.example/debian x main\n")
    assert debian_mirrors(str(tmp_path)) == ("http://good.example/debian",)
