"""From a build's output area to the final name.

The steps of `LocalStore.stage_output` in their order.

Look without touching; rename or copy into the staging directory; one pass that makes canonical,
hashes and scans; check of a fixed output. What is staged then gets its final name, takes the place
of a damaged object, is kept under another name, or is dropped. Until then nobody but us can see it,
and if a step fails nothing is left of it.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress

from fruix.dataclass import dataclass, replace
from fruix.errors import FruixError, HashMismatchError, StoreError
from fruix.model.contentaddress import ContentAddress, Method, path_for
from fruix.model.hashes import Hash
from fruix.model.pathinfo import PathInfo
from fruix.model.storepath import StorePath, by_hash_part
from fruix.store.objects import content_hashes
from fruix.store.objects.staging import Staging
from fruix.store.outputs import import_tree
from fruix.store.outputs.canonical import Links
from fruix.store.outputs.import_tree import Imported, OutputPolicy
from fruix.store.outputs.reference_sites import mentions
from fruix.store.tree.compare import Difference, compare
from fruix.store.tree.descriptors import open_chain


def count_links(sources: Iterable[str], most: int = 0, most_bytes: int = 0) -> Links:
    """Count the hard links in several trees, their nodes and the sizes of their files.

    Nothing is read.

    It stops (and the links are of no use) when they hold more than `most` nodes or `most_bytes`,
    where that is not 0.
    """
    links = Links(most=most, most_bytes=most_bytes)
    for source in sources:
        # What is missing or can't be an object is reported by the taking itself.
        with suppress(FileNotFoundError, FruixError):
            parent = open_chain(os.path.dirname(source))
            try:
                links.add(parent, os.fsencode(os.path.basename(source)))
            finally:
                os.close(parent)
    return links


@dataclass(frozen=True, slots=True)
class Staged:
    """An output that is canonical, hashed and scanned, and that nobody else can see yet.

    End it by one of its methods.
    """

    info: PathInfo
    place: bytes
    staging: Staging
    valid: bool  # another object has its final name

    def publish(self) -> PathInfo:
        """Give it its final name; whatever unregistered thing lies there goes.

        Raises:
            StoreError: the path is valid already.
        """
        if self.valid:
            raise StoreError("refusing to replace a valid path", where=str(self.info.path))
        self.staging.publish(self.place, self.info.path.base)
        return self.info

    def replace(self) -> PathInfo:
        """Put it where a damaged object lies. It is on disk before the old one goes."""
        self.staging.replace(self.place, self.info.path.base)
        return self.info

    def keep(self, base: str) -> None:
        """Give it a name in the store without registering it; nobody else uses that name."""
        self.staging.publish(self.place, base)

    def differences(self, limit: int) -> list[Difference]:
        """Where it differs from what lies at its final name, in order of the names.

        At most `limit` places.
        """
        final = os.fsencode(self.info.path.base)
        return compare(self.staging.store, final, self.staging.directory, self.place, limit=limit)

    def differences_from(self, other: Staged, limit: int) -> list[Difference]:
        """The same, from another staged output."""
        directory = self.staging.directory
        return compare(directory, other.place, directory, self.place, limit=limit)

    def mentions(self, others: Iterable[StorePath]) -> dict[StorePath, list[str]]:
        """Which of its files hold the hash part of each of `others`.

        A few names from its top on.
        """
        parts = by_hash_part(others)
        found = mentions(self.staging.directory, self.place, parts)
        return {parts[part]: places for part, places in found.items()}

    def drop(self) -> None:
        """Delete it."""
        self.staging.drop(self.place)


def stage_output(
    staging: Staging, source: str, path: StorePath, policy: OutputPolicy, *, valid: bool
) -> Staged:
    """Take the output at `source`; `LocalStore.stage_output` says what may be raised."""
    parent = open_chain(os.path.dirname(source))
    try:
        output = import_tree.Output(parent, os.fsencode(os.path.basename(source)), str(path))
        if policy.links is None:
            links = Links()
            links.add(parent, output.name)
            policy = replace(policy, links=links)
        with staging.place() as place:
            info = _info(path, import_tree.take(output, staging, place, policy), policy)
            if policy.expected is not None:
                got = _content_hash(staging, place, info, policy.expected)
                if got != policy.expected.hash:
                    policy.on_mismatch(_renamed(info, got, policy.expected.method), place)
                    expected = policy.expected.hash.sri
                    raise HashMismatchError(f"'{info.path}'", expected=expected, got=got.sri)
    finally:
        os.close(parent)
    return Staged(info, place, staging, valid)


def _info(path: StorePath, found: Imported, policy: OutputPolicy) -> PathInfo:
    by_part = by_hash_part(policy.candidates)
    return PathInfo(
        path=path,
        nar_hash=found.nar_hash,
        nar_size=found.nar_size,
        references=tuple(sorted(by_part[part] for part in found.references)),
        content_address=policy.expected,
    )


def _renamed(info: PathInfo, got: Hash, method: Method) -> PathInfo:
    """What an output is whose contents are others than declared."""
    address = ContentAddress(method, got)
    return replace(info, path=path_for(address, info.path.name, info.path.directory), content_address=address)


def _content_hash(staging: Staging, place: bytes, info: PathInfo, expected: ContentAddress) -> Hash:
    algorithm = expected.hash.algorithm
    if expected.method is Method.NAR and algorithm == info.nar_hash.algorithm:
        return info.nar_hash
    directory = staging.directory
    return content_hashes.object_hash(directory, place, expected.method, algorithm, where=str(info.path))
