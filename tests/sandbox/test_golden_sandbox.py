"""What builders of each world see, against what builders of the real daemons saw.

Golden data is tests/golden/sandbox.json: names, modes, link targets.

Where they differ is said here, with the reason; anything else is an error.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from fruix.building.settings import BuildSettings
from fruix.model.build_options import BuildOptions
from golden_data import load
from machine import machine

Listing = Mapping[str, tuple[str, str]]
"""Name → (type and mode, link target)."""

# Directory → names that only one side has.
ONLY_THEIRS = {
    # A static shell of the recording machine's distribution; the device is shown to those who ask for it.
    "nix": {"/": {"bin"}, "/dev": {"kvm"}},
    # The recorder's last listing was that of the build directory.
    "guix": {"/dev": {"kvm"}, "/tmp": {"graph"}},
}
# The real one takes the directory's write bit away; here the mount is read-only.
OTHER_MODES = {"nix": {"/": {"etc"}}}
SCRIPT = """mkdir $out
for d in / /dev /etc /frx/store /tmp $NIX_BUILD_TOP; do
    echo "== $d"
    ls -A "$d" | while read -r name; do
        f=${d%/}/$name
        echo "$(stat -c %A "$f") $name $(readlink "$f")"
    done
done > $out/listing
grep -E '^(Umask|NoNewPrivs|Seccomp|CapEff|CapAmb|NSpgid|NSsid):' /proc/self/status > $out/status
"""


def recorded(lines: list[str]) -> Listing:
    found = {}
    for line in lines:
        mode, rest = re.fullmatch(r"(\S+)\s+\d+\s+\S+\s+\S+\s+\d+(?:,\s+\d+)?\s+(.*)", line).groups()  # type: ignore[union-attr]
        name, _, target = rest.partition(" -> ")
        found[_short(name)] = (mode, target)
    return found


def seen(text: str) -> Mapping[str, Listing]:
    found: dict[str, dict[str, tuple[str, str]]] = {}
    for line in text.splitlines():
        if line.startswith("== "):
            listing = found.setdefault(line[3:], {})
            continue
        mode, name, target = line.split(" ", 2)
        listing[_short(name)] = (mode, target)
    return found


def _short(name: str) -> str:
    """Store paths and build directories without what differs between derivations."""
    return re.sub(r"^[a-z0-9]{32}-(?!bb$).*", "OUTPUT", re.sub(r"^[a-z0-9]{32}-bb$", "bb", name)).replace(
        "guix-build-attrs.drv-0", "guix-build-look.drv-0"
    )


@pytest.mark.parametrize("world", ["nix", "guix"])
def test_listings(world: str, tmp_path: Path) -> None:
    golden: dict[str, Any] = load("sandbox.json")[world]
    with machine(BuildSettings(max_jobs=1, system_features=())) as here:
        drv = here.derivation("look", SCRIPT, here.shell(tmp_path))
        (result,) = here.build(drv, options=BuildOptions(world))
        assert result.success, result.message
        listings = seen((here.output(drv) / "listing").read_text())
        status = dict(line.split(":\t") for line in (here.output(drv) / "status").read_text().splitlines())
    for directory, lines in golden["listings"].items():
        theirs, ours = recorded(lines), listings[directory]
        gone = ONLY_THEIRS[world].get(directory, set())
        assert set(ours) - {"OUTPUT"} == set(theirs) - gone - {"OUTPUT"}, directory
        for name in set(ours) & set(theirs) - {"OUTPUT"} - OTHER_MODES.get(world, {}).get(directory, set()):
            assert ours[name] == theirs[name], f"{directory}: {name}"
    # No less isolated than the stricter of the two.
    real = golden["proc_self_status"]
    assert status["Umask"] == real["Umask"]
    assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")
    assert status["CapEff"] == status["CapAmb"] == "0" * 16
    assert (status["NSpgid"], status["NSsid"]) == (real["NSpgid"], real["NSsid"])
