"""Export streams: what lies between their archives, against what guix-daemon and nix-store wrote."""

from __future__ import annotations

import pytest

from fruix.errors import BadNarError, DisconnectedError
from fruix.model.nar import export
from fruix.model.nar.read import NarReader
from fruix.model.storepath import StorePath
from fruix.protocol.reader import Source
from golden_data import GOLDEN, load

INDEX = load("export/index.json")
PATHS = tuple(StorePath.parse(text) for text in INDEX["paths"])
STORE = "/frx/store"


def taken_apart(data: bytes) -> list[tuple[bytes, export.Description, bytes | None]]:
    """Archive, description and signature of every item; nothing may follow."""
    found = []
    source = Source.of(data)
    while export.read_begin(source):
        archive = source.read_exact(source.buffered)
        reader = NarReader()
        for _ in reader.feed(archive):
            pass
        assert reader.done
        source.unread(reader.leftover)
        archive = archive[: len(archive) - len(reader.leftover)]
        found.append((archive, export.Description.read(source, STORE), export.read_signature(source)))
    assert source.at_end()
    return found


@pytest.mark.parametrize("file", ["guix-export-unsigned.bin", "nix-export.bin", "guix-export-signed.bin"])
def test_streams_are_read_and_written_byte_for_byte(file: str) -> None:
    data = (GOLDEN / "export" / file).read_bytes()
    items = taken_apart(data)
    assert tuple(description.path for _, description, _ in items) == PATHS
    assert items[1][1].references == PATHS[:1]
    again = b"".join(
        export.ITEM
        + archive
        + description.encoded
        + export.signature(None if signature is None else signature.decode("latin-1"))
        for archive, description, signature in items
    )
    assert again + export.END == data


def test_what_is_no_stream_is_refused() -> None:
    with pytest.raises(BadNarError, match="doesn't look like something created by `nix-store --export'"):
        export.read_begin(Source.of(b"nonsense"))
    good = export.Description(PATHS[1], PATHS[:1], None).encoded
    assert export.Description.read(Source.of(good), STORE) == export.Description(PATHS[1], PATHS[:1], None)
    for data, why in (
        (b"x" + good[1:], "wrong format"),
        (good[:8] + export.number(1 << 40) + good[16:], "bytes"),
        (good[:-8] + export.number(3) + b"abc\0\0\0\0x", "padding"),
    ):
        with pytest.raises(BadNarError, match=why):
            export.Description.read(Source.of(data), STORE)
    with pytest.raises(DisconnectedError):
        export.Description.read(Source.of(good[:-9]), STORE)
