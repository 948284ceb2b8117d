"""What clients of both dialects are told of builds, and which of their settings builds get."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from daemon.asking import client, some
from daemon.serving import Running, build_events, running
from fruix.daemon.client_options import too_much
from fruix.daemon.settings import Settings
from fruix.model.aterm import render
from fruix.model.build_options import BuildOptions
from fruix.model.buildresult import BuildMode, BuildResult, BuildStatus
from fruix.model.derivation import Derivation, DerivationOutput
from fruix.model.derivedpath import ALL, DerivedPath
from fruix.model.drvhash import DerivationHasher, fill_outputs
from fruix.model.hashes import Hash
from fruix.model.pathinfo import PathInfo
from fruix.model.storepath import StorePath
from fruix.protocol.activities import ActivityType, ResultType
from fruix.protocol.messages import Failure, Last, Next
from fruix.protocol.options import ClientOptions
from fruix.protocol.wire import Dialect
from store.helpers import file_archive


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Running]:
    with running(tmp_path) as found:
        yield found


def test_nix_clients_see_activities(daemon: Running) -> None:
    drv = some(daemon, "x.drv")
    daemon.builder.events = build_events(drv)
    user = client(daemon)
    user.greet()
    said, _ = user.call(9, (DerivedPath(drv, ALL),), BuildMode.NORMAL)
    kinds = [(type(message).__name__, getattr(message, "type", None)) for message in said]
    counts = [("Result", ResultType.PROGRESS)] * 2  # of builds, and of copies
    assert kinds == [
        ("StartActivity", ActivityType.REALISE),
        ("StartActivity", ActivityType.BUILDS),
        ("StartActivity", ActivityType.COPY_PATHS),
        *[("Result", ResultType.SET_EXPECTED)] * 2,
        ("StartActivity", ActivityType.BUILD),
        *counts,
        ("Result", ResultType.SET_PHASE),
        ("Next", None),  # the line is marked as a message, and is none
        ("Result", ResultType.BUILD_LOG_LINE),
        *counts,
        *[("StopActivity", None)] * 4,
        ("Last", None),
    ]
    assert daemon.builder.seen[0].contract == "nix"


def test_guix_clients_see_traces(daemon: Running) -> None:
    drv = some(daemon, "x.drv")
    daemon.builder.events = build_events(drv)
    user = client(daemon, Dialect.GUIX, 0x64)
    user.greet()
    options = ClientOptions(overrides={"multiplexed-build-output": "true", "build-timeout": "7"})
    assert user.call(19, options)[0] == [Last()]
    said, _ = user.call(9, (DerivedPath(drv, ALL),), BuildMode.NORMAL)
    texts = [message.text for message in said if isinstance(message, Next)]
    assert texts[0].startswith(f"@ build-started {drv} - ")
    assert texts[0].endswith(" /log//thing.gz 42\n")
    assert texts[1:] == [
        "@ build-log 42 24\n@nix {} not a command \udcff\n",
        f"@ build-succeeded {drv} -\n",
    ]
    assert daemon.builder.seen[0].contract == "guix"
    assert daemon.builder.seen[0].timeout == 7


@pytest.mark.parametrize(
    ("status", "number"),
    [(BuildStatus.PERMANENT_FAILURE, 100), (BuildStatus.TIMED_OUT, 101), (BuildStatus.OUTPUT_REJECTED, 1)],
)
def test_failed_builds(daemon: Running, status: BuildStatus, number: int) -> None:
    drv, other = some(daemon, "x.drv"), some(daemon, "y.drv")
    result = BuildResult(status, "it broke")
    daemon.builder.results = {drv: result, other: result}
    nix = client(daemon)
    nix.greet()
    assert nix.call(9, (DerivedPath(drv, ALL),), BuildMode.NORMAL)[0] == [Failure("it broke")]
    both = (DerivedPath(drv, ALL), DerivedPath(other, ALL))
    assert nix.call(9, both, BuildMode.NORMAL)[0] == [
        Next("error: it broke\n"),
        Next("error: it broke\n"),
        Failure(f"build of '{drv}', '{other}' failed"),
    ]
    assert nix.call(46, both, BuildMode.NORMAL)[1] == tuple((request, result) for request in both)
    old = client(daemon, minor=21)
    old.greet()
    assert old.call(9, (DerivedPath(drv, ALL),), BuildMode.NORMAL)[0] == [
        Next("error: it broke\n"),
        Failure(f"build of '{drv}' failed", number),
    ]
    guix = client(daemon, Dialect.GUIX, 0x64)
    guix.greet()
    assert guix.call(9, both, BuildMode.NORMAL)[0] == [Failure(f"build of `{drv}', `{other}' failed", number)]


LIMITED = Settings(building={"timeout_limit": 100, "silent_time_limit": 10})


def test_who_asks_for_more_time_than_is_allowed_is_told(tmp_path: Path) -> None:
    """Nix's clients are told when they set it; Guix's, which don't read so much there, when they build."""
    said = {}
    asked = ClientOptions(verbosity=1, max_silent_time=10, overrides={"build-timeout": "0"})
    for dialect, minor in ((Dialect.NIX, 38), (Dialect.GUIX, 0x64)):
        with running(tmp_path, LIMITED) as daemon:
            drv = some(daemon, "a.drv")
            user = client(daemon, dialect, minor)
            user.greet()
            said[dialect] = [
                user.call(19, asked)[0],
                user.call(9, (DerivedPath(drv, ALL),), BuildMode.NORMAL)[0],
            ]
    text = "warning: 'timeout' is 100 seconds at most here; asked for: no limit\n"
    assert said[Dialect.NIX] == [[Next(text), Last()], [Last()]]
    assert said[Dialect.GUIX] == [[Last()], [Next(text), Last()]]


