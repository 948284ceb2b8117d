"""Several daemons on one machine, each with its own store: none ends, or sees, what another builds.

Real daemons (forked, with the command's own `main`) on one private /frx; their builders share the
machine's build users and the control group.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from crashing import clear_away
from fruix.building.settings import FIRST_BUILD_UID
from fruix.sandbox.back_ends import current
from machine import private_frx
from sites import OTHER_UID, Site
from waiting import PATIENCE, until

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="machine: the daemons run as root"),
    pytest.mark.usefixtures("either_back_end"),
]


@pytest.fixture(autouse=True)
def frx() -> Iterator[None]:
    with private_frx():
        try:
            yield
        finally:
            clear_away()


@pytest.mark.parametrize("settings", ["", f"first-build-uid = {OTHER_UID}"], ids=["same uids", "other uids"])
def test_a_build_survives_start_recovery_and_end_of_another_daemon(tmp_path: Path, settings: str) -> None:
    one, other = Site("one"), Site("other", settings)
    other.start()
    crashed = other.build("crashes", tmp_path)
    uid = crashed.uid()
    other.end(signal.SIGKILL)
    crashed.thread.join(PATIENCE)
    until(lambda: not current().processes_of(uid), "the end of the killed builder")
    one.start()
    build = one.build("survives", tmp_path)
    assert build.uid() == FIRST_BUILD_UID  # the one that the other's journal names, if they share numbers
    assert os.listdir(f"{other.layout.builds}/journal") != []
    other.start()
    assert os.listdir(f"{other.layout.builds}/journal") == []
    beside = other.build("beside", tmp_path)
    assert beside.uid() != build.uid()
    other.end()
    other.start()
    again = other.build("crashes-again", tmp_path)
    other.end(signal.SIGKILL)
    again.thread.join(PATIENCE)
    other.start()
    other.end()
    result = build.finish()
    assert result is not None
    assert result.success, result.message
    one.end()


def test_names_of_sandboxes_tell_of_the_store(tmp_path: Path) -> None:
    one, other = Site("one"), Site("other")
    stores = []
    for site in (one, other):
        site.start()
        build = site.build("named", tmp_path)
        (name,) = (name for name in os.listdir(site.layout.builds) if name.startswith("frx-"))
        stores.append(name.split("-")[2])
        assert build.finish() is not None
        site.end()
    assert len(set(stores)) == 2
    one.start()
    build = one.build("named-again", tmp_path)
    (name,) = (name for name in os.listdir(one.layout.builds) if name.startswith("frx-"))
    assert name.split("-")[2] == stores[0]
    assert build.finish() is not None
    one.end()
