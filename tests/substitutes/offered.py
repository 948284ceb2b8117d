"""What caches are asked in tests of builds, and what they have been given before."""

from __future__ import annotations

import itertools

from fruix.model.build_options import BuildOptions, SubstituteWishes
from fruix.model.buildresult import BuildMode, BuildResult
from fruix.model.events import Message, SubstitutionFailed, SubstitutionStarted
from fruix.model.garbage import Keep
from fruix.model.nar import write
from fruix.model.pathinfo import PathInfo
from fruix.model.storepath import StorePath
from fruix.signing.path_signatures import PathTrust
from fruix.signing.substitute_trust import SubstituteTrust
from machine import Machine
from substitutes.caches import KEY, Cache

_numbers = itertools.count()
TRUST = SubstituteTrust(PathTrust.of([str(KEY.public)]))


def wishes(*urls: str, fallback: bool = False, mode: BuildMode = BuildMode.NORMAL) -> BuildOptions:
    asked = SubstituteWishes(caches=urls, trust=TRUST, fallback=fallback)
    return BuildOptions("fruix", mode=mode, substitutes=asked)


def build(here: Machine, *drvs: StorePath, options: BuildOptions | None = None) -> list[BuildResult]:
    """Build in a session of its own: afterwards nothing keeps the results."""
    with here.store.temp_roots.session():
        return here.build(*drvs, options=options)


def move(here: Machine, cache: Cache, *drvs: StorePath) -> list[PathInfo]:
    """Build, offer what was built in a cache, and forget that it was here."""
    for result in build(here, *drvs):
        assert result.success, result.message
    infos = [info for drv in drvs for info in outputs_of(here, drv)]
    for info in infos:
        cache.add(info, b"".join(here.store.nar(info.path)))
    forget(here, infos)
    here.events.clear()
    return infos


def outputs_of(here: Machine, drv: StorePath) -> list[PathInfo]:
    infos = [here.store.path_info(path) for path in here.store.derivation_outputs(drv).values()]
    return [info for info in infos if info is not None]


def forget(here: Machine, infos: list[PathInfo]) -> None:
    here.store.delete([info.path for info in infos], Keep(), referrers=False, report=lambda _event: None)
    assert not here.store.valid_paths(info.path for info in infos)


def chain(here: Machine, shell: StorePath) -> tuple[StorePath, StorePath]:
    """Two derivations, new ones each time; the output of the second refers to that of the first."""
    number = next(_numbers)
    first = here.derivation(f"first-{number}", "mkdir $out; echo 1 > $out/x", shell)
    path = here.store.derivation_outputs(first)["out"]
    return first, here.derivation(
        f"second-{number}", f"mkdir $out; ln -s {path}/x $out/y", shell, inputs=[first]
    )


def failures(here: Machine) -> list[str]:
    return [event.message for event in here.events if isinstance(event, SubstitutionFailed)]


def said(here: Machine) -> list[str]:
    return [event.text for event in here.events if isinstance(event, Message)]


def archive_of(data: bytes) -> tuple[bytes, ...]:
    size = len(data)
    return (write.MAGIC, write.file_head(size, executable=False), data, write.file_tail(size))


def started(here: Machine) -> list[StorePath]:
    return [event.path for event in here.events if isinstance(event, SubstitutionStarted)]
