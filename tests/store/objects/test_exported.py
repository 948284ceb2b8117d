"""Items of export streams, read and written again byte for byte, signatures included."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from fruix.errors import BadNarError, DisconnectedError, StoreError
from fruix.model.hashes import Hash
from fruix.model.nar import export
from fruix.model.pathinfo import PathInfo
from fruix.model.sexp import parse
from fruix.protocol.exports import read_exports
from fruix.protocol.reader import Source
from fruix.signing import export_signatures
from fruix.store.objects.exported import Sign, item
from golden_data import GOLDEN, load

DIGESTS = [bytes.fromhex(text) for text in load("export/index.json")["signed_sha256"]]
PRIVATE = parse((GOLDEN / "keys/guix-signing-key.sec").read_bytes())
KEYS = export_signatures.authorized_keys(str(GOLDEN / "keys/guix-acl"))


def in_pieces(data: bytes, size: int) -> Source:
    pieces = (data[start : start + size] for start in range(0, len(data), size))
    return Source(lambda _: next(pieces, b""))


@pytest.mark.parametrize("size", [1, 7, 8, 100, 10_000])
@pytest.mark.parametrize("file", ["guix-export-unsigned.bin", "nix-export.bin", "guix-export-signed.bin"])
def test_what_the_tools_wrote_is_written_again(file: str, size: int) -> None:
    data = (GOLDEN / "export" / file).read_bytes()
    signed: list[bytes] = []

    def sign(digest: bytes) -> str:
        signed.append(digest)
        return export_signatures.sign(digest, PRIVATE)

    def again(source: Source, sign: Sign | None) -> Iterator[bytes]:
        for each in read_exports(source, "/frx/store"):
            archive = b"".join(each.archive())
            said, signature = each.description()
            info = PathInfo(
                said.path, Hash.of("sha256", archive), len(archive), said.references, said.deriver
            )
            yield export.ITEM
            yield from item(info, [archive[:50], archive[50:]], sign)
            if sign is not None:
                assert signature is not None
                export_signatures.judge(signature, signed[-1], KEYS)
        assert source.at_end()
        yield export.END

    with_signature = "-signed" in file
    assert b"".join(again(in_pieces(data, size), sign if with_signature else None)) == data
    assert signed == (DIGESTS if with_signature else [])


def test_an_archive_that_has_changed_is_no_item() -> None:
    data = (GOLDEN / "export/nix-export.bin").read_bytes()
    each = next(read_exports(Source.of(data), "/frx/store"))
    archive = b"".join(each.archive())
    info = PathInfo(each.description()[0].path, Hash.of("sha256", b"other"), len(archive))
    with pytest.raises(StoreError, match=r"hash of path '.*builder.sh' has changed from 'sha256:.*' to") as e:
        list(item(info, [archive]))
    assert e.value.message.endswith("!")


@pytest.mark.parametrize("end", range(0, 592, 37))
def test_a_stream_that_breaks_off_is_an_error(end: int) -> None:
    data = (GOLDEN / "export/nix-export.bin").read_bytes()[:end]

    def read_all() -> None:
        for each in read_exports(Source.of(data), "/frx/store"):
            list(each.archive())
            each.description()

    with pytest.raises((DisconnectedError, BadNarError)):
        read_all()
