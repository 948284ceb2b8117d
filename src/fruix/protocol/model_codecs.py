"""Codecs of the model's values: store paths, hashes, path infos, derivations, build results.

Texts become values in `parse`, when the whole message has been read. Where the two dialects write one value differently
(derived paths), the context says which form is meant.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from fruix.errors import FormatError
from fruix.model.buildresult import BuildMode, BuildResult, BuildStatus
from fruix.model.contentaddress import ContentAddress
from fruix.model.derivation import Derivation, DerivationOutput
from fruix.model.derivedpath import ALL, DerivedPath
from fruix.model.hashes import Hash
from fruix.model.pathinfo import PathInfo
from fruix.model.storepath import StorePath
from fruix.protocol.reader import Source
from fruix.protocol.schema import Field, Record
from fruix.protocol.wire import (
    BOOL,
    I64,
    NAME,
    TEXT,
    U64,
    Context,
    Converted,
    List,
    Map,
    Maybe,
    Pair,
)

# What one build may have: far more than any derivation in use, far less than would hurt.
OUTPUTS_LIMIT = 1 << 10
_OUTPUT = 80  # bytes that an output's name takes: a text, and places for it


def _path(text: str, context: Context) -> StorePath:
    return StorePath.parse(text, context.directory)


def _optional_path(text: str, context: Context) -> StorePath | None:
    return StorePath.parse(text, context.directory) if text else None


def _derived(text: str, context: Context) -> DerivedPath:
    parse = DerivedPath.parse_nix if context.dialect.value == "nix" else DerivedPath.parse_guix
    return parse(text, context.directory)


def _derived_text(value: DerivedPath, context: Context) -> str:
    # In the Guix dialect a derivation alone stands for all of its outputs.
    if context.dialect.value == "guix" and value.outputs == ALL:
        return str(value.path)
    return str(value)


def _hash(text: str, _context: Context) -> Hash:
    return Hash.parse(text, "sha256")


def _address(text: str, _context: Context) -> ContentAddress | None:
    return ContentAddress.parse(text) if text else None


PATH = Converted(_path, lambda value, _: str(value))
OPTIONAL_PATH = Converted(_optional_path, lambda value, _: str(value) if value else "")
BASE_NAME = Converted(
    lambda text, context: StorePath.of(context.directory, text), lambda value, _: value.base
)
PATHS = List(PATH)
PATH_SET = List(PATH, ordered=True)
NAMES = List(NAME)
HASH = Converted(_hash, lambda value, _: value.base16)
ADDRESS = Converted(_address, lambda value, _: str(value) if value else "")


class _Derived(Converted[DerivedPath]):
    """A derived path. Names of outputs can be very short, so that they are counted apart from the text."""

    def read(self, source: Source, context: Context) -> bytes:
        """See `Codec`."""
        data = super().read(source, context)
        source.charge(_OUTPUT * (data.count(b",") + 2))
        return data


DERIVED = _Derived(_derived, _derived_text, 1 << 16)
SIGNATURES = List(NAME, limit=1 << 10)


@dataclass(frozen=True, slots=True)
class UnkeyedInfo:
    """A `PathInfo` without its path, as replies to a question about one path carry it."""

    deriver: StorePath | None
    nar_hash: Hash
    references: tuple[StorePath, ...]
    registration_time: int
    nar_size: int
    ultimate: bool = False
    signatures: tuple[str, ...] = ()
    content_address: ContentAddress | None = None

    @classmethod
    def of(cls, info: PathInfo) -> UnkeyedInfo:
        """Without the path."""
        return cls(**{part.name: getattr(info, part.name) for part in fields(cls)})

    def keyed(self, path: StorePath) -> PathInfo:
        """With the path."""
        return PathInfo(path=path, **{part.name: getattr(self, part.name) for part in fields(self)})


@dataclass(frozen=True, slots=True)
class Missing:
    """What a build would do, as the client is told before it."""

    will_build: tuple[StorePath, ...] = ()
    will_substitute: tuple[StorePath, ...] = ()
    unknown: tuple[StorePath, ...] = ()
    download_size: int = 0
    nar_size: int = 0


@dataclass(frozen=True, slots=True)
class SubstitutableInfo:
    """What a substituter would say of a path; the path is left out where the question named it."""

    deriver: StorePath | None
    references: tuple[StorePath, ...]
    download_size: int
    nar_size: int
    path: StorePath | None = None


@dataclass(frozen=True, slots=True)
class Root:
    """A garbage collection root: the link (or a word in braces) and what it keeps."""

    link: str
    target: StorePath


@dataclass(frozen=True, slots=True)
class Realisation:
    """An output of a derivation by its hash, and where it is."""

    id: str
    path: StorePath

    def to_text(self) -> str:
        """The JSON form, byte for byte as the peers write it."""
        value = {"dependentRealisations": {}, "id": self.id, "outPath": self.path.base, "signatures": []}
        return json.dumps(value, separators=(",", ":"), sort_keys=True)

    @classmethod
    def parse(cls, text: str, directory: str) -> Realisation:
        """From the JSON form.

        Raises:
            FormatError: something else.
        """
        try:
            value = json.loads(text)
            return cls(str(value["id"]), StorePath.of(directory, str(value["outPath"])))
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise FormatError(f"no realisation: {error}") from None


REALISATION = Converted(
    lambda text, context: Realisation.parse(text, context.directory),
    lambda value, _: value.to_text(),
    1 << 16,
)

# Minor 16 and later: all fields. Guix stayed at the older form, which is GUIX_INFO.
_INFO = (
    Field("deriver", OPTIONAL_PATH),
    Field("nar_hash", HASH),
    Field("references", PATH_SET),
    Field("registration_time", I64),
    Field("nar_size", U64),
)
_INFO_EXTRAS = (Field("ultimate", BOOL), Field("signatures", SIGNATURES), Field("content_address", ADDRESS))
UNKEYED_INFO = Record(UnkeyedInfo, (*_INFO, *_INFO_EXTRAS))
KEYED_INFO = Record(PathInfo, (Field("path", PATH), *_INFO, *_INFO_EXTRAS))
GUIX_INFO = Record(UnkeyedInfo, _INFO)

MISSING = Record(
    Missing,
    (
        Field("will_build", PATH_SET),
        Field("will_substitute", PATH_SET),
        Field("unknown", PATH_SET),
        Field("download_size", U64),
        Field("nar_size", U64),
    ),
)
_SUBSTITUTABLE = (
    Field("deriver", OPTIONAL_PATH),
    Field("references", PATH_SET),
    Field("download_size", U64),
    Field("nar_size", U64),
)
SUBSTITUTABLE = Record(SubstitutableInfo, (Field("path", PATH), *_SUBSTITUTABLE))
SUBSTITUTABLE_DETAILS = Record(SubstitutableInfo, _SUBSTITUTABLE)
ROOT = Record(Root, (Field("link", NAME), Field("target", PATH)))


def _mode(value: int, _context: Context) -> BuildMode:
    try:
        return BuildMode(value)
    except ValueError:
        raise FormatError(f"unknown build mode {value}") from None


class _Mode:
    """A build mode; unknown ones are an error of the request."""

    def read(self, source: Source, _context: Context) -> int:
        """See `Codec`."""
        return source.u64()

    def parse(self, raw: Any, context: Context) -> BuildMode:
        """See `Codec`."""
        return _mode(raw, context)

    def write(self, sink: bytearray, value: BuildMode, context: Context) -> None:
        """See `Codec`."""
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
class _BuildResultCodec:
    """A build result; its outputs travel as realisations, whose ids carry the derivation's hash."""

    head: Record[dict[str, Any]]
    outputs: Map[str, Realisation]

    def read(self, source: Source, context: Context) -> tuple[list[Any], list[Any]]:
        """See `Codec`."""
        return self.head.read(source, context), self.outputs.read(source, context)

    def parse(self, raw: Any, context: Context) -> BuildResult:
        """See `Codec`."""
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

    def write(self, sink: bytearray, value: BuildResult, context: Context) -> None:
        """See `Codec`."""
        self.head.write(sink, value, context)  # type: ignore[arg-type]
        self.outputs.write(sink, _realisations(value), context)


def _realisations(result: BuildResult) -> Mapping[str, Realisation]:
    ids = {f"sha256:{result.drv_hash}!{name}": path for name, path in result.outputs.items()}
    return {identity: Realisation(identity, path) for identity, path in ids.items()}


BUILD_RESULT = _BuildResultCodec(
    Record(
        dict,
        (
            Field("status", U64),
            Field("message", TEXT),
            Field("times_built", U64),
            Field("non_deterministic", BOOL),
            Field("start_time", I64),
            Field("stop_time", I64),
            Field("cpu_user_us", Maybe(I64), since=37),
            Field("cpu_system_us", Maybe(I64), since=37),
        ),
    ),
    Map(Converted(lambda text, _: text, lambda text, _: text), REALISATION, limit=OUTPUTS_LIMIT),
)
RESULT_FOR = Pair(DERIVED, BUILD_RESULT)
