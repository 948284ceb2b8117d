"""The usual request to add a text, from its bytes to those of its answer, without values in between.

What is usual is said by those who do its two halves, `protocol.text_requests` (how it comes) and
`store.objects.new_text` (that it is new). Whatever isn't so, and whatever fails, is left to the handlers
(`add`), which begin anew with the same bytes: nothing has been done then that they would not do, or has
been undone.
"""

from __future__ import annotations

from fruix.daemon.handlers.deduplicate import follow, is_wanted
from fruix.daemon.session import Session
from fruix.model.text_object import AddedText
from fruix.protocol import text_requests
from fruix.protocol.text_requests import INCOMPLETE, TextRequest


class SmallTexts:
    """Answers one session's requests.

    Attributes:
        heads: the bytes with which those requests begin that `answer` may know.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self.heads = text_requests.forms(session.context.dialect, session.context.minor)

    def answer(self, request: bytes) -> tuple[bytes | None, bytes]:
        """The whole answer to what has arrived, None if it isn't usual; and all that has arrived by then.

        Raises:
            DisconnectedError: the client has gone before it was complete.
        """
        read, reply = self.heads[request[:8]]
        asked = text_requests.read(read, request, self._session.context)
        if asked is INCOMPLETE:
            request += self._session.connection.more()
            asked = text_requests.read(read, request, self._session.context)
        added = self._add(asked) if isinstance(asked, TextRequest) else None
        return (None if added is None else reply(added)), request

    def _add(self, asked: TextRequest) -> AddedText | None:
        session = self._session
        users = session.service.users
        try:
            users.enter()
            try:
                added = None if is_wanted(session) else session.store.add_new_text(*asked)
                if added is not None:
                    follow(session)
            finally:
                users.leave()
        except Exception:  # noqa: BLE001 - the handlers meet it again, and tell the client
            return None
        return added
