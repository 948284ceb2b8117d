"""Looking into a store object through its archive: works the same for a daemon on this machine and one elsewhere."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from fruix.errors import UsageError
from fruix.model.nar.events import (
    DirectoryEnd,
    DirectoryStart,
    Entry,
    Event,
    FileData,
    FileEnd,
    FileStart,
    Symlink,
)
from fruix.model.nar.read import NarReader


def members(chunks: Iterable[bytes]) -> Iterator[tuple[bytes, Event]]:
    """Every event of an archive with the path it belongs to (b"" for the top, parts joined by `/`)."""
    reader = NarReader()
    parts: list[bytes] = []
    for chunk in chunks:
        for event in reader.feed(chunk):
            if isinstance(event, Entry):
                parts.append(event.name)
                continue
            yield b"/".join(parts), event
            if isinstance(event, DirectoryEnd | FileEnd | Symlink) and parts:
                parts.pop()  # this node is over: back to its directory
    reader.finish()


def list_nar(chunks: Iterable[bytes], rest: str, shown: str) -> Iterator[str]:
    """`ls -l`-like lines for what lies below `rest`: type, executable bit, size, name."""
    wanted = _wanted(rest)
    found = False
    for path, event in members(chunks):
        if path != wanted and wanted and not path.startswith(wanted + b"/"):
            continue
        found = True
        name = (shown + "/" + path.decode("utf-8", "backslashreplace")).rstrip("/")
        match event:
            case FileStart():
                yield f"{'-r-xr-xr-x' if event.executable else '-r--r--r--'} {event.size:>12} {name}"
            case DirectoryStart():
                yield f"dr-xr-xr-x {'':>12} {name}"
            case Symlink():
                yield f"lrwxrwxrwx {'':>12} {name} -> {event.target.decode('utf-8', 'backslashreplace')}"
            case _:
                pass
    if not found:
        raise UsageError(f"'{shown}' has no '{rest}'", hint=f"fruix store ls {shown}")


def read_nar_file(chunks: Iterable[bytes], rest: str, shown: str) -> Iterator[bytes]:
    """The bytes of the regular file at `rest`."""
    wanted = _wanted(rest)
    found = False
    for path, event in members(chunks):
        if path != wanted:
            continue
        if isinstance(event, DirectoryStart | Symlink):
            kind = "a directory" if isinstance(event, DirectoryStart) else "a symlink"
            raise UsageError(
                f"'{(shown + '/' + rest.strip('/')).rstrip('/')}' is {kind}, not a file",
                hint=f"fruix store ls {shown}",
            )
        if isinstance(event, FileStart):
            found = True
        elif isinstance(event, FileData):
            yield bytes(event.data)
    if not found:
        raise UsageError(f"'{shown}' has no file '{rest.strip('/')}'", hint=f"fruix store ls {shown}")


def _wanted(rest: str) -> bytes:
    return b"/".join(part for part in rest.encode("utf-8", "surrogateescape").split(b"/") if part)
