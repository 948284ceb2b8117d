"""What a binary cache says of a store path: narinfo files, as Nix's caches and `guix publish` write them.

Lines `Name: value`. Both worlds have StorePath, NarHash, NarSize, References and Deriver. Nix adds
Sig (`NAME:BASE64` over `PathInfo.fingerprint`) and CA, and offers one archive. Guix adds Signature
(`1;HOST;BASE64` of an s-expression over the SHA-256 of all lines above it) and may offer several
archives: the n-th URL belongs to the n-th Compression, FileSize and FileHash.

Paths, hashes and sizes are parsed here; nobody has looked yet whether a signature is good.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence

from fruix.dataclass import dataclass, field
from fruix.errors import BadHashError, BadStorePathError, FormatError
from fruix.model.contentaddress import ContentAddress
from fruix.model.hashes import Hash, sha256
from fruix.model.pathinfo import PathInfo
from fruix.model.storepath import StorePath

# What a missing Compression means, to Nix.
_DEFAULT = "bzip2"
_UNKNOWN_DERIVER = "unknown-deriver"
_SIGNATURE = b"Signature:"
# Names that a signature has to cover.
_SIGNED = (b"StorePath:", b"NarHash:", b"References:")
_REPEATED = frozenset({"URL", "Compression", "FileSize", "FileHash", "Sig"})
_MOST_DIGITS = 18  # less than 2**63


@dataclass(frozen=True, slots=True)
class Archive:
    """Where the archive can be had.

    Attributes:
        url: relative to the cache's address, or whole.
        size: bytes of the compressed file; 0: not known.
        hash: of the compressed file, if it is said.
    """

    url: str
    compression: str
    size: int = 0
    hash: Hash | None = None


@dataclass(frozen=True, slots=True)
class NarInfo:
    """One file's contents.

    Attributes:
        info: as it would be registered; a size of 0 is not known (old servers of Guix).
        archives: at least one.
        guix_signature: the s-expression; empty: there is none.
        signed: the SHA-256 that it should be of.
    """

    info: PathInfo
    archives: tuple[Archive, ...]
    guix_signature: bytes = b""
    signed: bytes = field(default=b"", repr=False)


def parse(data: bytes, directory: str) -> NarInfo:
    """Read a file.

    Args:
        data: the whole file.
        directory: the store that its paths have to belong to.

    Raises:
        FormatError: it is none, or of another store.
    """
    values = _lines(data)
    try:
        info = _info(values, directory)
        archives = tuple(_archives(values))
    except (BadHashError, BadStorePathError) as error:
        raise FormatError(error.message) from error
    signature, signed = _signature(data, values)
    return NarInfo(info, archives, signature, signed)


def _lines(data: bytes) -> Mapping[str, Sequence[str]]:
    """All values by name, in order; of an unknown name too."""
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise FormatError("it is no UTF-8 text") from error
    found: dict[str, list[str]] = {}
    for number, line in enumerate(text.rstrip("\n").split("\n"), 1):
        name, colon, value = line.partition(":")
        if not colon:
            raise FormatError(f"line {number} is no 'Name: value'")
        values = found.setdefault(name, [])
        if values and name not in _REPEATED:
            raise FormatError(f"line {number} says '{name}' again")
        values.append(value.strip())
    return found


def _one(values: Mapping[str, Sequence[str]], name: str) -> str:
    return values[name][0] if name in values else ""


def _needed(values: Mapping[str, Sequence[str]], name: str) -> str:
    if not (value := _one(values, name)):
        raise FormatError(f"there is no '{name}'")
    return value


def _info(values: Mapping[str, Sequence[str]], directory: str) -> PathInfo:
    def path(base: str) -> StorePath:
        return StorePath.of(directory, base)

    deriver, address = _one(values, "Deriver"), _one(values, "CA")
    hashed = Hash.parse(_needed(values, "NarHash"))
    if hashed.algorithm != "sha256":
        raise FormatError("'NarHash' is no SHA-256")
    return PathInfo(
        path=StorePath.parse(_needed(values, "StorePath"), directory),
        nar_hash=hashed,
        nar_size=_size(_one(values, "NarSize") or "0", "NarSize"),
        references=tuple(sorted({path(base) for base in _one(values, "References").split()})),
        deriver=path(deriver) if deriver not in {"", _UNKNOWN_DERIVER} else None,
        signatures=tuple(sorted(set(values.get("Sig", ())))),
        content_address=ContentAddress.parse(address) if address else None,
    )


def _archives(values: Mapping[str, Sequence[str]]) -> list[Archive]:
    urls = values.get("URL", ())
    if not urls or not all(urls):
        raise FormatError("there is no 'URL'")

    def nth(name: str, number: int) -> str:
        row = values.get(name, ())
        return row[number] if number < len(row) else ""

    found = []
    for number, url in enumerate(urls):
        size, digest = nth("FileSize", number), nth("FileHash", number)
        found.append(
            Archive(
                url,
                nth("Compression", number) or _DEFAULT,
                _size(size or "0", "FileSize"),
                Hash.parse(digest) if digest else None,
            )
        )
    return found


def _size(text: str, name: str) -> int:
    if not text.isascii() or not text.isdecimal() or len(text) > _MOST_DIGITS:
        raise FormatError(f"'{name}' is no number of bytes: '{text}'")
    return int(text)


def _signature(data: bytes, values: Mapping[str, Sequence[str]]) -> tuple[bytes, bytes]:
    """Guix's signature and the SHA-256 of what it covers; nothing if it covers too little."""
    value = _one(values, "Signature")
    if not value:
        return b"", b""
    covered = data[: _begin_of_signature(data)]
    lines = covered.split(b"\n")
    if not all(any(line.startswith(name) for line in lines) for name in _SIGNED):
        return b"", b""
    version, _, rest = value.partition(";")
    try:
        decoded = base64.b64decode(rest.partition(";")[2], validate=True)
    except (ValueError, binascii.Error) as error:
        raise FormatError("'Signature' is no base64") from error
    if version != "1" or not decoded:
        raise FormatError(f"'Signature' is of version '{version}', and 1 is known")
    return decoded, sha256(covered).digest()


def _begin_of_signature(data: bytes) -> int:
    return 0 if data.startswith(_SIGNATURE) else data.index(b"\n" + _SIGNATURE) + 1
