"""`fruix` and `python3 -m fruix`."""

from __future__ import annotations

import gc
import os
import sys

TYPE_CHECKING = False  # what `typing` has, without loading it
if TYPE_CHECKING:
    from typing import NoReturn

    from fruix.client.question import Begun

# Command → what may answer it, before anything else is loaded.
_QUICK = {"build": "fruix.cli.remembered", "log": "fruix.cli.quick.log", "ps": "fruix.cli.quick.ps"}


def run() -> NoReturn:
    """The entry point: `main`, then the end of the process, at which nothing that is loaded is taken apart.

    The interpreter takes a third as long to end as to start, and longer with a command loaded. What
    was asked for the end (`atexit`) is done; for threads that have to be waited for it is left to the
    interpreter.
    """
    status = main()
    if not _threads_are_left():
        import atexit  # noqa: PLC0415 - built in

        atexit._run_exitfuncs()  # noqa: SLF001 - as the interpreter's own end does
        for stream in (sys.stdout, sys.stderr):
            try:
                stream.flush()
            except (AttributeError, OSError, ValueError):  # `main` has said what could not be written
                continue
        os._exit(status)
    sys.exit(status)


def _threads_are_left() -> bool:
    threading = sys.modules.get("threading")
    if threading is None:
        return False
    return any(not one.daemon for one in threading.enumerate() if one is not threading.main_thread())


def main() -> int:
    """The command; returns the exit status, when what is printed is written out.

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
    quick: int | Begun | None = _quick() if len(sys.argv) > 1 and sys.argv[1] in _QUICK else None
    if isinstance(quick, int):
        return quick
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
        return flushed(_run(quick))
    except SystemExit as left:  # help was asked for
        return flushed(int(left.code or 0))


def _quick() -> int | Begun | None:
    """The exit status of a command that needs next to nothing.

    None: the whole command is needed; of `build` perhaps what that can go on with.
    """
    try:
        command = __import__(_QUICK[sys.argv[1]], fromlist=["answer"])
        status: int | None = command.answer(sys.argv[2:], os.environ)
        if status is None and sys.argv[1] == "build" and sys.argv[-1].endswith(".drv"):
            from fruix.cli.quick.build import begin  # noqa: PLC0415 - what is remembered needs less

            return begin(sys.argv[2:], os.environ)
        return status  # noqa: TRY300 - one answer or the other
    except KeyboardInterrupt:
        print("fruix: interrupted", file=sys.stderr)
        return 130


def _run(begun: Begun | None) -> int:
    from fruix import byte_code  # noqa: PLC0415 - what was loaded up to here is too little to gain by it

    byte_code.use()
    from fruix.children import hear_of_children  # noqa: PLC0415
    from fruix.cli.command_line import main as run  # noqa: PLC0415 - slow to import

    hear_of_children()
    return run(begun=begun)


if __name__ == "__main__":
    run()
