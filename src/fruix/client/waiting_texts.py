"""Texts that a client has made and that wait until there are enough of them for a request.

The daemon works on a request of them while the client makes the next.
"""

from __future__ import annotations

from fruix.client.exchange import Exchange
from fruix.model.storepath import StorePath, check_name
from fruix.model.text_object import Text
from fruix.overriding import override
from fruix.protocol.own_operations import AddTexts
from fruix.protocol.streams import write_texts
from fruix.protocol.wire import FEATURE
from fruix.store.interface import Store

# How many texts, or bytes of them, are sent together.
MOST, MOST_BYTES = 256, 1 << 18


class WaitingTexts:
    """Of one connection."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        exchange.before_call = self.send
        self._texts: list[Text] = []
        self._size = 0

    def add(self, text: Text, directory: str) -> StorePath:
        """Have a text wait; the path that it will have in the store `directory`.

        Raises:
            BadStorePathError: a name that no path can have.
        """
        check_name(text.name)
        self._texts.append(text)
        self._size += len(text.contents)
        if len(self._texts) >= MOST or self._size >= MOST_BYTES:
            self.send()
        return text.path(directory)

    def send(self) -> None:
        """Send those that wait; the answer is read later."""
        texts, self._texts, self._size = self._texts, [], 0
        if texts:
            self._exchange.post(AddTexts(len(texts)), body=write_texts(texts, self._exchange.context))


class TextsSoon(Store):
    """The half of `RemoteContents` that has texts wait."""

    _exchange: Exchange
    _texts: WaitingTexts

    @override
    def add_text_soon(self, text: Text) -> StorePath:
        """A fruix daemon gets many at once, and works on them while more are made."""
        own = FEATURE in self._exchange.context.features
        return self._texts.add(text, self.directory) if own else super().add_text_soon(text)

    @override
    def add_waiting(self) -> None:
        self._texts.send()
        self._exchange.settle()
