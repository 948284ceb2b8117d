from __future__ import annotations

import pytest

from fruix.protocol import messages, options
from protocol.replay import SESSIONS, Replay, recording, side


class Everything:
    def __contains__(self, _name: str) -> bool:
        return True


@pytest.mark.parametrize("name", SESSIONS)
def test_recorded_session_decodes_to_the_last_byte_and_encodes_to_the_same(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # So that what clients set comes out again whole.
    monkeypatch.setattr(options, "MEANINGFUL", Everything())
    monkeypatch.setattr(options, "VALUE_LIMIT", 1 << 20)
    session = recording(name)
    replay = Replay(session)
    assert replay.ending == messages.Last()
    replay.run()
    assert [call.operation.number for call in replay.calls] == session["ops"]
    assert replay.client.buffered == 0
    assert replay.server.buffered == 0
    assert bytes(replay.client_again) == side(session, "c")
    assert bytes(replay.server_again) == side(session, "s")
