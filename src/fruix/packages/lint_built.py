"""What is wrong with a package's outputs.

That is: inputs that nothing refers to, references to native inputs, libraries that would come from
the host, and files that tell when or on which kernel they were made.

Outputs are read through the store's archives, so it works for a store elsewhere too. Cost: each
output is read once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from fruix.dataclass import dataclass, field
from fruix.model.elf import ElfFile, elf_in
from fruix.model.nar.members import members
from fruix.model.nar.stream_events import FileData, FileEnd, FileStart, Symlink
from fruix.model.storepath import StorePath
from fruix.packages.lint_definition import Finding
from fruix.packages.lower import Lowered, Lowering
from fruix.packages.package import Package
from fruix.store.interface import Store

_ELF = b"\x7fELF"
_GZIP = b"\x1f\x8b"
_GZIP_TIME = slice(4, 8)  # RFC 1952: MTIME, 0 if there is none


def lint_built(package: Package, work: Lowering, store: Store, kernel: str = "") -> Iterator[Finding]:
    """What is wrong with the outputs; one note if they are not built.

    `kernel`: the release of the kernel that they were built on, which nothing should tell.
    """
    outputs = work.lowered(package).derivation.output_paths
    if any(not store.is_valid(path) for path in outputs.values()):
        yield Finding("built", "note", "not built: outputs were not looked at", f"fruix build {package.name}")
        return
    references = {item for path in outputs.values() for item in store.references(path)}
    own = [_look(store, path, kernel.encode()) for path in outputs.values()]
    yield from _unused(package, work, references)
    yield from _run_paths(own, package, work, store)
    for file in [file for contents in own for file in contents.dated]:
        hint = "compress it by gzip -n, or leave it as it is"
        yield Finding("gzip-time", "warning", f"{file} tells when it was compressed", hint)
    for file in [file for contents in own for file in contents.of_kernel]:
        hint = "give its configuration another text than that of `uname -r`"
        yield Finding("kernel", "warning", f"{file} tells on which kernel it was built: {kernel}", hint)


def _unused(package: Package, work: Lowering, references: set[StorePath]) -> Iterator[Finding]:
    for item in package.inputs:
        if not _used(work.lowered(item), references):
            hint = "make it a native input if only the build needs it, else leave it out"
            yield Finding("inputs", "warning", f"no output refers to the input {item.full_name}", hint)
    for item in package.native_inputs:
        if _used(work.lowered(item), references):
            hint = "make it an input, or see to it that its path isn't written down"
            yield Finding("inputs", "warning", f"an output refers to the native input {item.full_name}", hint)


def _used(item: Lowered, references: set[StorePath]) -> bool:
    return not references.isdisjoint(item.derivation.output_paths.values())


@dataclass(slots=True)
class _Contents:
    """What an output holds.

    Attributes:
        names: of files and links, in full.
        elves: ELF files that need libraries.
        dated: gzip files with a time in them.
        of_kernel: files that name the kernel.
    """

    names: list[str] = field(default_factory=list)
    elves: list[tuple[str, ElfFile]] = field(default_factory=list)
    dated: list[str] = field(default_factory=list)
    of_kernel: list[str] = field(default_factory=list)


def _run_paths(own: Sequence[_Contents], package: Package, work: Lowering, store: Store) -> Iterator[Finding]:
    """Each library that is needed must be found by the run path, if an input or the package itself has it."""
    inputs = [
        _look(store, path)
        for item in (*package.inputs, *package.propagated_inputs)
        for path in work.lowered(item).derivation.output_paths.values()
        if store.is_valid(path)
    ]
    there = {name for contents in (*inputs, *own) for name in contents.names}
    offered = {name.rpartition("/")[2]: name for name in there if name.rpartition("/")[0].endswith("/lib")}
    for file, elf in [pair for contents in own for pair in contents.elves]:
        search = elf.search_from(file)
        for directory in search:
            if not directory.startswith(store.directory + "/"):
                message = f"{file} searches {directory}, which is not in the store"
                yield Finding("run-path", "error", message, "take it off the linker's arguments")
        for name in elf.needed:
            if name in offered and not any(
                f"{directory.rstrip('/')}/{name}" in there for directory in search
            ):
                message = f"{file} needs {offered[name]}, but its run path does not lead there"
                yield Finding("run-path", "error", message, "pass -Wl,-rpath to the linker")


def _look(store: Store, path: StorePath, kernel: bytes = b"") -> _Contents:
    found = _Contents()
    data = bytearray()
    before = b""  # the end of what came before in the same file
    for name, event in members(store.nar(path)):
        full = f"{path}/{name.decode('utf-8', 'surrogateescape')}"
        if isinstance(event, FileStart | Symlink):
            found.names.append(full)
            data.clear()
            before = b""
        elif isinstance(event, FileData):
            if not data or data.startswith(_ELF):
                data += event.data
            if kernel and kernel in (piece := before + event.data) and full not in found.of_kernel[-1:]:
                found.of_kernel.append(full)
            before = bytes(piece[-len(kernel) + 1 :]) if kernel else b""
        elif isinstance(event, FileEnd) and data.startswith(_GZIP) and any(data[_GZIP_TIME]):
            found.dated.append(full)
        elif isinstance(event, FileEnd) and data.startswith(_ELF):
            elf = elf_in(bytes(data))
            if elf is not None and elf.needed:
                found.elves.append((full, elf))
    return found
