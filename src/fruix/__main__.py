"""`fruix` and `python3 -m fruix`."""

from __future__ import annotations

import sys


def main() -> int:
    """The entry point; `--version` alone is answered before anything is imported."""
    if sys.argv[1:] == ["--version"]:
        from fruix import __version__  # noqa: PLC0415 - nothing else is needed for this answer

        print(f"fruix {__version__}")
        return 0
    from fruix.cli.main import main as run  # noqa: PLC0415 - see above
    from fruix.sandbox.inherited import hear_of_children  # noqa: PLC0415

    hear_of_children()
    return run()


if __name__ == "__main__":
    sys.exit(main())
