"""From what is known of a build at its end to its record, as plain data.

Fields are told in `docs/how-a-build-runs.md`.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from fruix.building.builders.prepared_builder import PreparedBuilder, contract_of
from fruix.building.limits import Limits
from fruix.building.outputs.modes import Compared
from fruix.building.plan.goal import contract_name
from fruix.building.record.course import Course
from fruix.dataclass import asdict, dataclass, field
from fruix.errors import BadDerivationError
from fruix.model.attributes import Attributes
from fruix.model.attributes import read as read_attributes
from fruix.model.build_options import BuildOptions
from fruix.model.buildresult import BuildResult
from fruix.model.derivation import Derivation
from fruix.model.events import Note
from fruix.model.pathinfo import PathInfo
from fruix.model.reasons import Reason
from fruix.model.storepath import StorePath
from fruix.sandbox import Exit, SandboxSpec, back_end


@dataclass(frozen=True, slots=True)
class BuildFacts:
    """A build from its beginning on: what was built, how, and where its log is.

    `started`: seconds since the epoch.
    """

    path: StorePath
    derivation: Derivation
    options: BuildOptions
    log_file: str
    started: float = field(default_factory=time.time)

    @property
    def contract(self) -> str:
        """The name of the build's contract."""
        return contract_name(self.derivation, self.options.contract)

    @property
    def rounds(self) -> int:
        """How often it is built; a fixed output's contents are known, so once is enough."""
        return 1 if self.derivation.is_open else self.options.rounds


@dataclass(frozen=True, slots=True)
class Ending:
    """What came of a build.

    Attributes:
        mode: what it was for.
        rounds: how many rounds were planned when it ended; 1 before the first.
        infos: of the outputs by their names, if they were made.
        reason: why it failed.
        differences: results that differ and should be equal.
        notes: what clients are told besides.
        kept: where a copy of its directories is, below the directory of kept ones.
        limits: those that held at the end.
        machine: that it was sent to; empty: this one.
    """

    mode: str
    rounds: int
    infos: Mapping[str, PathInfo]
    reason: Reason
    differences: Sequence[Compared]
    notes: Sequence[Note]
    kept: str
    limits: Limits
    machine: str


def known_before(
    facts: BuildFacts, builder: PreparedBuilder | None, spec: SandboxSpec | None
) -> dict[str, Any]:
    """What is known before the builder ends, as plain data: the larger part.

    Args:
        facts: what is built.
        builder: what runs for it; None if it could not be prepared.
        spec: of the round's sandbox; None if it got none.
    """
    return {
        **_request(facts),
        "isolation": _isolation(spec) if spec else None,
        **_given(facts, builder),
        "fetchedFrom": builder.at_hand if builder and spec else "",
        "started": facts.started,
        "log": facts.log_file,
        "machine": _machine(),
    }


def known_after(course: Course, exited: Exit | None, ending: Ending, result: BuildResult) -> dict[str, Any]:
    """The rest, as plain data.

    Args:
        course: what the builder's output told in the last round.
        exited: how the first process of the last round's sandbox ended.
        ending: what came of it.
        result: as clients are told.
    """
    return {
        "purpose": ending.mode,
        "rounds": ending.rounds,
        **_verdict(ending, result),
        **_course(course, success=result.success),
        "finished": time.time(),
        "resources": _resources(exited) if exited else None,
        "exit": {"code": exited.code, "signal": exited.signal} if exited else None,
        "builtOn": ending.machine,
    }


def _request(facts: BuildFacts) -> dict[str, Any]:
    """What was to be built."""
    derivation = facts.derivation
    return {
        "derivation": str(facts.path),
        "name": derivation.name,
        "system": derivation.system,
        "builder": derivation.builder,
        "contract": facts.contract,
    }


def _verdict(ending: Ending, result: BuildResult) -> dict[str, Any]:
    """How the build ended, under which limits, and which outputs it made."""
    return {
        "status": result.status.name,
        "message": result.message,
        "reason": dict(ending.reason),
        "notes": [note.text for note in ending.notes],
        "differences": [_difference(found) for found in ending.differences],
        "kept": ending.kept,
        "limits": {_camel(name): value for name, value in asdict(ending.limits).items()},
        "outputs": {name: _output(info) for name, info in ending.infos.items()},
    }


def _given(facts: BuildFacts, builder: PreparedBuilder | None) -> dict[str, Any]:
    """What the builder had, and what the derivation declares."""
    view = builder.view.view if builder and builder.view else None
    derivation = facts.derivation
    return {
        "hostView": {"name": view.name, "fingerprint": view.fingerprint} if view else None,
        "root": str(builder.root.path) if builder and builder.root else "",
        "declared": _declared(builder.attributes if builder else _attributes(facts)),
        "inputs": {
            "sources": [path.text for path in derivation.input_srcs],
            "derivations": {str(path): list(names) for path, names in derivation.input_drvs.items()},
            "closure": len(builder.inputs) if builder else 0,
        },
    }


def _attributes(facts: BuildFacts) -> Attributes:
    """What a derivation declares whose builder couldn't be prepared, as far as it can be read."""
    try:
        guix = contract_of(facts.derivation, facts.options.contract).guix_attributes
        return read_attributes(facts.derivation, guix=guix)
    except BadDerivationError:
        return Attributes()


def _declared(attributes: Attributes) -> dict[str, Any]:
    return {
        "preferLocalBuild": attributes.prefer_local,
        "allowSubstitutes": attributes.allow_substitutes,
        "requiredSystemFeatures": list(attributes.required_features),
        "structured": attributes.structured is not None,
    }


def _course(course: Course, *, success: bool) -> dict[str, Any]:
    course.end_phase(time.time())
    return {
        "phases": course.phases,
        "tests": str(course.tests),
        "failedTests": list(course.tests.failed),
        "command": "" if success else course.command,
    }


def _difference(found: Compared) -> dict[str, Any]:
    return {
        "output": str(found.path),
        "first": found.first,
        "second": found.second,
        "places": [asdict(place) for place in found.places],
    }


def _output(info: PathInfo) -> dict[str, Any]:
    return {
        "path": str(info.path),
        "narHash": info.nar_hash.sri,
        "narSize": info.nar_size,
        "references": [str(path) for path in info.references],
    }


def _isolation(spec: SandboxSpec) -> dict[str, Any]:
    return {
        "kind": back_end().kind,
        "name": spec.id,
        "hostname": spec.hostname,
        "uid": spec.identity.uid,
        "gid": spec.identity.gid,
        "insideUid": spec.identity.inside_uid,
        "insideGid": spec.identity.inside_gid,
        "userNamespace": spec.identity.user_namespace,
        "network": spec.network,
        "mounts": [
            {"source": bind.source, "target": bind.target, "writable": bind.writable} for bind in spec.binds
        ],
        "tmpfs": [mount.path for mount in spec.tmpfs],
        **back_end().describe(spec),
    }


def _resources(exited: Exit) -> dict[str, int]:
    return {
        "cpuUserMicroseconds": exited.cpu_user_us,
        "cpuSystemMicroseconds": exited.cpu_system_us,
        "maxRssKiB": exited.max_rss_kib,
    }


@cache
def _machine() -> dict[str, Any]:
    return {"kernel": os.uname().release, "architecture": os.uname().machine, "cpus": os.cpu_count()}


@cache
def _camel(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(map(str.capitalize, others))
