"""The operations on a store as a whole, in either dialect, besides those of `wire.Client`.

What is nearest to Guix's export and import in the Nix dialect are NarFromPath (`Client.dump`) and
AddToStoreNar.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from wire import Client, Feed, number, string, strings

RETURN_DEAD, DELETE_DEAD = 1, 2
_NO_LIMIT = (1 << 64) - 1


class StoreClient(Client):
    """One connection; operations are methods."""

    def collect(self, action: int) -> int:
        """Operation 20: how many paths are dead, or were deleted."""
        request = number(action) + strings(()) + number(0) + number(_NO_LIMIT) + 3 * number(0)
        self._call(20, request)
        found = len(self._strings())
        self._number()
        self._number()
        return found

    def delete(self, path: str) -> None:
        """The same operation: delete one path, which nothing keeps alive."""
        self._call(20, number(3) + strings([path]) + number(0) + number(_NO_LIMIT) + 3 * number(0))
        self._strings()
        self._number()
        self._number()

    def add_root(self, link: str) -> None:
        """Operation 12: a symbolic link into the store is a root from now on."""
        self._call(12, string(link))
        self._number()

    def missing(self, drv: str) -> int:
        """Operation 40, of Nix only: how many derivations would be built for this one."""
        self._call(40, strings([f"{drv}!out"]))
        built, _, _ = (self._strings() for _ in range(3))
        self._number()
        self._number()
        return len(built)

    def verify(self) -> bool:
        """Operation 35, with contents: whether anything is wrong."""
        self._call(35, number(1) + number(0))
        return bool(self._number())

    def optimise(self) -> None:
        """Operation 34."""
        self._call(34, b"")
        self._number()

    def referrers(self, path: str) -> list[str]:
        """Operation 6."""
        self._call(6, string(path))
        return self._strings()

    def import_items(self, stream: Iterable[bytes]) -> list[str]:
        """Operation 27, of Guix only: the daemon asks for one piece after the other."""
        give = _pieces(stream)
        self._call(27, b"", give=lambda most: string(give(most)))
        return self._strings()

    def import_archive(self, path: str, nar_hash: bytes, nar_size: int, feed: Feed) -> None:
        """Operation 39, of Nix only: an object with a path of its own, without a signature."""
        described = string("") + string(nar_hash.hex()) + strings(()) + number(0) + number(nar_size)
        self._send(
            number(39) + string(path) + described + number(0) + strings(()) + string("")
            + number(0) + number(1)
        )  # fmt: skip
        feed(self._send_frame)
        self._send(number(0))
        self._listen()


def _pieces(stream: Iterable[bytes]) -> Callable[[int], bytes]:
    """Gives the stream in pieces of up to as many bytes as are asked for."""
    chunks: Iterator[bytes] = iter(stream)
    rest = memoryview(b"")

    def give(most: int) -> bytes:
        nonlocal rest
        if not rest:
            rest = memoryview(next(chunks, b""))
        piece, rest = rest[:most], rest[most:]
        return bytes(piece)

    return give
