"""The byte code of all modules in one file, which spares a third of what it takes to load one.

`python3 -m fruix.byte_code [DIRECTORY]` writes it beside the byte code of the package itself, as an
installation does; DIRECTORY is where the package will be, if that is elsewhere. `use` has modules
taken from it from then on: for each a status of its source and one read, where Python lists
directories and opens a file for each. As with Python's own files a module counts as long as its
source has the modification time and size that it had; what has changed, or is not in the file, is
loaded as if there were no file. So is everything if somebody else could have written it, or if it
was replaced meanwhile: a running daemon has no other version's modules from it.
"""

from __future__ import annotations

import _imp
import marshal
import os
import sys
from _frozen_importlib import ModuleSpec
from _frozen_importlib_external import MAGIC_NUMBER, SourceFileLoader

import fruix

TYPE_CHECKING = False  # what `typing` has, without loading it
if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import CodeType, ModuleType

    # Where its code begins in the file, its length; the source's time in seconds and size; its directory
    # below the package, and the name of its file there without an ending.
    Entry = tuple[int, int, int, int, str, str]

_HEAD = b"fruix\n" + MAGIC_NUMBER  # then the length of the table in eight bytes, the table, the codes
_ENDING = f".{sys.implementation.cache_tag}.pyc"
_OTHERS_WRITE = 0o022
_Identity = tuple[int, int, int, int]


def place() -> str:
    """The file's name."""
    return f"{os.path.dirname(fruix.__file__)}/__pycache__/modules.{sys.implementation.cache_tag}"


def use() -> None:
    """Have modules loaded from the file, if there is one that can be trusted."""
    if not sys.flags.optimize:  # another byte code
        try:
            finder = _Finder(place())
        except (OSError, ValueError, EOFError, TypeError):
            return
        sys.meta_path.insert(0, finder)


class _Finder:
    """What `import` asks first."""

    def __init__(self, file: str) -> None:
        """Read the table.

        Raises:
            OSError: there is no such file.
            ValueError, EOFError, TypeError: it is not one, not this Python's, or can't be trusted.
        """
        self._file = file
        self._directory = os.path.dirname(os.path.dirname(file))
        descriptor = os.open(file, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        try:
            status = os.fstat(descriptor)
            owners = {0, os.geteuid(), os.stat(self._directory).st_uid}
            if status.st_uid not in owners or status.st_mode & _OTHERS_WRITE:
                raise ValueError(file)
            self._identity = _identity(status)
            head = os.pread(descriptor, len(_HEAD) + 8, 0)
            if head[: len(_HEAD)] != _HEAD:
                raise ValueError(file)
            length = int.from_bytes(head[len(_HEAD) :], "little")
            table = marshal.loads(os.pread(descriptor, length, len(head)))  # noqa: S302 - like Python's own
        finally:
            os.close(descriptor)
        self._table: dict[str, Entry] = table
        self._begin = len(head) + length

    def find_spec(
        self, name: str, path: object = None, _target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """How a module is loaded; None: the usual way."""
        entry = self._table.get(name)
        if entry is None or path is None:
            return None
        _, _, seconds, size, below, base = entry
        directory = self._directory + below
        file = f"{directory}/{base}.py"
        try:
            status = os.stat(file)
        except OSError:
            return None
        if (int(status.st_mtime), status.st_size) != (seconds, size):
            return None
        spec = ModuleSpec(name, _Loader(name, file, self), origin=file)
        if base == "__init__":
            spec.submodule_search_locations = [directory]
        spec.has_location = True
        spec.cached = f"{directory}/__pycache__/{base}{_ENDING}"
        return spec

    def code(self, name: str) -> CodeType | None:
        """A module's byte code; None if the file is no longer the one whose table was read."""
        begin, length, *_ = self._table[name]
        try:
            descriptor = os.open(self._file, os.O_RDONLY | os.O_CLOEXEC)
            try:
                if _identity(os.fstat(descriptor)) != self._identity:
                    return None
                found: CodeType = marshal.loads(os.pread(descriptor, length, self._begin + begin))  # noqa: S302
            finally:
                os.close(descriptor)
        except (OSError, ValueError, EOFError, TypeError):
            return None
        return found


class _Loader(SourceFileLoader):
    """Python's own, with the code from the one file."""

    def __init__(self, name: str, file: str, finder: _Finder) -> None:
        super().__init__(name, file)
        self._finder = finder

    def get_code(self, fullname: str) -> CodeType | None:
        """The module's byte code."""
        found = self._finder.code(fullname)
        if found is None:
            return super().get_code(fullname)
        _renamed(found, self.path)
        return found


def _renamed(code: CodeType, file: str) -> None:
    """Have code name this file as its own, if it names another."""
    _imp._fix_co_filename(code, file)  # type: ignore[attr-defined]  # noqa: SLF001 - what `importlib` has for it


def _identity(status: os.stat_result) -> _Identity:
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


def write(directory: str = "") -> None:
    """Write the file, of the sources as they are.

    Args:
        directory: where the package will be, if not where it is.

    Raises:
        OSError: it can't be written.
        SyntaxError: a source is none of this Python's.
    """
    table: dict[str, Entry] = {}
    codes: list[bytes] = []
    begin = 0
    here = os.path.dirname(fruix.__file__)
    for name, below, base in sorted(_sources(here)):
        file = f"{here}{below}/{base}.py"
        status = os.stat(file)
        made = SourceFileLoader(name, file).get_code(name)
        assert made is not None
        _renamed(made, f"{directory or here}{below}/{base}.py")
        code = marshal.dumps(made)
        table[name] = begin, len(code), int(status.st_mtime), status.st_size, below, base
        codes.append(code)
        begin += len(code)
    told = marshal.dumps(table)
    os.makedirs(os.path.dirname(place()), exist_ok=True)
    fresh = f"{place()}.{os.getpid()}"
    with open(fresh, "wb", opener=lambda path, flags: os.open(path, flags, 0o644)) as stream:
        stream.write(b"".join([_HEAD, len(told).to_bytes(8, "little"), told, *codes]))
    os.replace(fresh, place())


def _sources(top: str, below: str = "") -> Iterator[tuple[str, str, str]]:
    """The modules of the package, but for itself: their names, and their places as `Entry` has them."""
    package = "fruix" + below.replace("/", ".")
    with os.scandir(top + below) as found:
        for entry in found:
            base, ending = os.path.splitext(entry.name)
            if os.path.exists(f"{entry.path}/__init__.py"):
                yield f"{package}.{base}", f"{below}/{base}", "__init__"
                yield from _sources(top, f"{below}/{base}")
            elif ending == ".py" and base != "__init__":
                yield f"{package}.{base}", below, base


if __name__ == "__main__":
    write(*sys.argv[1:])
