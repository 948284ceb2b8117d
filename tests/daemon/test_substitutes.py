"""What clients of all dialects may ask and say of binary caches; the builder only pretends."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from daemon.asking import client, some
from daemon.serving import Running, running
from fruix.building.settings import BuildSettings
from fruix.daemon.client_substitutes import refused, substitute_wishes
from fruix.daemon.keyring import Keyring
from fruix.daemon.settings import Settings, parse
from fruix.errors import UsageError
from fruix.model.buildresult import BuildResult, BuildStatus
from fruix.model.hashes import Hash
from fruix.model.narinfo import Archive
from fruix.model.pathinfo import PathInfo
from fruix.model.storepath import StorePath
from fruix.protocol.messages import Failure
from fruix.protocol.options import ClientOptions
from fruix.protocol.wire import Dialect
from fruix.signing.path_signatures import PathTrust
from fruix.substitutes.address import CacheAddress
from fruix.substitutes.substituter import Offer

HAS, INFO, INFOS, VALID, PATHS, URLS, ENSURE, OPTIONS = 3, 21, 30, 31, 32, 81, 10, 19
URL = "https://cache.example"


def offered(daemon: Running, name: str = "thing") -> Offer:
    path = some(daemon, name)
    info = PathInfo(path, Hash.of("sha256", b""), 120, (path,), some(daemon, "thing.drv"))
    offer = Offer(info, ((CacheAddress(URL), Archive("nar/x", "none", 80)),))
    daemon.builder.offers[path] = offer
    return offer


@pytest.mark.parametrize(("dialect", "minor"), [(Dialect.GUIX, 0x64), (Dialect.NIX, 21), (Dialect.NIX, 34)])
def test_questions(tmp_path: Path, dialect: Dialect, minor: int) -> None:
    with running(tmp_path) as daemon:
        path, absent = offered(daemon).path, StorePath.of(daemon.store.directory, f"{'c' * 32}-absent")
        asking = client(daemon, dialect, minor)
        asking.greet()
        assert [asking.call(HAS, one)[1] for one in (path, absent)] == [True, False]
        found = asking.call(INFO, path)[1]
        assert (found.deriver, found.references, found.download_size, found.nar_size) == (
            some(daemon, "thing.drv"),
            (path,),
            80,
            120,
        )
        assert asking.call(INFO, absent)[1] is None
        several = {path: None, absent: None} if minor == 34 else (path, absent)
        assert [one.path for one in asking.call(INFOS, several)[1]] == [path]
        assert list(asking.call(PATHS, (path, absent))[1]) == [path]


def test_caches_that_are_no_help_are_told_of(tmp_path: Path) -> None:
    with running(tmp_path) as daemon:
        daemon.builder.notes = ("warning: binary cache 'x' is of no use now: it sleeps",)
        asking = client(daemon)
        asking.greet()
        said, _ = asking.call(HAS, some(daemon))
        assert getattr(said[0], "text", "").rstrip() == daemon.builder.notes[0]


def test_urls(tmp_path: Path) -> None:
    """The operator's, until the client names others."""
    settings = Settings(building={"substituters": (URL,)})
    with running(tmp_path, settings) as daemon:
        guix = client(daemon, Dialect.GUIX, 0x64)
        guix.greet()
        assert list(guix.call(URLS)[1]) == [URL]
        guix.call(OPTIONS, ClientOptions(overrides={"substitute-urls": "http://a http://b"}))
        assert list(guix.call(URLS)[1]) == ["http://a", "http://b"]


def test_making_sure_of_a_path(tmp_path: Path) -> None:
    with running(tmp_path) as daemon:
        nix, guix = client(daemon), client(daemon, Dialect.GUIX, 0x64)
        nix.greet(), guix.greet()
        path = some(daemon)
        daemon.builder.results[path] = BuildResult(BuildStatus.NO_SUBSTITUTERS, "nobody has it")
        (said,) = guix.call(ENSURE, path)[0]
        assert isinstance(said, Failure)
        assert said.message == f"path `{path}' does not exist and cannot be created"
        daemon.builder.results[path] = BuildResult(BuildStatus.TRANSIENT_FAILURE, "it is damaged")
        said = nix.call(ENSURE, path)[0][-1]
        assert isinstance(said, Failure)
        assert "it is damaged" in said.message
        daemon.builder.results[path] = BuildResult(BuildStatus.SUBSTITUTED)
        assert not isinstance(nix.call(ENSURE, path)[0][-1], Failure)


