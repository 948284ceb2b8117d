"""Codecs of what is built: derived paths, derivations, modes, results and realisations.

Where the two dialects write one value differently (derived paths), the context says which form is
meant.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fruix.dataclass import dataclass, replace
from fruix.errors import FormatError
from fruix.model.buildresult import BuildMode, BuildResult, BuildStatus
from fruix.model.derivation import Derivation, DerivationOutput
from fruix.model.derivedpath import DerivedPath
from fruix.model.realisation import Realisation, realisation_id
from fruix.model.storepath import StorePath
from fruix.overriding import override
from fruix.protocol.advice import advised
from fruix.protocol.compound import List, Map, Maybe, Pair
from fruix.protocol.model_codecs import OPTIONAL_PATH, PATHS
from fruix.protocol.reader import Source
from fruix.protocol.records import Field, Record
from fruix.protocol.wire import BOOL, I64, NAME, TEXT, U64, Codec, Context, Converted, Dialect

# What one build may have: far more than any derivation in use, far less than would hurt.
OUTPUTS_LIMIT = 1 << 10
# Minor versions of the Nix dialect since which there are paths of derivations and outputs, and results
# have outputs.
_DERIVED_SINCE, _OUTPUTS_SINCE = 30, 28
_OUTPUT = 80  # bytes that an output's name takes: a text, and places for it


def _derived(text: str, context: Context) -> DerivedPath:
    parse = DerivedPath.parse_guix if _is_older_form(context) else DerivedPath.parse_nix
    return parse(text, context.directory)


def _derived_text(value: DerivedPath, context: Context) -> str:
    return value.guix_text() if _is_older_form(context) else str(value)


def _is_older_form(context: Context) -> bool:
    """Whether a derivation alone stands for all its outputs."""
    return context.dialect is Dialect.GUIX or context.minor < _DERIVED_SINCE


class _Derived(Converted[DerivedPath]):
    """A derived path. Names of outputs can be very short, so that they are counted apart from the text."""

    @override
    def read(self, source: Source, context: Context) -> bytes:
        data = super().read(source, context)
        source.charge(_OUTPUT * (data.count(b",") + data.count(b"!") + 2))
        return data


DERIVED = _Derived(_derived, _derived_text, 1 << 16)
DERIVED_PATHS = List(DERIVED)


REALISATION = Converted(
    lambda text, context: Realisation.parse(text, context.directory),
    lambda value, _: value.to_text(),
    1 << 16,
)


class _Mode(Codec[BuildMode]):
    """A build mode; unknown ones are an error of the request."""

    @override
    def read(self, source: Source, _context: Context) -> int:
        return source.u64()

    @override
    def parse(self, raw: Any, _context: Context) -> BuildMode:
        try:
            return BuildMode(raw)
        except ValueError:
            raise FormatError(f"unknown build mode {raw}") from None

    @override
    def write(self, sink: bytearray, value: BuildMode, context: Context) -> None:
        U64.write(sink, int(value), context)


MODE = _Mode()
OUTPUT = Record(
    DerivationOutput,
    (Field("path", OPTIONAL_PATH), Field("method_algorithm", NAME), Field("hash", NAME)),
)


def _basic_derivation(**values: Any) -> Derivation:
    """A derivation without a name and without the recipes of its inputs (they are all sources here)."""
    return Derivation(name="", input_drvs={}, **values)


BASIC_DERIVATION = Record(
    _basic_derivation,
    (
        Field("outputs", Map(NAME, OUTPUT, limit=OUTPUTS_LIMIT)),
        Field("input_srcs", PATHS),
        Field("system", NAME),
        Field("builder", TEXT),
        Field("args", List(TEXT)),
        Field("env", Map(TEXT, TEXT)),
    ),
)


@dataclass(frozen=True, slots=True)
class _BuildResultCodec(Codec[BuildResult]):
    """A build result; its outputs travel as realisations, whose ids carry the derivation's hash."""

    head: Record[dict[str, Any]]
    outputs: Map[str, Realisation]

    @override
    def read(self, source: Source, context: Context) -> tuple[list[Any], list[Any]]:
        head = self.head.read(source, context)
        return head, self.outputs.read(source, context) if context.minor >= _OUTPUTS_SINCE else []

    @override
    def parse(self, raw: Any, context: Context) -> BuildResult:
        values = self.head.parse(raw[0], context)
        try:
            values["status"] = BuildStatus(values["status"])
        except ValueError:
            raise FormatError(f"unknown build status {values['status']}") from None
        outputs: dict[str, StorePath] = {}
        for identity, realisation in self.outputs.parse(raw[1], context).items():
            drv_hash, _, name = identity.rpartition("!")
            values["drv_hash"] = drv_hash.removeprefix("sha256:")
            outputs[name] = realisation.path
        return BuildResult(outputs=outputs, **values)

    @override
    def write(self, sink: bytearray, value: BuildResult, context: Context) -> None:
        told = replace(value, message=advised(value.message, value.hint, context))
        self.head.write(sink, told, context)  # type: ignore[arg-type]
        if context.minor >= _OUTPUTS_SINCE:
            self.outputs.write(sink, realisations(value), context)


def realisations(result: BuildResult) -> Mapping[str, Realisation]:
    """The outputs of a build as realisations, by their ids."""
    ids = {realisation_id(result.drv_hash, name): path for name, path in result.outputs.items()}
    return {identity: Realisation(identity, path) for identity, path in ids.items()}


BUILD_RESULT = _BuildResultCodec(
    Record(
        dict,
        (
            Field("status", U64),
            Field("message", TEXT),
            Field("times_built", U64, since=29),
            Field("non_deterministic", BOOL, since=29),
            Field("start_time", I64, since=29),
            Field("stop_time", I64, since=29),
            Field("cpu_user_us", Maybe(I64), since=37),
            Field("cpu_system_us", Maybe(I64), since=37),
        ),
    ),
    Map(NAME, REALISATION, limit=OUTPUTS_LIMIT),
)
RESULT_FOR = Pair(DERIVED, BUILD_RESULT)
