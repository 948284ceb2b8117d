"""What guix-daemon does where a request can't be done: its words, and whether its session goes on.

All that is compared here was seen of guix-daemon 1.5.0; `tests/clients/guix` compares the two directly.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from daemon.asking import Client, client, some
from daemon.serving import Running, running
from fruix.model.derivedpath import DerivedPath
from fruix.model.storepath import StorePath
from fruix.protocol.messages import Failure, Last, Message, Next
from fruix.protocol.options import ClientOptions
from fruix.protocol.wire import Dialect

(IS_VALID, HAS_SUBSTITUTES, HASH, REFERENCES, REFERRERS, ADD_TEXT, ENSURE, DERIVER, OPTIONS) = (
    1, 3, 4, 5, 6, 8, 10, 18, 19
)  # fmt: skip
(OUTPUTS, INFO, IMPORT, HASH_PART, SUBSTITUTABLES, VALID, DERIVERS, OPTIMISE, VERIFY) = (
    22, 26, 27, 29, 30, 31, 33, 34, 35
)  # fmt: skip
EXPORT, GARBAGE = 16, 20
NO_LIMIT = (1 << 64) - 1
MALFORMED = ["not-a-store-path", "x", f"{'e' * 32}-name", f"{'a' * 32}-bad name"]


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Running]:
    with running(tmp_path) as found:
        yield found


@pytest.fixture
def guix(daemon: Running) -> Client:
    user = client(daemon, Dialect.GUIX, 0x64)
    user.greet()
    return user


def failure(said: list[Message]) -> str:
    assert isinstance(said[-1], Failure)
    return said[-1].message


def texts(said: list[Message]) -> str:
    return "".join(message.text for message in said if isinstance(message, Next))


@pytest.mark.parametrize("base", MALFORMED)
def test_a_malformed_path_in_a_question_is_not_valid(daemon: Running, guix: Client, base: str) -> None:
    path = StorePath(f"{daemon.store.directory}/{base}")
    for number in (IS_VALID, HAS_SUBSTITUTES):
        assert guix.call(number, path) == ([Last()], False)
    for number in (REFERRERS, DERIVERS):
        assert guix.call(number, path) == ([Last()], ())
    for number in (SUBSTITUTABLES, VALID):
        assert guix.call(number, (path,)) == ([Last()], ())
    for number in (HASH, REFERENCES, DERIVER, OUTPUTS, INFO):
        assert failure(guix.call(number, path)[0]) == f"path `{path}' is not valid"
    # What something is done with has to be well-formed, and to Nix's clients it is an error anywhere.
    assert "is not a valid store path" in failure(guix.call(ENSURE, path)[0])
    nix = client(daemon)
    nix.greet()
    assert "is not a valid store path" in failure(nix.call(IS_VALID, path)[0])


@pytest.mark.parametrize("where", ["/tmp/elsewhere", "", "{store}"])
@pytest.mark.parametrize("number", [HASH, REFERENCES, ENSURE, OUTPUTS, INFO])
def test_a_path_outside_of_the_store_ends_the_session(
    daemon: Running, guix: Client, where: str, number: int
) -> None:
    path = StorePath(where.format(store=daemon.store.directory))
    guix.call(ADD_TEXT, "a", b"b", ())  # something for which the client was watched
    expected = f"path `{path}' is not in the store"
    assert failure(guix.call(IS_VALID, path)[0]) == expected
    assert guix.call(IS_VALID, some(daemon)) == ([Last()], False)
    assert failure(guix.call(number, path)[0]) == expected
    assert guix.source.at_end()


def test_a_repair_by_somebody_who_is_not_trusted_ends_the_session(
    daemon: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fruix.daemon.peers.Admission.admit", lambda _self, _peer: False)
    user = client(daemon, Dialect.GUIX, 0x64)
    user.greet()
    assert "not privileged" in failure(user.call(VERIFY, False, True)[0])
    assert user.call(IS_VALID, some(daemon)) == ([Last()], False)
    from fruix.model.buildresult import BuildMode

    said, _ = user.call(9, (DerivedPath(some(daemon, "a.drv"), None),), BuildMode.REPAIR)
    assert failure(said) == "repairing is a privileged operation"
    assert user.source.at_end()


DRV = 'Derive([("out","{out}","{algorithm}","{hash}")],[],[],"x86_64-linux","/b",[],[("out","{out}")])'


@pytest.mark.parametrize(
    ("name", "contents", "expected"),
    [
        ("foo/bar", "x", "invalid character `/' in name `foo/bar'"),
        ("bad name", "x", "invalid character ` ' in name `bad name'"),
        (".dot", "x", "invalid name: `.dot' (can't begin with dot)"),
        ("a.drv", ("sha512", "010203"), "invalid SHA512 hash '010203' (3 bytes but expected 64)"),
        ("a.drv", ("sha256", "01"), "invalid SHA256 hash '01' (1 bytes but expected 32)"),
    ],
)
def test_refused_texts(
    daemon: Running, guix: Client, name: str, contents: str | tuple[str, str], expected: str
) -> None:
    if not isinstance(contents, str):
        contents = DRV.format(out=some(daemon), algorithm=contents[0], hash=contents[1])
    assert failure(guix.call(ADD_TEXT, name, contents.encode(), ())[0]) == expected
    assert guix.call(IS_VALID, some(daemon)) == ([Last()], False)


def test_no_hash_part(guix: Client) -> None:
    assert failure(guix.call(HASH_PART, "short")[0]) == "invalid hash part"


def test_a_derivation_without_outputs_is_added(guix: Client) -> None:
    said, path = guix.call(ADD_TEXT, "none.drv", b'Derive([],[],[],"x86_64-linux","/b",[],[])', ())
    assert said == [Last()]
    assert guix.call(OUTPUTS, path) == ([Last()], ())


MAINTENANCE = {
    0: (
        "reading the store...\n",
        "   0  bytes freed by hard-linking 0 files\n",
        "",
        "finding garbage collector roots...\ndeleting garbage...\ndeleting unused links...\n",
    ),
    1: (
        "reading the store...\nchecking path existence...\nchecking hashes...\n",
        "   0  bytes freed by hard-linking 0 files\n",
        "exporting path `{path}'\n",
        (
            "finding garbage collector roots...\ndeleting garbage...\ndeleting unused links...\n"
            "note: currently hard linking saves    0  bytes\n"
        ),
    ),
}


@pytest.mark.parametrize("verbosity", [None, 0, 1])
def test_what_upkeep_tells(daemon: Running, guix: Client, verbosity: int | None) -> None:
    """At the verbosity that a client sets; one that sets none is told as with 1."""
    if verbosity is not None:
        guix.call(OPTIONS, ClientOptions(verbosity=verbosity))
    _, path = guix.call(ADD_TEXT, "a", b"b", ())
    said = [
        guix.call(VERIFY, True, False)[0],
        guix.call(OPTIMISE)[0],
        guix.call(EXPORT, path, False)[0],
        guix.call(GARBAGE, 2, (), False, NO_LIMIT)[0],
    ]
    expected = MAINTENANCE[1 if verbosity is None else verbosity]
    assert [texts(each) for each in said] == [text.format(path=path) for text in expected]


def test_a_collection_with_a_limit_tells_how_far_it_is(daemon: Running, guix: Client) -> None:
    with daemon.store.temp_roots.session():
        paths = [daemon.store.add_text(f"t{number}", b"x" * 1000) for number in range(2)]
    said, garbage = guix.call(GARBAGE, 2, (), False, 1)
    assert set(garbage.paths) <= {str(path) for path in paths}
    assert garbage.paths
    assert "[0%] deleting '" in texts(said)
    assert "deleted or invalidated more than 1 bytes; stopping\n" in texts(said)
    said, garbage = guix.call(GARBAGE, 2, (), False, 0)
    assert garbage.paths == ()
    assert "deleting garbage" not in texts(said)


def test_a_client_that_sets_nothing_sees_no_traces(daemon: Running, guix: Client) -> None:
    from daemon.serving import build_events
    from fruix.model.buildresult import BuildMode

    drv = some(daemon, "thing.drv")
    daemon.builder.events = build_events(drv)
    said, _ = guix.call(9, (DerivedPath(drv, None),), BuildMode.NORMAL)
    assert texts(said).startswith("building path(s) ")
    assert "@ build-" not in texts(said)


def test_a_valid_path_that_is_no_derivation_has_no_outputs(daemon: Running, guix: Client) -> None:
    assert guix.call(OUTPUTS, daemon.store.add_text("text", b"hello")) == ([Last()], ())
