"""What is said of builds that failed: a block for each, then the answer and what to type next.

A block ends with the log, so that the cause stands right above the answer. On a terminal each line
takes one row.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import reduce
from itertools import islice
from typing import Any

from fruix.building.record.log_reading import bare_name
from fruix.cli.output.amounts import duration, plural
from fruix.cli.output.display import PlainDisplay
from fruix.cli.output.lines import folded, last_state
from fruix.cli.output.plan import some
from fruix.cli.output.progress import Failure
from fruix.cli.output.terminal import harmless
from fruix.dataclass import replace
from fruix.errors import BuildError
from fruix.model.buildresult import BuildResult, BuildStatus
from fruix.model.derivedpath import DerivedPath
from fruix.model.events import BuildFailed
from fruix.model.hashes import Hash
from fruix.model.planned import BuildPlan
from fruix.model.reasons import brief_of, text_of
from fruix.model.storepath import StorePath
from fruix.packages.roots import known_pieces
from fruix.packages.sources import Git, Origin, Source

# Columns of a command in the answer.
_COMMAND_ROOM = 100
_DIFFOSCOPE = "diffoscope"
_SHOWN = 200  # lines of it
_NOBODY = 65534
# Of a derivation: the word by which commands find it.
Word = Callable[[StorePath], str]


def explain(failures: Iterable[Failure]) -> None:
    """Write the failures to standard error, and how results differ that should be equal."""
    display = PlainDisplay(sys.stderr, BuildPlan())
    failure_report(failures, display)
    for why in (failure.event.reason for failure in failures):
        if why.get("path") and why.get("kept"):
            _compare(str(why["path"]), str(why["kept"]), display.write)


def _compare(one: str, other: str, show: Callable[[str], None]) -> None:
    """Show what `diffoscope`, if it is installed, says of two results that should be equal.

    The daemon tells where they differ by itself; diffoscope also looks into archives, programs and
    documents. Of its output the beginning is shown, below the command that gives all of it.
    """
    import shutil  # noqa: PLC0415 - seldom needed

    program = shutil.which(_DIFFOSCOPE)
    if program is None:
        return
    command = [program, "--exclude-directory-metadata=yes", one, other]
    show(f"$ {_DIFFOSCOPE} {' '.join(command[1:])}")
    try:
        _run_diffoscope(command, show)
    except OSError as error:
        show(f"it could not be run: {error.strerror}")


def _run_diffoscope(command: list[str], show: Callable[[str], None]) -> None:
    import subprocess  # noqa: PLC0415 - seldom needed

    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **_as_nobody()
    ) as process:
        assert process.stdout is not None
        for line in islice(process.stdout, _SHOWN):
            show(harmless(line.rstrip(b"\n").decode("utf-8", "replace"), colour=False))
        if process.stdout.readline():
            show(f"… (only the first {_SHOWN} lines are shown)")
            process.kill()


def _as_nobody() -> dict[str, Any]:
    """Have root read what a builder made as nobody."""
    if os.geteuid() != 0:
        return {}
    environment = {**os.environ, "HOME": "/nonexistent"}
    return {"user": _NOBODY, "group": _NOBODY, "extra_groups": [], "env": environment}


def as_defined(failures: Iterable[Failure], sources: Mapping[StorePath, Source]) -> list[Failure]:
    """The failures, with wrong hashes in the form of the definition, and the line to write.

    Of a piece of a root that no server has: how the root gets other pieces.
    """
    return [
        replace(failure, event=_as_defined(failure.event, sources.get(failure.path))) for failure in failures
    ]


def _as_defined(event: BuildFailed, source: Source | None) -> BuildFailed:
    if event.reason.get("kind") == "download" and isinstance(source, Origin):
        return replace(event, hint=_renewal(source) or event.hint)
    if event.reason.get("kind") != "hash-mismatch" or not isinstance(source, Origin | Git):
        return event
    told = {name: Hash.parse(str(event.reason[name])).like(source.sha256) for name in ("expected", "got")}
    line = f'{source.location}: sha256="{told["got"]}"'
    return replace(
        event, reason={**event.reason, **told}, hint=f"if the contents are what you want, write in {line}"
    )


def _renewal(source: Origin) -> str:
    piece = known_pieces().get(source.hash.base16)
    if piece is None:
        return ""
    renewed = (
        f"mirrors forget old packages: 'fruix root update {piece.root}' pins those of now"
        if piece.updated
        else f"write where it is now into {piece.root}"
    )
    return f"{renewed}; or put the file into a directory that FRUIX_SOURCES names"


def failure_report(failures: Iterable[Failure], display: PlainDisplay) -> None:
    """Write the causes in the order in which they happened, with what wasn't built for each."""
    for failure in failures:
        for text in ("", f"{failure.path}:"):
            display.line(text, "dim")
        for text in _explanation(failure):
            display.write(f"  {harmless(text, colour=display.colour)}")
        if failure.blocked:
            # The last in the plan is what was asked for: name the near ones and the far ones are a
            # number.
            names = some(drv.short_name for drv in failure.blocked)
            display.line(f"not built because of it: {names}", "yellow")
        if failure.log_file:
            display.write(f"log file: {failure.log_file}")
        if failure.event.lines:
            display.line(f"last {plural(len(failure.event.lines), 'line')} of its log:", "dim")
        for text in failure.event.lines:
            display.write(display.fitted(last_state(text), before="> "))


