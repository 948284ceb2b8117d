"""What a start removes of processes that died with the store open."""

from __future__ import annotations

import os
from pathlib import Path

from fruix.store.layout import Layout
from fruix.store.leftovers import near_name, session_name
from fruix.store.local import LocalStore


def test_an_object_on_its_way_goes_whosever_it_was(layout: Layout) -> None:
    """Also when the database has been made anew since: nothing else would ever look for it."""
    with LocalStore(layout) as store:
        kept = Path(str(store.add_text("kept", b"x")))
    near = Path(layout.store, os.fsdecode(near_name()))
    near.write_bytes(b"half")
    os.makedirs(f"{layout.staging[0]}/{session_name('0' * 16)}")
    with LocalStore(layout) as store:
        assert store.swept.removed == [near.name]
        assert kept.exists()
    assert not near.exists()
