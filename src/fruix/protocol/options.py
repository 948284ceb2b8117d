"""What a client sets for its session (operation 19), in both dialects' layouts.

The dialects order and name the same wishes differently; `ClientOptions` is their union. Settings by name (`overrides`)
stay texts here: which of them a user may set, and what they mean, is the daemon's decision.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from fruix.protocol.layout import Field, Record
from fruix.protocol.wire import BOOL, NAME, TEXT, U64, Constant, Map

NIX_DEFAULT_VERBOSITY = 3
# The number of jobs of a client that sets no bound of its own (0 is a bound: no job at all).
ANY_JOBS = (1 << 32) - 1


@dataclass(frozen=True, slots=True)
class ClientOptions:
    """A session's wishes. Times in seconds; 0 means what the field's meaning of nothing is."""

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


_HEAD = (
    Field("keep_failed", BOOL),
    Field("keep_going", BOOL),
    Field("fallback", BOOL),
    Field("verbosity", U64),
)
SETTINGS_LIMIT = 1 << 10

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
        Field("overrides", Map(NAME, TEXT, SETTINGS_LIMIT)),
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
        Field("overrides", Map(NAME, TEXT, SETTINGS_LIMIT, ordered=False)),
    ),
)