@pytest.mark.parametrize(
    ("timeout", "silence", "warnings"),
    [(None, None, 0), (100, 10, 0), (101, 10, 1), (0, 0, 2), (5, 11, 1)],
)
def test_what_is_more_than_allowed(timeout: int | None, silence: int | None, warnings: int) -> None:
    wished = BuildOptions(timeout=timeout, max_silent_time=silence)
    assert len([*too_much(wished, LIMITED.build)]) == warnings
    assert [*too_much(wished, Settings().build)] == []


def test_warnings_about_settings(daemon: Running) -> None:
    user = client(daemon)
    user.greet()
    options = ClientOptions(verbosity=3, overrides={"sandbox": "false", "cores": "2", "max-jobs": "4"})
    said, _ = user.call(19, options)
    assert len(said) == 2
    assert isinstance(said[0], Next)
    assert "'sandbox'" in said[0].text
    said, _ = user.call(19, ClientOptions(overrides={"cores": "many"}))
    assert isinstance(said[-1], Failure)
    assert "`cores' should have an integer value" in said[-1].message


def with_two_outputs(daemon: Running) -> tuple[StorePath, Derivation]:
    """A valid derivation, of whose outputs `dev` is valid."""
    outputs = {name: DerivationOutput(None) for name in ("dev", "out")}
    plain = Derivation(
        name="two",
        outputs=outputs,
        input_drvs={},
        input_srcs=(),
        system="x",
        builder="/bin/sh",
        args=(),
        env={"dev": "", "out": ""},
    )
    drv = fill_outputs(plain, DerivationHasher(daemon.store.read_derivation), daemon.store.directory)
    path = daemon.store.add_text("two.drv", render(drv))
    there = drv.outputs["dev"].path
    assert there is not None
    archive = file_archive(b"dev")
    info = PathInfo(there, Hash.of("sha256", archive), len(archive))
    daemon.store.add_nar(info, [archive])
    return path, drv


@pytest.mark.parametrize("wanted", [ALL, ("dev",), ("out",), ("dev", "out"), None], ids=str)
def test_results_name_the_outputs_that_were_asked_for_and_are_there(
    daemon: Running, wanted: tuple[str, ...] | None
) -> None:
    """Clients of Nix print them and link them, and read the hash in their ids."""
    path, drv = with_two_outputs(daemon)
    user = client(daemon)
    user.greet()
    _, [(asked, result)] = user.call(46, (DerivedPath(path, wanted),), BuildMode.NORMAL)
    assert asked == DerivedPath(path, wanted)
    there = drv.outputs["dev"].path if wanted and wanted != ("out",) else None
    assert result.outputs == ({"dev": there} if there else {})
    if there:
        assert result.drv_hash == DerivationHasher(daemon.store.read_derivation).hash_masked(drv).hex()


def test_results_of_failed_builds_name_no_outputs(daemon: Running) -> None:
    path, _ = with_two_outputs(daemon)
    request = DerivedPath(path, ALL)
    daemon.builder.results = {path: BuildResult(BuildStatus.PERMANENT_FAILURE, "no")}
    user = client(daemon)
    user.greet()
    _, [(_, result)] = user.call(46, (request,), BuildMode.NORMAL)
    assert (result.status, result.message, result.outputs) == (BuildStatus.PERMANENT_FAILURE, "no", {})


@pytest.mark.parametrize(
    ("overrides", "expected"), [({}, 3), ({"build-repeat": "0"}, 1), ({"build-repeat": "4"}, 5)]
)
def test_rounds_are_the_operators_unless_the_client_says_how_many(
    tmp_path: Path, overrides: dict[str, str], expected: int
) -> None:
    with running(tmp_path, Settings(rounds=3)) as daemon:
        user = client(daemon, Dialect.GUIX, 0x64)
        user.greet()
        user.call(19, ClientOptions(overrides=overrides))
        user.call(9, (DerivedPath(some(daemon, "x.drv"), ALL),), BuildMode.NORMAL)
        assert daemon.builder.seen[0].rounds == expected
