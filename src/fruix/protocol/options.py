"""What a client sets for its session (operation 19), in both dialects' layouts.

The dialects order and name the same wishes differently; `ClientOptions` is their union. Settings by
name (`overrides`) stay texts here: what they mean is the daemon's decision. Clients send all that
they have; the values of those that mean nothing to a daemon are dropped while they are read.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fruix.dataclass import dataclass, field
from fruix.errors import FormatError
from fruix.overriding import override
from fruix.protocol.compound import read_items
from fruix.protocol.reader import Source
from fruix.protocol.records import Field, Record
from fruix.protocol.wire import (
    BOOL,
    LEVEL,
    NAME_LIMIT,
    TEXT_LIMIT,
    U64,
    Codec,
    Constant,
    Context,
    read_string,
    skip_string,
    write_string,
    write_u64,
)

NIX_DEFAULT_VERBOSITY = 3
# Of a client of Guix that sets nothing: its daemon then tells what it builds, and traces nothing.
GUIX_DEFAULT_VERBOSITY = 1
# The number of jobs of a client that sets no bound of its own (0 is a bound: no job at all).
ANY_JOBS = (1 << 32) - 1


@dataclass(frozen=True, slots=True)
class ClientOptions:
    """A session's wishes. Times in seconds; 0 means what the field's meaning of nothing is.

    `overrides`: settings by name; those that are not in `MEANINGFUL` come without their values.
    """

    keep_failed: bool = False
    keep_going: bool = False
    fallback: bool = False
    verbosity: int = 0
    build_verbosity: int = 0
    max_jobs: int = ANY_JOBS
    max_silent_time: int = 0
    cores: int = 0
    use_substitutes: bool = True
    offload: bool = True
    log_type: int = 0
    print_build_trace: bool = True
    overrides: Mapping[str, str] = field(default_factory=dict)


# Settings that mean something to a daemon. Guix's names begin with `build-`.
MEANINGFUL = frozenset(
    {
        "timeout", "max-silent-time", "max-build-log-size", "cores", "max-jobs", "keep-failed",
        "keep-going", "repeat",
        "build-timeout", "build-max-silent-time", "build-max-log-size", "build-cores", "build-max-jobs",
        "build-repeat",
        "keep-outputs", "keep-derivations", "gc-keep-outputs", "gc-keep-derivations",
        "multiplexed-build-output", "print-extended-build-trace", "auto-optimise-store",
        "substitute", "fallback", "substituters", "extra-substituters", "substitute-urls",
        "post-build-hook", "impure-env", "builders", "builders-use-substitutes",
        "require-sigs", "trusted-public-keys", "extra-trusted-public-keys", "secret-key-files",
    }
)  # fmt: skip
# Those of them that are lists of keys, and all whose values are longer than others.
KEY_LISTS = frozenset({"trusted-public-keys", "extra-trusted-public-keys"})
# Those that are lists of addresses of binary caches.
CACHE_LISTS = frozenset({"substituters", "extra-substituters", "substitute-urls"})
_LONG = KEY_LISTS | CACHE_LISTS | {"secret-key-files", "builders"}
SETTINGS_LIMIT = 1 << 10
# Bytes of a value that means something.
VALUE_LIMIT = 64
LONG_LIMIT = 1 << 14


class Overrides(Codec[Mapping[str, str]]):
    """A map from names of settings to texts; of the values only those in `MEANINGFUL` are kept."""

    def __init__(self, *, ordered: bool) -> None:
        """`ordered`: written in the order of the names."""
        self._ordered = ordered

    @override
    def read(self, source: Source, _context: Context) -> list[tuple[str, bytes]]:

        def pair() -> tuple[str, bytes]:
            name = str(read_string(source, NAME_LIMIT), "utf-8", "surrogateescape")
            if name in MEANINGFUL:
                return name, read_string(source, TEXT_LIMIT)
            skip_string(source, TEXT_LIMIT)
            return name, b""

        return read_items(source, SETTINGS_LIMIT, pair)

    @override
    def parse(self, raw: Any, _context: Context) -> dict[str, str]:
        for name, value in raw:
            if len(value) > (LONG_LIMIT if name in _LONG else VALUE_LIMIT):
                raise FormatError(f"setting '{name}' has a value of {len(value)} bytes")
        found = {name: str(value, "utf-8", "surrogateescape") for name, value in raw}
        if len(found) != len(raw):
            raise FormatError("a setting is given twice")
        return found

    @override
    def write(self, sink: bytearray, value: Mapping[str, str], _context: Context) -> None:
        write_u64(sink, len(value))
        for name in sorted(value) if self._ordered else value:
            write_string(sink, name.encode("utf-8", "surrogateescape"))
            write_string(sink, value[name].encode("utf-8", "surrogateescape"))


_HEAD = (
    Field("keep_failed", BOOL),
    Field("keep_going", BOOL),
    Field("fallback", BOOL),
    Field("verbosity", LEVEL),
)
NIX_OPTIONS = Record(
    ClientOptions,
    (
        *_HEAD,
        Field("max_jobs", U64),
        Field("max_silent_time", U64),
        Field("obsolete hook", Constant(1)),
        Field("build_verbosity", U64),
        Field("obsolete log type", Constant(0)),
        Field("obsolete trace", Constant(0)),
        Field("cores", U64),
        Field("use_substitutes", BOOL),
        Field("overrides", Overrides(ordered=True)),
    ),
)
GUIX_OPTIONS = Record(
    ClientOptions,
    (
        *_HEAD,
        Field("offload", BOOL),
        Field("build_verbosity", U64),
        Field("log_type", U64),
        Field("print_build_trace", BOOL),
        Field("use_substitutes", BOOL),
        Field("overrides", Overrides(ordered=False)),
    ),
)
