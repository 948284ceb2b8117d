"""Export streams as they arrive: item by item from a source, nothing held but what is between archives.

In the Guix dialect the daemon asks for such a stream piece by piece (`streams.AskedSource`); Fruix's
own clients send it framed.
"""

from __future__ import annotations

from collections.abc import Iterator

from fruix.dataclass import dataclass
from fruix.errors import FormatError
from fruix.model.nar import export
from fruix.protocol.reader import Source
from fruix.protocol.streams import NarBody


@dataclass(frozen=True, slots=True)
class ExportItem:
    """One item of a stream: first its archive is read to its end, then what comes behind it."""

    source: Source
    directory: str

    def archive(self) -> Iterator[bytes]:
        """The archive's bytes.

        Raises:
            BadNarError: malformed.
        """
        return NarBody(self.source).chunks()

    def description(self) -> tuple[export.Description, bytes | None]:
        """What the item says of its archive, and the signature.

        Raises:
            FormatError: malformed.
            MemoryLimitError: it takes more memory than its sender may use.
        """
        self.source.expect()
        try:
            found = export.Description.read(self.source, self.directory)
            signature = export.read_signature(self.source)
        except FormatError:
            self.source.check()  # what was refused reads as if it were empty
            raise
        self.source.check()
        return found, signature


def read_exports(stream: Source, directory: str) -> Iterator[ExportItem]:
    """The items of a stream; each has to be read before the next is asked for.

    Raises:
        BadNarError: it is no export stream.
    """
    while _begins(stream):
        yield ExportItem(stream, directory)
        stream.release()


def _begins(stream: Source) -> bool:
    stream.expect()
    return export.read_begin(stream)
