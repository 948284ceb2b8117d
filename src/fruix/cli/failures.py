"""The report after a failed build: what failed first and why, the last lines of its log, what it kept from being built."""

from __future__ import annotations

from collections.abc import Iterable

from fruix.cli.display import PlainDisplay
from fruix.cli.planning import some
from fruix.cli.status import Failure, short_name
from fruix.cli.text import duration, harmless, plural
from fruix.model.buildresult import BuildStatus


def failure_report(failures: Iterable[Failure], display: PlainDisplay) -> None:
    """The causes, in the order in which they happened; those that only depend on them are one line each time."""
    for failure in failures:
        name = short_name(failure.path)
        phase = f" in phase {failure.phase}" if failure.phase else ""
        display.write("")
        if failure.status is BuildStatus.NOT_DETERMINISTIC:
            display.line(f"{name} is not reproducible", "red")
        else:
            display.line(f"{name} failed{phase} after {duration(failure.seconds)}", "red")
        for text in _reason(failure):
            display.write(f"  {harmless(text, colour=display.colour)}")
        if failure.lines:
            display.line(f"last {plural(len(failure.lines), 'line')} of its log:", "dim")
            for text in failure.lines:
                display.write(f"> {harmless(text, colour=display.colour)}")
        if failure.log_file:
            display.write(f"log file: {failure.log_file}")
        check = "--check " if failure.log_file.endswith(".check.gz") else ""
        if failure.ran:
            display.write(f"whole log: fruix log {check}{failure.path}")
        if failure.ran and failure.kind == "build":
            display.write(f"a shell in its sandbox: fruix enter {failure.path}")
        if failure.blocked:
            # The last in the plan is what was asked for: name the near ones and the far ones are a number.
            names = some(map(short_name, failure.blocked))
            display.line(f"not built because of it: {names}", "yellow")


def _reason(failure: Failure) -> list[str]:
    """The message without its own copy of the last log lines, which is shown once, below.

    The first line says that it can't be built: of what was built, twice, that is not true.
    """
    message = failure.message.splitlines()
    kept: list[str] = []
    for text in message[failure.status is BuildStatus.NOT_DETERMINISTIC :]:
        if text.startswith(("Last ", "For full logs")):
            break
        kept.append(text)
    return kept