def _explanation(failure: Failure) -> list[str]:
    """The lines that tell why; those of the message if the daemon sends no fields (nix, guix)."""
    event = failure.event
    if not event.reason:
        return event.message.splitlines()
    hint = [f"hint: {event.hint}"] if event.hint else []
    return [*text_of(event.reason, event.drv).splitlines(), *event.details, *hint]


def answer(failure: Failure) -> str:
    """`hello-2.12.3 failed in phase check: 2 of 7 tests failed (…): …`, on one line."""
    event = failure.event
    if event.status is BuildStatus.NOT_DETERMINISTIC:
        return f"{failure.name} is not reproducible{_first(event.details)}{_dependents(failure)}"
    phase = f" in phase {event.phase}" if event.phase else ""
    after = f" after {duration(event.seconds)}" if event.seconds else ""
    parts = [f"{failure.name} failed{phase}{after}", *_tests(failure), _why(failure)]
    return f"{': '.join(parts)}{_dependents(failure)}"


def _first(details: Sequence[str]) -> str:
    more = f" and in {plural(len(details) - 1, 'other place')}" if len(details) > 1 else ""
    return f": {details[0]}{more}" if details else ""


def _tests(failure: Failure) -> list[str]:
    event = failure.event
    failed = event.tests.get("fail", 0) or len(event.failed_tests)
    if not failed:
        return []
    of = f" of {sum(event.tests.values())}" if event.tests.get("fail") else ""
    names = f" ({some(event.failed_tests)})" if event.failed_tests else ""
    return [f"{failed}{of} tests failed{names}" if of else f"{plural(failed, 'test')} failed{names}"]


def _why(failure: Failure) -> str:
    event = failure.event
    if not event.reason:
        return _beginning(event.message)  # a daemon's that tells no more than that: Nix's, Guix's
    if event.reason["kind"] == "hash-mismatch":
        origin = f" from {event.reason['url']}" if event.reason.get("url") else ""
        return f"wrong hash{origin}: specified {event.reason['expected']}, got {event.reason['got']}"
    if event.command and event.reason["kind"] == "exit-code":
        return f"'{folded(event.command, _COMMAND_ROOM)}' ended with exit code {event.reason['code']}"
    return _beginning(brief_of(event.reason, event.drv))


def _beginning(text: str) -> str:
    """As much of a text that somebody else wrote as has room in one line."""
    return next(iter(text.splitlines()), "for no reason that was told")


def _dependents(failure: Failure) -> str:
    if not failure.blocked:
        return ""
    count = len(failure.blocked)
    return (
        f" ({count} that needs it was not built)" if count == 1 else f" ({count} that need it were not built)"
    )


def next_step(failure: Failure, word: Word) -> str:
    """What to type or to do next, after a failure."""
    what = word(failure.path)
    check = "--check " if bare_name(failure.log_file).endswith(".check") else ""
    differs = failure.status is BuildStatus.NOT_DETERMINISTIC
    steps = [failure.event.hint] if failure.event.hint and not differs else []
    steps += [f"fruix log {check}{what}"] if failure.ran else []
    if differs:
        steps.append("usual causes are the time, random names, the order of files or of jobs")
    elif failure.ran and failure.kind == "build":
        steps.append(f"fruix enter {what} (a shell in its sandbox)")
    return "; ".join(steps) or _STEPS.get(str(failure.event.reason.get("kind")), _ANY_STEP)


# What to do about a reason, where nothing was run and the daemon doesn't say.
_ANY_STEP = "correct the cause, build again"
_FROM_WHAT = "name what makes it (a package, a derivation), or a binary cache that has it ('substituters')"
_STEPS: Mapping[str, str] = {"unobtainable": _FROM_WHAT, "missing-derivation": _FROM_WHAT}

# How nix says what has happened: a bit for each kind, and 96 with any.
_BITS: Mapping[BuildStatus, int] = {
    BuildStatus.TIMED_OUT: 0b0101,
    BuildStatus.LOG_LIMIT_EXCEEDED: 0b0101,
    BuildStatus.NOT_DETERMINISTIC: 0b1000,
}
_FAILED, _HASH_MISMATCH = 0b0100, 0b0110
_ANY = 0b1100000


def exit_code(causes: Iterable[tuple[BuildStatus, str]]) -> int:
    """100 failed, 101 too slow or too much of a log, 102 a wrong hash, 104 not the same again.

    Of several, all of their bits, as nix does.

    Args:
        causes: status, and kind of the reason, of what failed by itself.
    """

    def bits(status: BuildStatus, kind: str) -> int:
        return _HASH_MISMATCH if kind == "hash-mismatch" else _BITS.get(status, _FAILED)

    return reduce(lambda found, cause: found | bits(*cause), causes, _ANY)


def build_error(
    failed: Sequence[tuple[DerivedPath, BuildResult]], failures: Sequence[Failure], word: Word
) -> BuildError:
    """The error for a request: its causes, a line each, and what to do about the first."""
    if failures:
        texts = [answer(failure) for failure in failures]
        hint = next_step(failures[0], word)
        kinds = [(one.status, str(one.event.reason.get("kind"))) for one in failures]
    else:
        texts = [f"'{request.path}' could not be built: {result.message}" for request, result in failed]
        hint = _ANY_STEP
        kinds = [(result.status, "") for _, result in failed]
    error = BuildError(texts[0], hint=hint)
    error.causes, error.exit_code = tuple(texts), exit_code(kinds)
    return error
