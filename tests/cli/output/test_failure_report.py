"""What is said of builds that failed: all of it in blocks, and the answer last."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cli.requests import EVENTS, FAILING, PLAN, drv
from fruix.cli.command_line import report
from fruix.cli.commands.hash import FORMS
from fruix.cli.output.display import PlainDisplay
from fruix.cli.output.failure_report import answer, as_defined, build_error, exit_code, failure_report
from fruix.cli.output.progress import Failure
from fruix.model.buildresult import BuildResult, BuildStatus
from fruix.model.derivedpath import ALL, DerivedPath
from fruix.model.events import BuildFailed
from fruix.model.hashes import Hash
from fruix.model.reasons import reason
from fruix.packages.roots import root
from fruix.packages.roots.pins import MARK, file_of
from fruix.packages.sources import Origin

FAILED = BuildStatus.PERMANENT_FAILURE


def failure(name: str = "hello-2", status: BuildStatus = FAILED, **more: Any) -> Failure:
    event = BuildFailed(
        drv(name), status, "Cannot build it.\nReason: it broke", 21.0, reason("exit-code", code=2)
    )
    return Failure(replace(event, **more), f"/log/{name}.gz")


def test_a_block_ends_with_the_log() -> None:
    stream = io.StringIO()
    display = PlainDisplay(io.StringIO(), PLAN)
    for _, event in [*EVENTS, *FAILING]:
        display.event(event)
    failure_report(display.status.failures, PlainDisplay(stream, PLAN))
    assert stream.getvalue().splitlines() == [
        "",
        f"{drv('zlib-1.3')}:",
        "  builder failed with exit code 2",
        "not built because of it: png-1.6, hello-2",
        "log file: /log/zlib.gz",
        "last 1 line of its log:",
        "> cc -c zlib.c",
    ]


@pytest.mark.parametrize(
    ("found", "text"),
    [
        (failure(), "hello-2 failed after 21s: builder failed with exit code 2"),
        (
            failure(phase="build", command="make -j2", lines=("x",)),
            "hello-2 failed in phase build after 21s: 'make -j2' ended with exit code 2",
        ),
        (
            failure(
                phase="check",
                command="make check",
                tests={"pass": 4, "fail": 2, "skip": 1},
                failed_tests=("hello-1", "hello-2"),
            ),
            (
                "hello-2 failed in phase check after 21s: 2 of 7 tests failed (hello-1, hello-2): "
                "'make check' ended with exit code 2"
            ),
        ),
        (
            failure(phase="check", failed_tests=tuple("abcdef")),
            (
                "hello-2 failed in phase check after 21s: 6 tests failed (a, b, c and 3 more): "
                "builder failed with exit code 2"
            ),
        ),
        (
            failure(phase="check", tests={"pass": 7, "fail": 0}),
            "hello-2 failed in phase check after 21s: builder failed with exit code 2",
        ),
        (
            failure(command="make", reason=reason("timeout", limit=3), status=BuildStatus.TIMED_OUT),
            "hello-2 failed after 21s: timed out after 3 seconds",
        ),
        (failure(reason={}, seconds=0.0), "hello-2 failed: Cannot build it."),
        (failure(reason={}, message=""), "hello-2 failed after 21s: for no reason that was told"),
        (
            failure(
                status=BuildStatus.NOT_DETERMINISTIC, details=("bin/x: 1 of 2 bytes differ", "lib", "man")
            ),
            "hello-2 is not reproducible: bin/x: 1 of 2 bytes differ and in 2 other places",
        ),
        (
            replace(failure(), blocked=(drv("a"), drv("b"))),
            "hello-2 failed after 21s: builder failed with exit code 2 (2 that need it were not built)",
        ),
    ],
)
def test_the_answer_is_one_line(found: Failure, text: str) -> None:
    assert answer(found) == text


def test_a_wrong_hash_is_told_as_the_definition_has_it(capsys: pytest.CaptureFixture[str]) -> None:
    specified, got = (Hash.of("sha256", data) for data in (b"a", b"b"))
    url = "https://a.example/hello.tar.gz"
    why = reason(
        "hash-mismatch", expected=specified.sri, got=got.sri, url=url, likely=f"\n  likely URL: {url}"
    )
    found = failure("hello.tar.gz", status=BuildStatus.OUTPUT_REJECTED, reason=why, hint="declare it")
    result = BuildResult(BuildStatus.DEPENDENCY_FAILED, "no")
    for form in FORMS.values():
        source = Origin((url,), form(specified))
        (told,) = as_defined([found], {found.path: source})
        *_, said, hint = last_lines([told], result, capsys)
        assert said == (
            f"fruix: error: hello.tar.gz failed after 21s: wrong hash from {url}: "
            f"specified {form(specified)}, got {form(got)}"
        )
        line = f'{source.location}: sha256="{form(got)}"'
        assert (
            hint
            == f"hint: if the contents are what you want, write in {line}; fruix log hello.tar.gz; {ENTER}"
        )
    assert as_defined([found], {}) == [found]
    assert build_error([(REQUEST, result)], [found], str).exit_code == 102


def test_a_piece_that_left_the_mirrors() -> None:
    piece = root("debian-12", "x86_64-linux").pieces[0]
    why = reason("download", url="http://a.org/x", text="404", others="\n  http://b.org/x: 404")
    found = failure("x.deb", reason=why, hint="")
    renew = "mirrors forget old packages: 'fruix root update debian-12' pins those of now"
    for sha256, hint in ((piece.sha256, renew), ("0" * 64, "")):
        sources = {found.path: Origin(urls=piece.urls, sha256=sha256)}
        (told,) = as_defined([found], sources)
        failure_report([told], PlainDisplay(stream := io.StringIO(), PLAN))
        said = stream.getvalue()
        assert "http://a.org/x" in said
        assert "http://b.org/x: 404" in said
        assert (renew in said, told.event.hint.startswith(hint)) == (bool(hint), True)


def test_a_piece_of_a_root_of_ones_own_that_left_its_server(tmp_path: Path) -> None:
    """Its file is named: what was pinned can be pinned anew, what was written down is for its author."""
    file = tmp_path / "own.toml"
    brought = Path(file_of("debian-12")).read_text().replace('name = "debian-12"', 'name = "own"', 1)
    written = (
        f'{{name = "set", version = "1", kind = "tarball", urls = ["http://a.org/x"], sha256 = "{"1" * 64}"'
    )
    archives = f'[archives]\nx86_64-linux = [{written}, groups = ["base"]}}]\n'
    file.write_text(brought.replace(MARK, archives + MARK))
    pieces = root(str(file), "x86_64-linux").pieces
    for piece, hint in (
        (pieces[0], f"mirrors forget old packages: 'fruix root update {file}' pins those of now; or put"),
        (pieces[-1], f"write where it is now into {file}; or put"),
    ):
        found = failure("x.deb", reason=reason("download", url="u", text="404", others=""), hint="")
        (told,) = as_defined([found], {found.path: Origin(urls=piece.urls, sha256=piece.sha256)})
        assert told.event.hint.startswith(hint)


ENTER = "fruix enter hello.tar.gz (a shell in its sandbox)"


def test_a_long_command_is_folded() -> None:
    command = f"gcc {' '.join(f'-I/some/directory/{number}' for number in range(99))} -c hello.c"
    said = answer(failure(command=command))
    assert "'gcc … " in said
    assert said.endswith("-c hello.c' ended with exit code 2")
    assert len(said) < 170


REQUEST = DerivedPath(drv("hello-2"), ALL)


def last_lines(failures: list[Failure], result: BuildResult, capsys: pytest.CaptureFixture[str]) -> list[str]:
    report(build_error([(REQUEST, result)], failures, lambda path: path.short_name))
    return capsys.readouterr().err.splitlines()


def test_each_cause_has_a_line_and_the_next_command_is_the_last(capsys: pytest.CaptureFixture[str]) -> None:
    failures = [
        replace(failure("zlib-1.3", phase="build"), blocked=(drv("png-1.6"), drv("hello-2"))),
        failure("gcc-15", phase="configure"),
    ]
    assert last_lines(failures, BuildResult(BuildStatus.DEPENDENCY_FAILED, "no"), capsys) == [
        (
            "fruix: error: zlib-1.3 failed in phase build after 21s: builder failed with exit code 2 "
            "(2 that need it were not built)"
        ),
        "fruix: error: gcc-15 failed in phase configure after 21s: builder failed with exit code 2",
        "hint: fruix log zlib-1.3; fruix enter zlib-1.3 (a shell in its sandbox)",
    ]


@pytest.mark.parametrize(
    ("found", "hint"),
    [
        (replace(failure(), kind="download"), "fruix log hello-2"),
        (replace(failure(hint="declare it"), log_file=""), "declare it"),
        (replace(failure(), log_file=""), "correct the cause, build again"),
        (
            replace(failure(reason=reason("unobtainable", path="/frx/store/x")), log_file=""),
            "name what makes it (a package, a derivation), or a binary cache that has it ('substituters')",
        ),
        (
            replace(failure(status=BuildStatus.CACHED_FAILURE), log_file=""),
            "fruix log hello-2; fruix enter hello-2 (a shell in its sandbox)",
        ),
        (
            replace(failure(status=BuildStatus.NOT_DETERMINISTIC), log_file="/log/x.check.gz"),
            (
                "fruix log --check hello-2; "
                "usual causes are the time, random names, the order of files or of jobs"
            ),
        ),
    ],
)
def test_what_to_type_next(found: Failure, hint: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert last_lines([found], BuildResult(FAILED, "no"), capsys)[-1] == f"hint: {hint}"


def test_a_daemon_that_tells_of_no_failures(capsys: pytest.CaptureFixture[str]) -> None:
    """Nix's: there is the result's own text."""
    assert last_lines([], BuildResult(FAILED, "broken\nhint: not ours"), capsys) == [
        f"fruix: error: '{drv('hello-2')}' could not be built: broken",
        "  hint: not ours",
        "hint: correct the cause, build again",
    ]


@pytest.mark.parametrize(
    ("causes", "code"),
    [
        ([(FAILED, "exit-code")], 100),
        ([(BuildStatus.TIMED_OUT, "silence")], 101),
        ([(BuildStatus.LOG_LIMIT_EXCEEDED, "log-limit")], 101),
        ([(BuildStatus.OUTPUT_REJECTED, "hash-mismatch")], 102),
        ([(BuildStatus.OUTPUT_REJECTED, "not-allowed")], 100),
        ([(BuildStatus.NOT_DETERMINISTIC, "check-differs")], 104),
        ([(BuildStatus.TIMED_OUT, "timeout"), (BuildStatus.OUTPUT_REJECTED, "hash-mismatch")], 103),
        ([(FAILED, "exit-code"), (BuildStatus.NOT_DETERMINISTIC, "check-differs")], 108),
        ([(FAILED, "exit-code"), (BuildStatus.OUTPUT_REJECTED, "hash-mismatch")], 102),
    ],
)
def test_the_exit_status_is_nix_s(causes: list[tuple[BuildStatus, str]], code: int) -> None:
    assert exit_code(causes) == code


def test_the_status_is_that_of_the_cause_and_not_of_what_needed_it() -> None:
    mismatch = failure(
        "source", status=BuildStatus.OUTPUT_REJECTED, reason=reason("hash-mismatch", expected="x", got="y")
    )
    error = build_error([(REQUEST, BuildResult(BuildStatus.DEPENDENCY_FAILED, "no"))], [mismatch], str)
    assert error.exit_code == 102


def test_a_builder_can_t_forge_the_answer(capsys: pytest.CaptureFixture[str]) -> None:
    found = failure(phase="check", command="x\x1b[2J\nfruix: error: fine", failed_tests=("a\x07\nhint: rm",))
    lines = last_lines([found], BuildResult(FAILED, "no"), capsys)
    assert [line for line in lines if line.startswith(("fruix:", "hint:"))] == [lines[0], lines[-1]]
    assert "\x1b" not in "".join(lines)
    assert "\x07" not in "".join(lines)
