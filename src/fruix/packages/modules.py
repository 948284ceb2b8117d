"""Files of the user's as Python modules.

Each is read once, with the words of definitions in it, and with the files beside it to import.

`import helpers` in a file finds `helpers.py` in the same directory, never in that of another file,
and before what is installed; the standard library goes before both, so that a package's file may be
called `zlib.py`. No byte code is written. These files run with the user's rights, in the client.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from importlib.machinery import FileFinder, ModuleSpec, SourceFileLoader
from importlib.util import module_from_spec
from types import CodeType, ModuleType
from typing import Any

from fruix.dataclass import dataclass, field
from fruix.errors import UsageError
from fruix.overriding import override
from fruix.packages.place import USERS

_FRAMES = 1000  # what each file may use of the interpreter's stack, however many wait for it
_NOT_BESIDE = sys.stdlib_module_names | {"fruix", "rich"}


@dataclass(slots=True)
class _Neighbours:
    """What files of one directory imported from beside them.

    `names` are those that the finder found here, `modules` all that were loaded for them.
    """

    directory: str
    names: set[str] = field(default_factory=set)
    modules: dict[str, ModuleType] = field(default_factory=dict)

    def show(self) -> None:
        """Put the modules on the interpreter's list (`sys.modules`)."""
        sys.modules.update(self.modules)

    def hide(self) -> None:
        """Take them off the list, with the modules inside of them."""
        self.modules = {
            name: module for name, module in sys.modules.items() if name.partition(".")[0] in self.names
        }
        for name in self.modules:
            del sys.modules[name]


class Modules:
    """All files that were read so far. For one thread: the interpreter has one list of modules."""

    def __init__(self, words: Mapping[str, Any]) -> None:
        self._words = {**words, USERS: True}
        self._read: dict[str, ModuleType] = {}  # by absolute path
        self._running: list[str] = []  # absolute paths, innermost last
        self._neighbours: dict[str, _Neighbours] = {}  # by directory
        self._reading: list[_Neighbours] = []  # of the files that are being read, innermost last

    def read(self, path: str) -> ModuleType:
        """The module of a file; run now unless it was before.

        Raises:
            OSError: it can't be read.
            UsageError: it is being read: files need each other in a circle.
            BaseException: whatever the file raises; it is run again the next time.
        """
        whole = os.path.abspath(path)
        if whole in self._running:
            circle = " → ".join([*self._running[self._running.index(whole) :], whole])
            raise UsageError(
                f"package files need each other in a circle: {circle}", hint="take one of these inputs out"
            )
        if whole in self._read:
            return self._read[whole]
        name = f"fruix_file:{whole}"
        loader = _Loader(name, path, self)
        spec = ModuleSpec(name, loader, origin=path)
        spec.has_location = True
        module = module_from_spec(spec)
        sys.modules[name] = module  # where `dataclass` and `typing` look for the names of annotations
        try:
            with self._importing(os.path.dirname(whole)):
                loader.exec_module(module)
        except BaseException:
            del sys.modules[name]
            raise
        return module

    def known(self, path: str) -> ModuleType | None:
        """The module of a file that was read or is being read."""
        return self._read.get(os.path.abspath(path))

    @contextmanager
    def running(self, path: str, module: ModuleType) -> Iterator[None]:
        """For the length of the context a module is run for the first time.

        It counts as read from now on, so that files may need each other; not if it fails.
        """
        whole = os.path.abspath(path)
        vars(module).update(self._words)
        self._read[whole] = module
        self._running.append(whole)
        try:
            yield
        except BaseException:
            del self._read[whole]
            raise
        finally:
            self._running.pop()

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, _target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Find a module beside the file that is being read; called by the import system."""
        if path is not None or name in _NOT_BESIDE:
            return None
        neighbours = self._reading[-1]
        finder = FileFinder(neighbours.directory, (partial(_Loader, modules=self), [".py"]))  # type: ignore[arg-type]
        spec = finder.find_spec(name)
        if spec is not None:
            neighbours.names.add(name)
        return spec

    @contextmanager
    def _importing(self, directory: str) -> Iterator[None]:
        """For the length of the context the files of this directory can be imported.

        Those beside the file that asked for this one can't.
        """
        if self._reading:
            self._reading[-1].hide()
        else:
            sys.meta_path.insert(0, self)
        neighbours = self._neighbours.setdefault(directory, _Neighbours(directory))
        self._reading.append(neighbours)
        neighbours.show()
        try:
            yield
        finally:
            self._reading.pop().hide()
            if self._reading:
                self._reading[-1].show()
            else:
                sys.meta_path.remove(self)


class _Loader(SourceFileLoader):
    """Runs each file once, by whichever name it is asked for, and keeps no byte code."""

    def __init__(self, name: str, path: str, modules: Modules) -> None:
        super().__init__(name, path)
        self._modules = modules

    @override
    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        # The same module as before, if the file was read under another name.
        return self._modules.known(self.path)

    @override
    def exec_module(self, module: ModuleType) -> None:
        if self._modules.known(self.path) is None:
            with self._modules.running(self.path, module), _deeper_stack():
                super().exec_module(module)

    @override
    def get_code(self, fullname: str) -> CodeType:
        path = self.get_filename(fullname)
        return self.source_to_code(self.get_data(path), path)


@contextmanager
def _deeper_stack() -> Iterator[None]:
    """Give a file as much of the interpreter's stack as the first of a chain has.

    A chain of files that need each other is as deep as it is long.
    """
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(limit + _FRAMES)
    try:
        yield
    finally:
        sys.setrecursionlimit(limit)
