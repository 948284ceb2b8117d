"""Giving outputs the names that their contents give.

A builder makes them at scratch paths. Each, after those that it refers to: their scratch hash parts in
it become those of their names; what it holds is hashed, with zeros in the places of its own hash part;
that and its references give its path; its own hash part is put in.

Cost: an output that refers to no other and not to itself is not read again. Others are read twice and
written once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from fruix.dataclass import replace
from fruix.model.contentaddress import ContentAddress, Method, parse_output_method, path_for
from fruix.model.hashes import Hash
from fruix.model.pathinfo import references_first
from fruix.model.storepath import HASH_PART_SIZE, StorePath
from fruix.store.objects.content_hashes import check_method, hash_modulo, object_hash
from fruix.store.outputs.staged import Staged
from fruix.store.tree.dump import dump
from fruix.store.tree.hashing import StreamHash
from fruix.store.tree.restore import restore


def name_by_contents(
    outputs: Mapping[StorePath, tuple[Staged, str]], finals: dict[StorePath, StorePath]
) -> Iterator[tuple[StorePath, Staged]]:
    """Yield each output under its final name, with its scratch path.

    Args:
        outputs: scratch path → output, and how its contents are hashed, as in its derivation.
        finals: of outputs that were named before; it grows.

    Raises:
        ReferenceCycleError: they refer to each other in a circle.
        FormatError: one refers to others, in a form that can't.
        ObjectRejectedError: one can't be hashed in that form.
    """
    for info in references_first({path: staged.info for path, (staged, _) in outputs.items()}):
        staged, method = outputs[info.path]
        named = _named(staged, *parse_output_method(method), finals)
        finals[info.path] = named.info.path
        yield info.path, named


def _named(output: Staged, method: Method, algorithm: str, finals: Mapping[StorePath, StorePath]) -> Staged:
    info, own = output.info, output.info.path
    others = {path: finals[path] for path in info.references if path in finals}
    parts = {path.hash_part.encode(): final.hash_part.encode() for path, final in others.items()}
    references = tuple(sorted(finals.get(path, path) for path in info.references if path != own))
    selfish = own in info.references
    if parts:
        output = _rewritten(output, parts)
    address = ContentAddress(method, _hash(output, method, algorithm, selfish=selfish))
    final = path_for(address, own.name, own.directory, references, selfish)
    if selfish:
        output = _rewritten(output, {own.hash_part.encode(): final.hash_part.encode()})
        references = tuple(sorted((*references, final)))
    named = replace(output.info, path=final, references=references, content_address=address)
    return replace(output, info=named)


def _hash(output: Staged, method: Method, algorithm: str, *, selfish: bool) -> Hash:
    directory, place, info = output.staging.directory, output.place, output.info
    if selfish:
        return hash_modulo(dump(directory, place), info.path.hash_part.encode(), algorithm)[0]
    if method is Method.NAR and algorithm == info.nar_hash.algorithm:
        return info.nar_hash
    check_method(method, algorithm)
    return object_hash(directory, place, method, algorithm, where=str(info.path))


def _rewritten(output: Staged, parts: Mapping[bytes, bytes]) -> Staged:
    """The output with hash parts replaced, at another place; the old one is gone."""
    staging = output.staging
    with staging.place() as place, StreamHash("sha256") as stream:

        def counted() -> Iterator[bytes]:
            for chunk in replaced(dump(staging.directory, output.place), parts):
                stream.update(chunk)
                yield chunk

        restore(counted(), staging.directory, place)
        info = replace(output.info, nar_hash=stream.finish(), nar_size=stream.size)
    output.drop()
    return replace(output, place=place, info=info)


def replaced(chunks: Iterable[bytes], parts: Mapping[bytes, bytes]) -> Iterator[bytes]:
    """The stream with other hash parts in the places of these, across the borders of chunks too."""
    rest = b""
    for chunk in chunks:
        data = rest + chunk
        for old, new in parts.items():
            data = data.replace(old, new)
        keep = min(len(data), HASH_PART_SIZE - 1)
        rest = data[len(data) - keep :]
        yield data[: len(data) - keep]
    yield rest
