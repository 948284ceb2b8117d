"""`fruix` and `python3 -m fruix`."""

from __future__ import annotations

import gc
import os
import sys


def main() -> int:
    """The entry point.

    Nothing that is loaded becomes garbage: the collector looks through nothing before the command
    runs (`command_line` switches it on), and at the interpreter's end not at what is left. Both
    took a fifth of a short command, and three quarters of what stood between ^C and the prompt.
    """
    gc.disable()
    try:
        return _main()
    finally:
        gc.freeze()
        gc.enable()


def _main() -> int:
    """What can be answered without the commands is, before they are imported."""
    if sys.argv[1:2] == ["build"] and (status := _remembered()) is not None:
        return status
    from fruix.cli.output.standard_streams import flushed, not_written, prepare  # noqa: PLC0415 - see below

    prepare()
    if sys.argv[1:] == ["--version"] and not sys.argv[0].endswith(("guix-daemon", "nix-daemon")):
        from fruix import __version__  # noqa: PLC0415 - nothing else is needed for this answer

        try:
            print(f"fruix {__version__}")
        except OSError as error:  # of an unbuffered stream
            return not_written(1, error)
        return flushed(0)
    try:
        return flushed(_run())
    except SystemExit as left:  # help was asked for
        return flushed(int(left.code or 0))


def _remembered() -> int | None:
    from fruix.cli import remembered  # noqa: PLC0415 - nothing else is needed for this answer

    try:
        return remembered.answer(sys.argv[2:], os.environ)
    except KeyboardInterrupt:
        return 130


def _run() -> int:
    from fruix.children import hear_of_children  # noqa: PLC0415
    from fruix.cli.command_line import main as run  # noqa: PLC0415 - slow to import

    hear_of_children()
    return run()


if __name__ == "__main__":
    sys.exit(main())
