"""Builds without a sandbox see the host, and write where their user may."""

from __future__ import annotations

import os
import tempfile
from itertools import takewhile
from pathlib import Path

from fruix.building.settings import BuildSettings
from fruix.model.buildresult import BuildStatus
from machine import machine

WORD = "a-file-of-the-host"


def test_only_without_a_sandbox_the_host_is_seen(tmp_path: Path) -> None:
    for parent in takewhile(lambda parent: parent != Path(tempfile.gettempdir()), tmp_path.parents):
        parent.chmod(0o755)
    tmp_path.chmod(0o777)
    (tmp_path / WORD).write_text("hello\n")
    script = f"set -e; cat {tmp_path}/{WORD} > $out; echo $$ > {tmp_path}/made"
    for sandbox in (True, False):
        with machine(settings=BuildSettings(sandbox=sandbox)) as here:
            shell = here.shell(tmp_path / f"shell-{sandbox}")
            drv = here.derivation("whole-host", script, shell, env={"__noChroot": "1" * (not sandbox)})
            (result,) = here.build(drv)
            if sandbox:
                assert result.status is BuildStatus.PERMANENT_FAILURE
                assert not os.path.lexists(tmp_path / "made")
            else:
                assert result.success, result.message
                assert here.output(drv).read_text() == "hello\n"
                # Its processes are its own: the shell is the first one.
                assert (tmp_path / "made").read_text() == "1\n"
