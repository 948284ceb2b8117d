"""A substitute helper that is a script: what it fetches, and what it can't do."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from fruix.building.builders import entry_sandbox, helper_fetcher
from fruix.building.builders.helper_fetcher import HelperFetcher
from fruix.building.settings import BuildSettings, HelperSettings
from fruix.errors import FruixError
from fruix.model.build_options import BuildOptions
from fruix.model.buildresult import BuildStatus
from fruix.model.derivedpath import ALL, DerivedPath
from fruix.model.pathinfo import PathInfo
from fruix.model.storepath import StorePath
from fruix.sandbox.contracts import CONTRACTS
from machine import FIRST, Machine, builders, left_over, machine
from substitutes.offered import build, chain, failures, forget, outputs_of, said, started

SYSTEM = tuple(name for name in ("/bin", "/lib", "/lib64", "/usr") if os.path.lexists(name))
OPTIONS = BuildOptions("fruix")
# What it knows is in a directory `kept`: the answer about each path, and its tree and result.
SCRIPT = """#!/bin/sh
cd KEPT
read -r verb first rest
case "$1 $verb" in
"--query info")
    [ -e query ] && . ./query
    for path in $first $rest; do
        if [ -e "${path##*/}.info" ]; then cat "${path##*/}.info" >&4; fi
    done
    echo >&4 ;;
"--substitute substitute")
    [ -e substitute ] && . ./substitute
    cp -R "${first##*/}" "$rest"
    cat "${first##*/}.result" >&4 ;;
esac
"""


class Helper:
    """The script, and what it knows."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.kept = directory / "kept"
        self.kept.mkdir(parents=True)
        self.kept.chmod(0o755)
        self.program = directory / "helper"
        self.program.write_text(SCRIPT.replace("KEPT", str(self.kept)))
        self.program.chmod(0o755)

    @property
    def settings(self) -> HelperSettings:
        return HelperSettings((str(self.program),), (*SYSTEM, str(self.directory)))

    def do(self, when: str, script: str) -> None:
        """What it does first, when it is asked (`query`) or has to fetch (`substitute`)."""
        (self.kept / when).write_text(script)

    def reset(self) -> None:
        for name in ("query", "substitute"):
            (self.kept / name).unlink(missing_ok=True)

    def offer(self, here: Machine, info: PathInfo) -> None:
        """Have it know a path that is here."""
        lines = [info.path, info.deriver or "", len(info.references), *info.references, 7, info.nar_size]
        (self.kept / f"{info.path.base}.info").write_text("".join(f"{line}\n" for line in lines))
        self.tell(info, f"success {info.nar_hash.prefixed} {info.nar_size}\n")
        real = here.store.real(info.path)
        shutil.copytree(real, self.kept / info.path.base, symlinks=True)

    def tell(self, info: PathInfo, result: str) -> None:
        """What it says when it has fetched."""
        (self.kept / f"{info.path.base}.result").write_text(result)


@pytest.fixture(scope="module")
def helper(tmp_path_factory: pytest.TempPathFactory) -> Helper:
    directory = tmp_path_factory.mktemp("helper")
    for above in (directory, directory.parent):
        above.chmod(0o755)
    return Helper(directory)


@pytest.fixture(scope="module")
def one(helper: Helper) -> Iterator[Machine]:
    settings = BuildSettings(substitute_helper=helper.settings, fixed_output_network="host")
    with machine(settings) as made:
        yield made


