"""Roots as definitions of packages name them, put together for real: of other systems, too."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

import network_rig as rig
from fruix.building.settings import BuildSettings
from fruix.errors import UsageError
from fruix.model.buildresult import BuildStatus
from fruix.model.events import BuildFailed
from fruix.model.hostview import HostView
from fruix.model.storepath import StorePath
from fruix.packages.lower import Lowering, LoweringContext
from fruix.packages.package import Package
from machine import Machine, machine
from root_pieces import FREEBSD_ROOT, deb, directory, file, hard, link, tarball

# As in a release: sets aren't merged, /rescue is one program with many names.
BASE_TXZ = tarball(
    directory("./bin"),
    file("./bin/sh", b"sh", 0o555),
    file("./lib/libc.so.7", b"libc"),
    file("./libexec/ld-elf.so.1", b"loader", 0o555),
    directory("./rescue"),
    file("./rescue/cat", b"rescue", 0o555),
    hard("./rescue/sh", "./rescue/cat"),
    file("./usr/bin/su", b"su", 0o4555),
    link("./usr/lib/libc.so", "../../lib/libc.so.7"),
    link("./sys", "usr/src/sys"),
    file("./usr/include/stdio.h", b"stdio"),
    compression=".xz",
)
DEBIAN = """
name = "small"
suite = "stable"
[wanted]
base = []
[systems.x86_64-linux]
architecture = "amd64"
loader = "usr/lib/ld.so"
library_path = ["usr/lib"]
[archives]
x86_64-linux = [
    {{name = "libc", version = "1", urls = [{urls}], sha256 = "{sha256}", KIND_AND_GROUPS}},
]
""".replace("KIND_AND_GROUPS", 'kind = "deb", groups = ["base", "runtime"]')


@pytest.fixture
def here() -> Iterator[Machine]:
    with machine() as one:
        yield one


def lowered(here: Machine, root: str, system: str) -> dict[str, StorePath]:
    """The derivations of a root and of its runtime, as those of a package that is built in it, by name."""
    package = Package(
        name="x", version="1", build_system="trivial", root=root, arguments={"script": "mkdir $out"}
    )
    context = LoweringContext(system, lambda name: HostView(name, "f" * 64))
    inputs = Lowering(here.store, context).lowered(package).derivation.input_drvs
    return {path.name.removesuffix(".drv"): path for path in inputs}


def freebsd(directory: Path, data: bytes, sha256: str = "") -> str:
    (directory / "base.txz").write_bytes(data)
    row = f'base.txz\t{sha256 or hashlib.sha256(data).hexdigest()}\t7\tbase\t"Base system (MANDATORY)"\ton\n'
    (directory / "MANIFEST").write_text(row)
    pins = directory / "freebsd.toml"
    url = f"file://{directory}/base.txz"
    piece = f'name = "base", version = "14.1", kind = "base-set", urls = ["{url}"], manifest = "MANIFEST"'
    pins.write_text(FREEBSD_ROOT.replace("PIECES", f'{{{piece}, groups = ["base", "runtime"]}},'))
    return str(pins)


def test_a_set_of_freebsd(here: Machine, tmp_path: Path) -> None:
    drvs = lowered(here, freebsd(tmp_path, BASE_TXZ), "x86_64-freebsd")
    for result in here.build(drvs["freebsd"], drvs["freebsd-runtime"]):
        assert result.success, result.message
    out, runtime = here.output(drvs["freebsd"]), here.output(drvs["freebsd-runtime"])
    assert (out / "usr/lib/libc.so").read_bytes() == b"libc"
    assert os.readlink(out / "sys") == "usr/src/sys"
    modes = {name: oct(os.stat(out / name).st_mode & 0o7777) for name in ("usr/bin/su", "bin/sh")}
    assert modes == dict.fromkeys(("usr/bin/su", "bin/sh"), "0o555")
    assert os.stat(out / "rescue/cat").st_ino == os.stat(out / "rescue/sh").st_ino
    found = sorted(str(path.relative_to(runtime)) for path in runtime.rglob("*") if not path.is_dir())
    assert found == ["lib/libc.so.7", "libexec/ld-elf.so.1", "usr/lib/libc.so"]


def test_a_set_with_another_hash_than_in_the_manifest(here: Machine, tmp_path: Path) -> None:
    """It is not taken, and there is nowhere else to get it from."""
    root = freebsd(tmp_path, BASE_TXZ, "0" * 64)
    with pytest.raises(UsageError, match=r"base\.txz") as caught:
        lowered(here, root, "x86_64-freebsd")
    assert hashlib.sha256(BASE_TXZ).hexdigest() in str(caught.value)


def test_the_runtime_of_another_architecture(here: Machine) -> None:
    """It is data: nothing in it is run."""
    drvs = lowered(here, "debian-12", "aarch64-linux")
    (result,) = here.build(drvs["debian-12-runtime"])
    assert result.success, result.message
    libraries = here.output(drvs["debian-12-runtime"]) / "usr/lib/aarch64-linux-gnu"
    for name in ("ld-linux-aarch64.so.1", "libc.so.6", "libgcc_s.so.1", "libstdc++.so.6"):
        assert (libraries / name).read_bytes()[18:20] == b"\xb7\0"  # EM_AARCH64


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[Path, BuildSettings]]:
    """What a server has, and settings with which it is the snapshot archive, and an empty mirror."""
    directory = tmp_path / "served"
    directory.mkdir()
    with rig.private_network(), rig.web_server(directory) as port:
        url = f"http://{rig.HOST}:{port}"
        mirrors = {"debian": (f"{url}/mirror/",), "debian-snapshot": (f"{url}/snapshot/",)}
        yield directory, BuildSettings(mirrors=mirrors)


def test_what_a_mirror_has_forgotten_comes_from_the_snapshot_archive(
    served: tuple[Path, BuildSettings], tmp_path: Path
) -> None:
    directory, settings = served
    piece = deb(file("usr/lib/ld.so"))
    place = directory / "snapshot/20260801T220000Z/pool/main/l/libc_1.deb"
    place.parent.mkdir(parents=True)
    place.write_bytes(piece)
    with machine(settings) as here:
        drvs = lowered(here, pinned(tmp_path, piece), "x86_64-linux")
        (result,) = here.build(drvs["small"])
        assert result.success, result.message
        assert (here.output(drvs["small"]) / "usr/lib/ld.so").exists()


def test_a_piece_that_no_server_has_any_more(served: tuple[Path, BuildSettings], tmp_path: Path) -> None:
    """What was tried is named, and nothing is registered."""
    _, settings = served
    (url,), (snapshot,) = settings.mirrors["debian"], settings.mirrors["debian-snapshot"]
    with machine(settings) as here:
        drvs = lowered(here, pinned(tmp_path, b"gone"), "x86_64-linux")
        (result,) = here.build(drvs["small"])
        assert result.status is BuildStatus.DEPENDENCY_FAILED
        failed = [event.reason for event in here.events if isinstance(event, BuildFailed)]
        assert failed[0]["kind"] == "download"
        assert failed[0]["url"] == f"{url}pool/main/l/libc_1.deb"
        assert f"{snapshot}20260801T220000Z/pool/main/l/libc_1.deb: " in str(failed[0]["others"])
        assert not here.output(drvs["small"]).exists()


def pinned(directory: Path, piece: bytes) -> str:
    """Pins of a piece of Debian's archive."""
    sha256 = hashlib.sha256(piece).hexdigest()
    row = f'path = "pool/main/l/libc_1.deb", sha256 = "{sha256}", size = {len(piece)}'
    pins = directory / "small.toml"
    written = DEBIAN.partition("[archives]")[0]
    pins.write_text(f"""{written}
[pinned]
date = "Sat, 01 Aug 2026 10:00:00 UTC"
snapshot = "20260801T220000Z"
[pinned.pieces]
x86_64-linux = [{{name = "libc", version = "1", {row}, groups = ["base", "runtime"]}}]
""")
    return str(pins)


def debian(directory: Path, urls: list[str], sha256: str) -> str:
    pins = directory / "small.toml"
    listed = ", ".join(f'"{url}"' for url in urls)
    pins.write_text(DEBIAN.format(urls=listed, sha256=sha256))
    return str(pins)


def test_a_piece_with_another_hash(here: Machine, tmp_path: Path) -> None:
    piece = tmp_path / "libc.deb"
    piece.write_bytes(deb(file("usr/lib/ld.so")))
    pins = debian(tmp_path, [f"file://{piece}"], hashlib.sha256(piece.read_bytes()).hexdigest())
    assert here.build(lowered(here, pins, "x86_64-linux")["small"])[0].success
    other = tmp_path / "other"
    other.mkdir()
    with pytest.raises(UsageError, match=r"libc\.deb"):
        lowered(here, debian(other, [f"file://{piece}"], "2" * 64), "x86_64-linux")
