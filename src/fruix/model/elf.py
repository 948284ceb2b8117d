"""What an executable or shared library asks of the loader.

Interpreter, needed libraries, where to search. ELF, little endian.

Just `struct`, no running of `ldd` (which would run the file). Program headers only, as the loader
does it: section headers may be stripped. Everything is read at given offsets and with limits, by a
function `read(size, offset)` as `pread` is one, so a broken file costs little and is simply no ELF
file. Format: the generic ABI (gABI).
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator

from fruix.dataclass import dataclass

_MAGIC = b"\x7fELF"
_LITTLE_ENDIAN = 1
_PT_LOAD, _PT_DYNAMIC, _PT_INTERP = 1, 2, 3
_DT_NULL, _DT_NEEDED, _DT_STRTAB, _DT_RPATH, _DT_RUNPATH = 0, 1, 5, 15, 29
_LIMIT = 1 << 20
_LONGEST_STRING = 4096
_FARTHEST = 1 << 62
_MOST_HEADERS = 4096


Read = Callable[[int, int], bytes]


@dataclass(frozen=True, slots=True)
class ElfFile:
    """One file. `machine` and `bits` must be equal for one to load the other.

    Attributes:
        interpreter: the loader's path, empty for libraries and static programs.
        needed: names of shared libraries, in order.
        search: directories of its own to search first, `$ORIGIN` not yet replaced.
    """

    bits: int
    machine: int
    interpreter: str = ""
    needed: tuple[str, ...] = ()
    search: tuple[str, ...] = ()

    def search_from(self, path: str) -> tuple[str, ...]:
        """`search` for a file whose canonical path is `path`.

        Entries that aren't absolute then are dropped.
        """
        origin = path.rpartition("/")[0]
        filled = (item.replace("${ORIGIN}", origin).replace("$ORIGIN", origin) for item in self.search)
        return tuple(item for item in filled if item.startswith("/"))


@dataclass(frozen=True, slots=True)
class _Layout:
    """The two classes: the header after the identification, a program header, a dynamic entry.

    `fields`: where in a program header type, offset, address and size in the file are.
    """

    bits: int
    header: struct.Struct
    program: struct.Struct
    dynamic: struct.Struct
    fields: tuple[int, int, int, int]


_LAYOUTS = {
    1: _Layout(32, struct.Struct("<HHIIIIIHHH"), struct.Struct("<8I"), struct.Struct("<iI"), (0, 1, 2, 4)),
    2: _Layout(
        64, struct.Struct("<HHIQQQIHHH"), struct.Struct("<IIQQQQQQ"), struct.Struct("<qQ"), (0, 2, 3, 5)
    ),
}


@dataclass(frozen=True, slots=True)
class _Segment:
    kind: int
    offset: int
    address: int
    size: int


def parse_elf(read: Read) -> ElfFile | None:
    """What a file says.

    None if it is no ELF file of a kind that is understood, is cut off or contradicts itself.
    """
    try:
        return _parse(read)
    except (struct.error, ValueError):
        return None


def elf_in(data: bytes) -> ElfFile | None:
    """The same for a file in memory."""
    return parse_elf(lambda size, offset: data[offset : offset + size])


def _parse(read: Read) -> ElfFile | None:
    identification = read(16, 0)
    if identification[:4] != _MAGIC or len(identification) < 16 or identification[5] != _LITTLE_ENDIAN:
        return None
    layout = _LAYOUTS.get(identification[4])
    if layout is None:
        return None
    head = layout.header.unpack(_read(read, 16, layout.header.size))
    segments = list(_segments(read, layout, offset=head[4], entry=head[8], count=head[9]))
    strings: dict[int, list[str]] = {}
    for segment in segments:
        if segment.kind == _PT_DYNAMIC:
            strings = _dynamic(read, layout, segment, segments)
    interpreter = next((item for item in segments if item.kind == _PT_INTERP), None)
    search = strings.get(_DT_RUNPATH) or strings.get(_DT_RPATH, [])
    return ElfFile(
        bits=layout.bits,
        machine=head[1],
        interpreter=_string(read, interpreter.offset) if interpreter else "",
        needed=tuple(strings.get(_DT_NEEDED, ())),
        search=tuple(item for text in search for item in text.split(":") if item),
    )


def _segments(read: Read, layout: _Layout, *, offset: int, entry: int, count: int) -> Iterator[_Segment]:
    if count > _MOST_HEADERS or (count and entry < layout.program.size):
        raise ValueError("implausible program headers")
    table = _read(read, offset, entry * count)
    for index in range(count):
        values = layout.program.unpack_from(table, index * entry)
        yield _Segment(*(values[field] for field in layout.fields))


def _dynamic(
    read: Read, layout: _Layout, dynamic: _Segment, segments: list[_Segment]
) -> dict[int, list[str]]:
    """Tag → strings, for the tags whose values are offsets into the string table."""
    data = _read(read, dynamic.offset, dynamic.size)
    whole = len(data) - len(data) % layout.dynamic.size
    values: dict[int, list[int]] = {}
    for tag, value in layout.dynamic.iter_unpack(data[:whole]):
        if tag == _DT_NULL:
            break
        values.setdefault(tag, []).append(value)
    if _DT_STRTAB not in values:
        return {}
    # String by string: the table of a compiler that serves plugins is megabytes long.
    table = _file_offset(values[_DT_STRTAB][0], segments)
    wanted = (_DT_NEEDED, _DT_RPATH, _DT_RUNPATH)
    return {tag: [_string(read, table + at) for at in values[tag]] for tag in wanted if tag in values}


def _file_offset(address: int, segments: list[_Segment]) -> int:
    for segment in segments:
        if segment.kind == _PT_LOAD and segment.address <= address < segment.address + segment.size:
            return address - segment.address + segment.offset
    raise ValueError("string table outside of every segment")


def _read(read: Read, offset: int, size: int) -> bytes:
    if size > _LIMIT or offset > _FARTHEST:
        raise ValueError("implausibly big")
    data = read(size, offset)
    if len(data) != size:
        raise ValueError("cut off")
    return data


def _string(read: Read, offset: int) -> str:
    """Up to the zero byte that ends it."""
    if offset > _FARTHEST:
        raise ValueError("implausibly far")
    data = read(_LONGEST_STRING, offset)
    return data[: data.index(b"\0")].decode("utf-8", "surrogateescape")