def test_valid_paths_are_fetched_first_if_that_is_wished(tmp_path: Path) -> None:
    with running(tmp_path) as daemon:
        nix = client(daemon)
        nix.greet()
        assert not nix.call(VALID, (some(daemon),), False)[1]
        assert not daemon.builder.seen
        assert not nix.call(VALID, (some(daemon),), True)[1]
        (options,) = daemon.builder.seen
        assert options.keep_going


# Who may say what

CONFIGURED = BuildSettings(substituters=(URL,), trusted_substituters=("https://also.example/",))
KEYRING = Keyring(PathTrust(required=False), "/none", "/none")


def wishes(dialect: Dialect, *, trusted: bool, **said: str) -> tuple[object, ...]:
    names = {name.replace("_", "-"): value for name, value in said.items()}
    own = PathTrust() if trusted else None
    found = substitute_wishes(ClientOptions(overrides=names), dialect, CONFIGURED, KEYRING, own)
    return found.caches, found.more


def test_trusted_users_name_any_cache() -> None:
    assert wishes(Dialect.NIX, trusted=True, substituters="file:///a http://b", extra_substituters=URL) == (
        ("file:///a", "http://b"),
        (URL,),
    )
    assert wishes(Dialect.GUIX, trusted=True, substitute_urls="") == ((), ())
    assert wishes(Dialect.GUIX, trusted=True) == (None, ())


def test_others_name_those_that_are_listed_or_in_guix_s_world_servers() -> None:
    said = f"{URL}/ https://also.example http://b file:///a"
    assert wishes(Dialect.NIX, trusted=False, substituters=said) == (
        (f"{URL}/", "https://also.example"),
        (),
    )
    assert wishes(Dialect.NIX, trusted=False, extra_substituters="http://b") == (None, ())
    assert wishes(Dialect.GUIX, trusted=False, substitute_urls=said)[0] == tuple(said.split()[:3])
    options = ClientOptions(overrides={"substituters": said})
    assert [text.split("'")[1] for text in refused(options, Dialect.NIX, CONFIGURED)] == [
        "http://b",
        "file:///a",
    ]


def test_what_a_user_s_own_server_says_needs_a_signature() -> None:
    """Also where the operator's caches need none."""
    own = ClientOptions(overrides={"substitute-urls": "http://b"})
    for options, required in ((own, True), (ClientOptions(), False)):
        found = substitute_wishes(options, Dialect.GUIX, CONFIGURED, KEYRING, None)
        assert getattr(found.trust, "paths", PathTrust()).required is required


def test_whether_at_all() -> None:
    def said(**values: bool) -> tuple[object, ...]:
        options = replace(ClientOptions(), **values)  # type: ignore[arg-type]
        found = substitute_wishes(options, Dialect.GUIX, CONFIGURED, KEYRING, None)
        return found.allowed, found.fallback

    assert said() == (True, None)
    assert said(use_substitutes=False) == (False, None)
    assert said(fallback=True) == (True, True)


def test_settings() -> None:
    text = f'substituters = ["{URL}"]\ntrusted-substituters = ["file:///srv"]\nsubstitute = false\n'
    build = parse(text + "fallback = true\nmax-substitution-jobs = 3\n").build
    assert (build.substituters, build.trusted_substituters) == ((URL,), ("file:///srv",))
    assert (build.substitute, build.fallback, build.max_substitution_jobs) == (False, True, 3)
    with pytest.raises(UsageError, match="no address of a binary cache"):
        parse('substituters = ["ftp://x"]')