@pytest.fixture(autouse=True)
def _as_before(helper: Helper, one: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    helper.reset()
    monkeypatch.setattr(one.builder._substitution._helper.answers, "_down", {})


def moved(here: Machine, helper: Helper, *drvs: StorePath) -> list[PathInfo]:
    """Build, have the helper know the results, and forget that they were here."""
    for result in build(here, *drvs, options=replace(OPTIONS, substitutes=NOBODY)):
        assert result.success, result.message
    infos = [info for drv in drvs for info in outputs_of(here, drv)]
    for info in infos:
        helper.offer(here, info)
    forget(here, infos)
    here.events.clear()
    return infos


def thing(here: Machine, shell: StorePath, name: str) -> StorePath:
    return here.derivation(f"thing-{name.replace(' ', '-')}", "mkdir $out; echo 1 > $out/x", shell)


def nothing_is_left(here: Machine) -> None:
    assert left_over(here.store) == []
    assert builders() == []


NOBODY = replace(OPTIONS.substitutes, allowed=False)


def test_what_it_has_is_fetched(here: Machine, shell: StorePath, helper: Helper) -> None:
    first, second = chain(here, shell)
    infos = moved(here, helper, first, second)
    (result,) = build(here, second, options=OPTIONS)
    assert result.status is BuildStatus.SUBSTITUTED, result.message
    assert started(here) == [info.path for info in infos], "what is referred to comes first"
    for info in infos:
        found = here.store.path_info(info.path)
        assert found is not None
        assert (found.nar_hash, found.nar_size, found.references, found.deriver, found.ultimate) == (
            info.nar_hash,
            info.nar_size,
            info.references,
            info.deriver,
            False,
        )
    assert not failures(here)
    nothing_is_left(here)


# What goes wrong while it is asked: what it does, what people are told.
UNASKED: Mapping[str, tuple[str, str]] = {
    "status": ("echo oh no >&2; exit 3", "it ended with status 3: oh no"),
    "silent": ("exec sleep 1000", "nothing has come for"),
    "nonsense": ("echo thing >&4", "its answer"),
    "no end": ("printf %s $first >&4; exit 0", "its answer has no end"),
    "in the middle": ("echo $first >&4", "its answer ends in the middle"),
    "number": ("for line in $first '' 0 x 1; do echo $line >&4; done", "is no number"),
    "unasked": (
        "for line in /frx/store/00000000000000000000000000000000-x '' 0 1 1; do echo $line >&4; done",
        "which wasn't asked for",
    ),
    "too much": ("exec cat /dev/zero >&4", "File too large"),
    "link": ("rm /build/answers; ln -s /etc/shadow /build/answers", "left nothing to read"),
    "pipe": ("rm /build/answers; mkfifo /build/answers", "left no plain file"),
}


@pytest.mark.parametrize("name", UNASKED)
def test_it_can_t_be_asked(
    here: Machine, shell: StorePath, helper: Helper, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it might have had is built, and why is told."""
    script, expected = UNASKED[name]
    if name == "silent":
        monkeypatch.setattr(entry_sandbox, "PATIENCE", 0.5)
    drv = thing(here, shell, f"asked {name}")
    helper.do("query", script)
    (result,) = build(here, drv, options=OPTIONS)
    assert result.status is BuildStatus.BUILT, result.message
    warnings = [text for text in said(here) if "the substitute helper is of no use now" in text]
    assert [expected in text for text in warnings] == [True], said(here)
    nothing_is_left(here)


# What goes wrong while it fetches: what it does, what it then says, what people are told.
UNDELIVERED: Mapping[str, tuple[str, str, str]] = {
    "not found": ("mkdir $rest", "not-found\n", "hasn't found it"),
    "status": ("echo oh no >&2; exit 3", "", "it ended with status 3: oh no"),
    "silent": ("exec sleep 1000", "", "nothing has come for"),
    "mismatch": ("", f"hash-mismatch sha256 {'0' * 52} {'1' * 52}\n", "1" * 52),
    "another hash": ("", f"success sha256:{'0' * 52} 1000\n", "mismatch"),
    "no tree": ("cat ${first##*/}.result >&4; exit 0", "", "No such file"),
    "pipe": ("mkdir $rest; mkfifo $rest/pipe; cat ${first##*/}.result >&4; exit 0", "", "pipe"),
    "link": ("ln -s /etc $rest; cat ${first##*/}.result >&4; exit 0", "", "mismatch"),
    "no answer": ("cp -R ${first##*/} $rest; exit 0", "", "answer can't be read"),
    "nonsense": ("", "success\n", "answer can't be read: 'success"),
    "bad hash": ("", "success sha256:x 1\n", "answer can't be read"),
}


@pytest.mark.parametrize("name", UNDELIVERED)
def test_it_can_t_fetch(
    here: Machine, shell: StorePath, helper: Helper, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The request fails with the reason, and nothing of it stays; with `fallback` it is built."""
    script, result, expected = UNDELIVERED[name]
    (info,) = moved(here, helper, drv := thing(here, shell, f"fetched {name}"))
    assert here.builder.missing([DerivedPath(drv, ALL)], OPTIONS).will_substitute  # which is remembered
    helper.do("substitute", script)
    if result:
        helper.tell(info, result)
    if name == "silent":
        monkeypatch.setattr(entry_sandbox, "PATIENCE", 0.5)
    (failed,) = build(here, drv, options=OPTIONS)
    assert failed.status is BuildStatus.TRANSIENT_FAILURE
    assert expected in failed.message, failed.message
    assert not here.store.valid_paths([info.path])
    nothing_is_left(here)
    wishes = replace(OPTIONS.substitutes, fallback=True)
    (built,) = build(here, drv, options=replace(OPTIONS, substitutes=wishes))
    assert built.status is BuildStatus.BUILT, built.message


SEEN = """exec >&2
id -u; echo /frx/store/*; echo "$_NIX_OPTIONS"; cat /configuration/acl
for name in / /frx /usr /etc "$PWD"; do touch $name/x 2>/dev/null && echo can write to $name; done
touch /build/x && echo can write to /build
exit 1"""


def test_what_it_sees(one: Machine, helper: Helper, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A build user, an empty store, one directory to write to; the access control list and its options."""
    acl = tmp_path / "acl"
    acl.write_text("the list\n")
    settings = replace(helper.settings, options={"substitute-urls": "http://a http://b"}, acl_file=str(acl))
    resources = one.builder._resources
    seen = replace(resources, settings=replace(resources.settings, substitute_helper=settings))
    lines: list[bytes] = []
    monkeypatch.setattr(helper_fetcher, "_progress", lines.append)
    helper.do("query", SEEN)
    with pytest.raises(FruixError, match="status 1"):
        HelperFetcher(seen).ask([StorePath.of("/frx/store", "0" * 32 + "-x")])
    assert b"\n".join(lines).decode().splitlines() == [
        str(CONTRACTS["fruix"].identity(FIRST, FIRST).inside_uid),
        "/frx/store/*",
        "print-extended-build-trace=1",
        "substitute-urls=http://a http://b",
        "deduplicate=no",
        "",
        "the list",
        "can write to /build",
    ]


def test_it_isn_t_there(one: Machine, helper: Helper) -> None:
    resources, path = one.builder._resources, StorePath.of("/frx/store", "0" * 32 + "-x")
    for settings, expected in (
        (replace(helper.settings, command=("/bin/no-helper",)), "/bin/no-helper: No such file or directory"),
        (replace(helper.settings, files=("/no/files",)), "can't be shown '/no/files'"),
    ):
        without = replace(resources, settings=replace(resources.settings, substitute_helper=settings))
        with pytest.raises(FruixError, match=expected):
            HelperFetcher(without).ask([path])


def test_who_names_servers_asks_only_those(here: Machine, shell: StorePath, helper: Helper) -> None:
    drv = thing(here, shell, "named")
    moved(here, helper, drv)
    for wishes in (replace(OPTIONS.substitutes, caches=()), NOBODY):
        assert here.builder.missing([DerivedPath(drv, ALL)], replace(OPTIONS, substitutes=wishes)).will_build
    assert here.builder.missing([DerivedPath(drv, ALL)], OPTIONS).will_substitute
