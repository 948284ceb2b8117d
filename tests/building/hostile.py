"""Builds of a user of their own, after which nothing may be left."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Any

from fruix.building.record.record_file import read_record
from fruix.building.settings import BuildSettings
from fruix.model.build_options import BuildOptions
from fruix.model.buildresult import BuildResult
from fruix.sandbox.linux.processes import processes_of
from machine import Machine

# A user whom nobody else on this machine builds as at the same time: limits on processes count
# all of a user's.
UID = 40000 + secrets.randbelow(20000)


def settings(**some: Any) -> BuildSettings:
    return BuildSettings(**{"max_jobs": 1, "uids": (UID, UID + 1), **some})


def end_of(here: Machine, tmp_path: Path, script: str, contract: str = "fruix") -> BuildResult:
    """The result of a build, and nothing of it left."""
    drv = here.derivation("hostile", script, here.shell(tmp_path))
    (result,) = here.build(drv, options=BuildOptions(contract, timeout=60))
    assert processes_of(UID) == []
    record = read_record(here.store.layout.log_file(drv))
    assert record is not None
    assert record["status"] == result.status.name
    return result
