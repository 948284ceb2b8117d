"""The way from `sys.argv` to a command, and from an error to what a person reads.

An expected error (`FruixError`) becomes one message with what, where and what to do next, and the
error's exit code; anything else is a bug and shows its traceback.
"""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from fruix.cli.output.standard_streams import give_up_on
from fruix.cli.output.terminal import harmless
from fruix.errors import FruixError, UsageError, of_missing_module, of_system

if TYPE_CHECKING:
    from fruix.client.question import Begun

# Name of a link to the program → the command that it runs.
BY_NAME = {"guix-daemon": "guix-daemon", "nix-daemon": "nix-daemon", "nix-store": "serve"}


def main(arguments: Sequence[str] | None = None, begun: Begun | None = None) -> int:
    """Run the command line; returns the exit status.

    `begun`: what `fruix build` goes on with.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    if arguments is None and (name := os.path.basename(sys.argv[0])) in BY_NAME:
        words.insert(0, BY_NAME[name])
    try:
        return _run(words, begun)
    except FruixError as error:
        report(error)
        return error.exit_code
    except ModuleNotFoundError as error:
        lacking = of_missing_module(error)
        if lacking is None:
            raise
        report(lacking)
        return lacking.exit_code
    except BrokenPipeError:
        # Whoever reads the output has seen enough.
        give_up_on(sys.stdout.fileno())
        return 141
    except OSError as error:
        report(of_system(error))
        return 1
    except KeyboardInterrupt:
        print("fruix: interrupted", file=sys.stderr)
        return 130


def _run(words: list[str], begun: Begun | None) -> int:
    if words[:1] == ["daemon"]:
        from fruix.cli.commands.daemon import run_usual  # noqa: PLC0415 - before what parses words is loaded

        if (status := run_usual(words[1:])) is not None:
            return status
    from fruix.cli.parser import overview, parse  # noqa: PLC0415 - see above

    options = parse(words)
    if begun is not None:
        options.begun = begun
    gc.freeze()
    gc.enable()  # see `fruix.__main__`
    if "run" in options:
        return int(options.run(options))
    print(overview().format_help(), end="", file=sys.stderr)
    return UsageError.exit_code


def report(error: FruixError) -> None:
    """Print an error for a person: what and where, then what to do next. It may quote a builder.

    Before it, of words that can't be understood, the usage of the command that they were for.
    """
    if usage := getattr(error, "usage", ""):  # a `CommandLineError`
        print(usage, end="", file=sys.stderr)
    for cause in error.causes or (str(error),):
        first, *more = cause.split("\n")
        print(f"fruix: error: {harmless(first, colour=False)}", file=sys.stderr)
        for line in more:
            print(f"  {harmless(line, colour=False)}", file=sys.stderr)
    if error.hint:
        print(f"hint: {harmless(error.hint, colour=False)}", file=sys.stderr)
