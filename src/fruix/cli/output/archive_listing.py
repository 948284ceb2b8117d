"""Look into a store object through its archive, wherever the daemon is that sends it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from fruix.errors import UsageError
from fruix.model.nar.members import members
from fruix.model.nar.stream_events import DirectoryStart, FileData, FileEnd, FileStart, Symlink
from fruix.model.refscan import ReferenceScanner
from fruix.model.storepath import StorePath
from fruix.model.text import printable


def list_nar(chunks: Iterable[bytes], rest: str, shown: str) -> Iterator[str]:
    """`ls -l`-like lines for what lies below `rest`: type, executable bit, size, name."""
    wanted = _wanted(rest)
    found = False
    for path, event in members(chunks):
        if path != wanted and wanted and not path.startswith(wanted + b"/"):
            continue
        found = True
        name = (shown + "/" + _on_a_line(path)).rstrip("/")
        match event:
            case FileStart():
                yield f"{'-r-xr-xr-x' if event.executable else '-r--r--r--'} {event.size:>12} {name}"
            case DirectoryStart():
                yield f"dr-xr-xr-x {'':>12} {name}"
            case Symlink():
                yield f"lrwxrwxrwx {'':>12} {name} -> {_on_a_line(event.target)}"
            case _:
                pass
    if not found:
        raise UsageError(f"'{shown}' has no '{rest}'", hint=f"fruix store ls {shown}")


def read_nar_file(chunks: Iterable[bytes], rest: str, shown: str) -> Iterator[bytes]:
    """The bytes of the regular file at `rest`, in pieces."""
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


def mentioning(chunks: Iterable[bytes], path: StorePath) -> Iterator[str]:
    """The files and links in an archive that hold a store path's hash part."""
    scanner = ReferenceScanner([])
    for name, event in members(chunks):
        if isinstance(event, FileStart | Symlink):
            scanner = ReferenceScanner([path.hash_part.encode()])
        if isinstance(event, FileData):
            scanner.feed(event.data)
        elif isinstance(event, Symlink):
            scanner.feed(event.target)
        if isinstance(event, FileEnd | Symlink) and scanner.found:
            yield _on_a_line(name) or "."


def _on_a_line(name: bytes) -> str:
    """A name as a line can hold it, whatever bytes it has."""
    return printable(name.decode("utf-8", "backslashreplace"))


def _wanted(rest: str) -> bytes:
    return b"/".join(part for part in rest.encode("utf-8", "surrogateescape").split(b"/") if part)
