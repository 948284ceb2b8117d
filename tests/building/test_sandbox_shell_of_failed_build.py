"""Shells in what a failed build left, and how many shells there may be."""

from __future__ import annotations

import os
import threading
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from building.entering import enter
from fruix.building.run.keep_failed import find_kept
from fruix.building.sandbox_shell import OpenShells, ShellRequest
from fruix.building.settings import BuildSettings
from fruix.errors import FruixError, ObjectRejectedError
from fruix.model.build_options import BuildOptions, Requester
from fruix.model.storepath import StorePath
from machine import FIRST, OTHER_USERS, Machine, machine, one_machine

here, shell = one_machine()


def failed(here: Machine, shell: StorePath, name: str, requester: Requester) -> StorePath:
    """A derivation whose directories are kept after it has failed."""
    script = (
        "mkdir made; echo half > made/file; ln -s file made/link; echo aside > /tmp/note;"
        " chmod +x made/file; exit 1"
    )
    drv = here.derivation(name, script, shell)
    options = BuildOptions("fruix", keep_failed=True, requester=requester)
    assert not here.build(drv, options=options)[0].success
    return drv


@OTHER_USERS
def test_what_a_failed_build_left(here: Machine, shell: StorePath) -> None:
    requester = Requester(70001, 70001)
    options = BuildOptions("fruix", requester=requester)
    drv = failed(here, shell, "kept", requester)
    look = (
        f"PATH={shell}/bin; cat made/link /tmp/note && echo more >> made/file &&"
        " stat -c %u made/file && id -u"
    )
    for _ in range(2):  # what is done inside is done to a copy
        exited, shown = enter(here, drv, f"{shell}/bin/sh", "-c", look, options=options)
        assert exited.code == 0, shown
        half, aside, owner, who = shown.splitlines()
        assert (half, aside) == ("half", "aside")
        assert owner == who
    exited, _ = enter(here, drv, f"{shell}/bin/sh", "-c", "test -e made", options=options, fresh=True)
    assert exited.code == 1
    # Another user's are nobody else's affair.
    exited, _ = enter(
        here,
        drv,
        f"{shell}/bin/sh",
        "-c",
        "test -e made",
        options=BuildOptions("fruix", requester=Requester(70002, 1)),
    )
    assert exited.code == 1


@OTHER_USERS
def test_kept_directories_that_their_owner_has_changed(here: Machine, shell: StorePath) -> None:
    requester = Requester(70003, 70003)
    drv = failed(here, shell, "changed", requester)
    found = find_kept(here.store.layout.kept, 70003, drv)
    assert found is not None
    kept = Path(found)
    (kept / "build" / "made" / "file").unlink()
    (kept / "build" / "made" / "file").symlink_to("/etc/shadow")
    os.mkfifo(kept / "build" / "fifo")
    (kept / "build" / "not-mine").write_text("root's")
    _, shown = enter(here, drv, f"{shell}/bin/find", ".", options=BuildOptions("fruix", requester=requester))
    assert sorted(shown.split()) == [".", "./made", "./made/file", "./made/link"]
    _, shown = enter(
        here, drv, f"{shell}/bin/cat", "made/file", options=BuildOptions("fruix", requester=requester)
    )
    assert "root:" not in shown
    os.rename(kept / "tmp", kept / "other")
    (kept / "tmp").symlink_to("/etc")
    with pytest.raises(ObjectRejectedError, match="no directory"):
        enter(here, drv, options=BuildOptions("fruix", requester=requester))
    os.rename(kept, kept.parent / "aside")
    kept.symlink_to("/")
    exited, _ = enter(
        here, drv, f"{shell}/bin/sh", "-c", "test -e made", options=BuildOptions("fruix", requester=requester)
    )
    assert exited.code == 1  # a link is none of ours: fresh directories


def test_nobody_gets_all_shells() -> None:
    """One user may have half of them, and there is one for each who comes later, as long as they last."""
    shells = OpenShells(8)
    with ExitStack() as opened:

        def most(uid: int) -> int:
            count = 0
            with suppress(FruixError):
                while True:
                    opened.enter_context(shells.slot(Requester(uid, 0)))
                    count += 1
            return count

        assert [most(uid) for uid in range(5)] == [4, 2, 1, 1, 0]
        with (
            pytest.raises(FruixError, match="8 are open, 4 of them yours") as caught,
            shells.slot(Requester(0, 0)),
        ):
            pass
        assert "build-uid-count" in caught.value.hint
    with OpenShells(1).slot(None):
        pass


def test_who_leaves_before_a_build_user_is_free_does_not_wait(tmp_path: Path) -> None:
    with machine(BuildSettings(uids=(FIRST,), max_jobs=1)) as here:
        drv = here.derivation("thing", "true", here.shell(tmp_path))
        gone = threading.Event()
        with here.builder._resources.users.acquire():
            gone.set()
            with pytest.raises(FruixError, match="cancelled"):
                here.builder.enter(ShellRequest(drv), BuildOptions("fruix"), lambda *_: None, gone)
        assert here.builder._shells._users == []
