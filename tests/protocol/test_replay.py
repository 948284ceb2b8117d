from __future__ import annotations

import pytest

from fruix.protocol import messages
from protocol.replay import SESSIONS, Replay, recording, side


@pytest.mark.parametrize("name", SESSIONS)
def test_recorded_session_decodes_to_the_last_byte_and_encodes_to_the_same(name: str) -> None:
    session = recording(name)
    replay = Replay(session)
    assert replay.ending == messages.Last()
    replay.run()
    assert [call.operation.number for call in replay.calls] == session["ops"]
    assert replay.client.buffered == 0
    assert replay.server.buffered == 0
    assert bytes(replay.client_again) == side(session, "c")
    assert bytes(replay.server_again) == side(session, "s")
