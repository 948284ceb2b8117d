"""The usual requests to add a text, read in one step, and their replies.

Covered are AddTextToStore of both dialects, and Nix's AddToStore with the method `text:sha256` whose
contents come in one frame: small ones, all of whose bytes are there. Of anything else, and of whatever
is malformed or may not be, nothing is said here: the tables of operations read it, from its beginning,
and tell what is wrong. The forms are theirs (`common_operations`, `nix`, `model_codecs`).
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from functools import cache
from typing import NamedTuple

from fruix.model.storepath import path_matcher
from fruix.model.text_object import AddedText
from fruix.protocol.messages import LAST
from fruix.protocol.wire import Context, Dialect, string_pieces

MOST = 1 << 14  # bytes of a request; with so few references it is charged to nobody (`reader.FREE`)
_MOST_REFERENCES = 64
_FRAMED_SINCE = 25
_TEXT = b"text:sha256"

_NUMBER = struct.Struct("<Q")
_number, _number_at = _NUMBER.pack, _NUMBER.unpack_from
_NONE = _number(0)


class TextRequest(NamedTuple):
    """A text that is to be added; `references`: well-formed paths, each once, in order."""

    name: str
    contents: bytes
    references: list[str]


class Incomplete(NamedTuple):
    """All but the contents of a text have arrived."""


INCOMPLETE = Incomplete()
Read = Callable[[bytes, Callable[[str], object]], TextRequest | Incomplete | None]
Form = tuple[Read, Callable[[AddedText], bytes]]


@cache
def forms(dialect: Dialect, minor: int) -> Mapping[bytes, Form]:
    """How such requests are read and answered, by the bytes that they begin with."""
    known: dict[bytes, Form] = {_number(8): (_read_text, _path_reply)}
    if dialect is Dialect.NIX and minor >= _FRAMED_SINCE:
        known[_number(7)] = _read_framed, _info_reply
    return known


def read(read_form: Read, data: bytes, context: Context) -> TextRequest | Incomplete | None:
    """What `data`, all that has arrived, asks for; None if it isn't as it usually is."""
    try:
        return read_form(data, path_matcher(context.directory)) if len(data) <= MOST else None
    except (struct.error, OverflowError, UnicodeDecodeError):
        return None


def _read_text(data: bytes, is_path: Callable[[str], object]) -> TextRequest | None:
    """Of AddTextToStore: name, contents, references."""
    (name, contents), at = _strings(data, 8, 2)
    found = _references(data, at, is_path)
    if found is None or found[1] != len(data):
        return None
    return TextRequest(str(name, "ascii"), contents, found[0])


def _read_framed(data: bytes, is_path: Callable[[str], object]) -> TextRequest | Incomplete | None:
    """Of AddToStore: name, method, references, whether to repair (which texts are not); frames."""
    (name, method), at = _strings(data, 8, 2)
    found = _references(data, at, is_path)
    if found is None or method != _TEXT:
        return None
    begin = found[1] + 8  # behind the wish to repair
    if begin == len(data):
        return INCOMPLETE
    end = begin + 8 + _number_at(data, begin)[0]
    contents = data[begin + 8 : end]
    if not contents or end + 8 != len(data) or data[end:] != _NONE:  # an empty frame is the last one
        return None
    return TextRequest(str(name, "ascii"), contents, found[0])


def _references(data: bytes, at: int, is_path: Callable[[str], object]) -> tuple[list[str], int] | None:
    """A list of paths, and where it ends."""
    (count,) = _number_at(data, at)
    if not count:
        return [], at + 8
    if count > _MOST_REFERENCES:
        return None
    found, at = _strings(data, at + 8, count)
    texts = [str(raw, "ascii") for raw in found]
    return (sorted(set(texts)), at) if all(map(is_path, texts)) else None


def _strings(data: bytes, at: int, count: int) -> tuple[list[bytes], int]:
    """So many strings, and where the last one ends.

    Raises:
        struct.error: one is longer than what is there, or padded with something else than zeros.
    """
    found = []
    for _ in range(count):
        begin = at + 8
        end = begin + _number_at(data, at)[0]
        at = end + -end % 8
        found.append(data[begin:end])
        if at > len(data) or any(data[end:at]):
            raise struct.error
    return found, at


def _path_reply(text: AddedText) -> bytes:
    return b"".join((LAST, *string_pieces((text.path.text,))))


def _info_reply(text: AddedText) -> bytes:
    """As `model_codecs.KEYED_INFO` is written: no deriver, not built here, no signatures."""
    head = text.path.text, "", text.nar_digest.hex()  # no deriver
    pieces = [LAST, *string_pieces(head), _number(len(text.references))]
    pieces += string_pieces(text.references)
    pieces += (_number(text.registration_time), _number(text.nar_size), _NONE, _NONE)
    pieces += string_pieces((text.address,))
    return b"".join(pieces)
