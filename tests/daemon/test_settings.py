from __future__ import annotations

import re
from pathlib import Path

import pytest

from fruix.building.settings import HelperSettings
from fruix.daemon.settings import _KEYS, Settings, load, parse
from fruix.errors import UsageError

SAMPLE = Path(__file__).parents[2] / "etc" / "fruix.toml"


def test_no_file_means_defaults(tmp_path: Path) -> None:
    settings = parse("")
    assert settings == Settings()
    assert settings.build.uids == tuple(range(35001, 35033))


def test_values_reach_their_parts() -> None:
    settings = parse(
        """
        max-jobs = 3
        timeout = 0
        first-build-uid = 40000
        build-uid-count = 2
        sources = ["/a"]
        trusted-users = ["alice", "@wheel"]
        durability = "strict"
        acl-file = "/etc/list"
        [substitute-helper]
        command = ["/bin/guix", "substitute"]
        files = ["/bin"]
        options = { locale = "C" }
        [mirrors]
        gnu = ["https://example.org/"]
        [views.base]
        optional = ["perl"]
        """
    )
    assert settings.trusted_users == ("alice", "@wheel")
    assert settings.durability == "strict"
    build = settings.build
    assert (build.max_jobs, build.timeout, build.uids) == (3, 0, (40000, 40001))
    assert build.sources == ("/a",)
    assert build.mirrors == {"gnu": ("https://example.org/",)}
    assert build.views == {"base": {"optional": ["perl"]}}
    assert build.substitute_helper == HelperSettings(
        ("/bin/guix", "substitute"), ("/bin",), {"locale": "C"}, "/etc/list"
    )


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("max-job = 3", "unknown setting 'max-job'"),
        ("max-jobs = 0", "setting 'max-jobs': 0 is not a whole number from 1"),
        ("max-jobs = true", "setting 'max-jobs': True is not"),
        ("max-jobs = '3'", "setting 'max-jobs': '3' is not"),
        ("durability = 'never'", "'never' is none of background, strict"),
        ("allowed-users = 'me'", "is not a list of texts"),
        ("sources = ['relative']", "'relative' is not an absolute file name"),
        ("system-features = ['kvm', 'uid-range']", "'uid-range' is nothing that this daemon can do"),
        ("impure-variables = ['A=B']", "'A=B' can't be the name of a variable"),
        ("system-features = ['kvm gpu']", "'kvm gpu' is not a word"),
        ("mirrors = 3", "3 is not a table"),
        ("source-archive = 'archive.example.org'", "'archive.example.org' is no address of a server"),
        ("source-archive = 'https://a/?b'", "'https://a/?b' is no address of a server"),
        ("views.base = 3", "3 is not a table"),
        ("substitute-helper.files = ['/a']", "is no table of 'command'"),
        ("substitute-helper.command = []", "'command' names no file"),
        ("substitute-helper.command = ['guix', 'substitute']", "'guix' is not an absolute file name"),
        ("substitute-helper = { command = ['/a'], file = ['/b'] }", "is no table of 'command'"),
        ('substitute-helper = { command = ["/a"], options = { a = "b\\nc" } }', "is not a text of one line"),
        ("= 3", "no TOML"),
    ],
)
def test_mistakes_are_named(text: str, reason: str) -> None:
    with pytest.raises(UsageError, match=re.escape(reason)) as caught:
        parse(text, "/etc/x.toml")
    assert caught.value.where == "/etc/x.toml"


def test_a_misspelt_setting_is_guessed() -> None:
    with pytest.raises(UsageError) as caught:
        parse("max-job = 3")
    assert caught.value.hint == "did you mean 'max-jobs'?"
    with pytest.raises(UsageError) as caught:
        parse("colour = 3")
    assert caught.value.hint.startswith("there are: acl-file, allowed-users, build-uid-count, ")


def test_files(tmp_path: Path) -> None:
    file = tmp_path / "x.toml"
    with pytest.raises(UsageError, match="no such configuration file"):
        load({"FRUIX_CONF": str(file)})
    file.write_text("cores = 7\nsources = ['/b']")
    settings = load({"FRUIX_SOURCES": "/a:/c"}, str(file))
    assert settings.build.cores == 7
    assert settings.build.sources == ("/a", "/c", "/b")
    file.write_bytes(b"\xff")
    with pytest.raises(UsageError, match="can't read"):
        load({}, str(file))


def test_the_sample_names_every_key_and_is_right() -> None:
    text = SAMPLE.read_text()
    parse(text)
    parse(re.sub(r"^#(?=[\[a-z])(?! )", "", text, flags=re.MULTILINE))
    named = set(re.findall(r"^#\[?([a-z-]+)(?: =|\]|\.)", text, flags=re.MULTILINE))
    assert set(_KEYS) <= named
