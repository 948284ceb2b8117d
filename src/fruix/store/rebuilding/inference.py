"""What was registered of each object, worked out from contents.

A content address is believed if the path follows from it: then it says what the references are, too.
Derivations refer to their inputs; all else refers to what it mentions. The deriver of an output is
the first, by name, of the derivations that have it. What refers to something that isn't there can't
be registered, nor what refers to that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from fruix.dataclass import dataclass, field
from fruix.errors import FruixError
from fruix.model.contentaddress import ContentAddress, Method, path_for
from fruix.model.derivation import Derivation
from fruix.model.drvhash import DerivationHasher, check_outputs
from fruix.model.pathinfo import PathInfo
from fruix.model.storepath import StorePath
from fruix.store.rebuilding.seen import Seen

Parse = Callable[[StorePath], Derivation]
# Raises when an object hasn't the content address of the info.
CheckAddress = Callable[[PathInfo], None]


@dataclass(slots=True)
class Inference:
    """Works on all objects of a store at once.

    Attributes:
        seen: the objects that can be read.
        parse: parses a derivation.
        check_address: checks contents against an address.
        left_out: why some were not taken.
    """

    seen: Mapping[StorePath, Seen]
    parse: Parse
    check_address: CheckAddress
    left_out: dict[StorePath, str] = field(default_factory=dict)
    _derivations: dict[StorePath, Derivation] = field(default_factory=dict)
    _derivers: dict[StorePath, StorePath] = field(default_factory=dict)
    _fixed: dict[StorePath, ContentAddress] = field(default_factory=dict)

    def infos(self) -> list[PathInfo]:
        """All that can be registered; `left_out` has the rest afterwards."""
        hasher = DerivationHasher(self.parse)
        for path in sorted(self.seen):
            if path.is_derivation:
                self._take_derivation(path, hasher)
        found = {path: self._info(one) for path, one in self.seen.items() if path not in self.left_out}
        self._leave_out_incomplete(found)
        return list(found.values())

    def _take_derivation(self, path: StorePath, hasher: DerivationHasher) -> None:
        try:
            derivation = self.parse(path)
            if missing := [one for one in derivation.references if one not in self.seen]:
                self.left_out[path] = f"its input '{missing[0]}' is not there"
                return
            flat = self.seen[path].flat_hash
            if flat is None or not _gives(ContentAddress(Method.TEXT, flat), path, derivation.references):
                self.left_out[path] = "its path is not the one that its text gives"
                return
            check_outputs(derivation, path, hasher)
        except FruixError as error:
            self.left_out[path] = str(error)
            return
        self._derivations[path] = derivation
        for output in derivation.outputs.values():
            if output.path is not None:
                self._derivers.setdefault(output.path, path)
                if (address := output.content_address) is not None:
                    self._fixed[output.path] = address

    def _info(self, one: Seen) -> PathInfo:
        def info(references: tuple[StorePath, ...], address: ContentAddress | None) -> PathInfo:
            return PathInfo(
                path=one.path,
                nar_hash=one.nar_hash,
                nar_size=one.nar_size,
                references=references,
                deriver=self._derivers.get(one.path),
                content_address=address,
            )

        derivation = self._derivations.get(one.path)
        for references in (derivation.references,) if derivation else ((), one.mentions):
            for address in self._addresses(one):
                if _gives(address, one.path, references) and self._holds(info(references, address)):
                    return info(references, address)
        return info(one.mentions, None)

    def _addresses(self, one: Seen) -> Iterator[ContentAddress]:
        """What an object's address can be: as a fixed output, a text, or a source."""
        if one.path in self._fixed:
            yield self._fixed[one.path]
        if one.flat_hash is not None:
            yield ContentAddress(Method.TEXT, one.flat_hash)
            yield ContentAddress(Method.FLAT, one.flat_hash)
        yield ContentAddress(Method.NAR, one.nar_hash)

    def _holds(self, info: PathInfo) -> bool:
        try:
            self.check_address(info)
        except (FruixError, OSError):
            return False
        return True

    def _leave_out_incomplete(self, found: dict[StorePath, PathInfo]) -> None:
        """Take out what refers to something that is not there, until nothing does."""
        while True:
            incomplete = {
                path: missing[0]
                for path, info in found.items()
                if (missing := [reference for reference in info.references if reference not in found])
            }
            if not incomplete:
                return
            for path, missing_one in incomplete.items():
                self.left_out[path] = f"it refers to '{missing_one}', which is left out"
                del found[path]


def _gives(address: ContentAddress, path: StorePath, references: tuple[StorePath, ...]) -> bool:
    try:
        return path_for(address, path.name, path.directory, references) == path
    except FruixError:
        return False
