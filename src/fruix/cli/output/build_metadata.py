"""`--metadata`, `METADATA_OUT`: how a package was built, as `key=value` lines.

From the build record, and from running what was built.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from fruix.building.record.record_file import read_record
from fruix.errors import FruixError, UsageError
from fruix.model.derivation import Derivation
from fruix.model.storepath import StorePath
from fruix.packages.lower_sources import LoweredSource
from fruix.store.interface import Store

RUN_TIMEOUT = 60


def check_place(file: str) -> None:
    """See, before anything is built, that the metadata will have a place. Nothing is created.

    Raises:
        UsageError: the directory is not there, or the file can't be written.
    """
    directory = os.path.dirname(os.path.abspath(file))
    if not os.path.isdir(directory):
        raise UsageError("the metadata can't be written: there is no such directory", where=directory)
    if os.path.isdir(file) or not os.access(file if os.path.exists(file) else directory, os.W_OK):
        raise UsageError("the metadata can't be written there", where=file, hint="name a file")


def write(file: str, drv: StorePath, log_file: str, source: LoweredSource | None, program: str) -> None:
    """Write the metadata of a derivation that was built; see `lines`.

    Raises:
        FruixError: there is no record: it wasn't built on this machine.
    """
    found = lines(drv, log_file, source, program)
    with open(file, "w", encoding="utf-8") as out:
        out.writelines(f"{line}\n" for line in found)


def lines(drv: StorePath, log_file: str, source: LoweredSource | None, program: str) -> list[str]:
    """The metadata of a derivation that was built.

    Args:
        drv: the derivation.
        log_file: its log, beside which the record is.
        source: what it was built from, if that is known.
        program: name of the program to run below the output's `bin`, to show that the result works.

    Raises:
        FruixError: there is no record: it wasn't built on this machine.
    """
    values = _collect(drv, log_file, source, program)
    return [f"{key}={' '.join(value.splitlines())}" for key, value in values.items()]


def declared_source(store: Store, derivation: Derivation) -> LoweredSource | None:
    """What a derivation's variable `source` names, whoever lowered it, with the hash of what fetches it."""
    path = derivation.env.get("source", "")
    if not path:
        return None
    for drv in derivation.input_drvs:
        output = store.read_derivation(drv).outputs.get("out")
        if output is not None and str(output.path) == path:
            address = output.content_address
            declared = address.hash if address else None
            return LoweredSource(StorePath.parse(path, store.directory), drv, declared)
    return LoweredSource(StorePath.parse(path, store.directory))


def _collect(drv: StorePath, log_file: str, source: LoweredSource | None, program: str) -> dict[str, str]:
    record, output = _recorded(drv, log_file)
    isolation: Mapping[str, Any] = record["isolation"] or {}
    view: Mapping[str, str] = record["hostView"] or {}
    return {
        "drv_path": str(drv),
        "out_path": output["path"],
        "runtime_output": _said(f"{output['path']}/bin/{program}"),
        "build_uid": str(isolation.get("uid", "")),
        "build_gid": str(isolation.get("gid", "")),
        "build_mode": str(isolation.get("kind", "")),
        "jail_name": str(isolation.get("name", "")),
        "jail_hostname": str(isolation.get("hostname", "")),
        "source_store_path": str(source.output) if source else "",
        "source_sha256": source.hash.base16 if source and source.hash else "",
        "references": " ".join(output["references"]),
        "host_view": view.get("name", ""),
        "host_view_hash": view.get("fingerprint", ""),
        "tests": record["tests"],
        "started": _moment(record["started"]),
        "finished": _moment(record["finished"]),
    }


def _recorded(drv: StorePath, log_file: str) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """The record of the last build, and what it says of the output `out`, else of the first."""
    record = read_record(log_file)
    if record is None:
        raise FruixError(
            f"no build record of '{drv}'", hint="it was not built on this machine, or its log was removed"
        )
    output = record["outputs"].get("out") or next(iter(record["outputs"].values()), None)
    if output is None:
        raise FruixError(
            f"the last build of '{drv}' failed; its record has no output", hint=f"fruix log {drv}"
        )
    return record, output


def _said(program: str) -> str:
    """What a program prints when run without arguments, on one line; empty if it can't be run."""
    import subprocess  # noqa: PLC0415 - seldom needed

    try:
        done = subprocess.run(
            [program], stdin=subprocess.DEVNULL, capture_output=True, timeout=RUN_TIMEOUT, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return " ".join(done.stdout.decode("utf-8", "replace").split())


def _moment(seconds: float) -> str:
    from datetime import UTC, datetime  # noqa: PLC0415 - seldom needed

    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
