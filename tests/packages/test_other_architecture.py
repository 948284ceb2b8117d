"""A program for another processor, built in the root of that one and run, all in an emulator."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from fruix.building.settings import BuildSettings
from fruix.model.hostview import HostView
from fruix.packages.lower import Lowering, LoweringContext
from fruix.packages.package import Package
from fruix.sandbox.linux import libc
from machine import machine

pytestmark = pytest.mark.skipif(
    platform.machine() != "x86_64" or os.geteuid() != 0,
    reason="machine: emulators are registered by root, and this one is for x86_64",
)

SYSTEM = "aarch64-linux"
KERNEL = Path("/proc/sys/fs/binfmt_misc")
NAME = "fruix-test-aarch64"
# The head of an ELF file of 64 bits, little-endian, executable or shared (mask), for AArch64 (183).
MAGIC = rb"\x7fELF\x02\x01\x01\x00" + rb"\x00" * 8 + rb"\x02\x00\xb7\x00"
MASK = rb"\xff" * 7 + rb"\x00" + rb"\xff" * 8 + rb"\xfe\xff\xff\xff"
SCRIPT = r"""
printf '#include <stdio.h>\nint main(void) { return printf("%%zu bits\\n", ' > it.c
printf '8 * sizeof(void *)) < 0; }\n' >> it.c
mkdir -p $out/bin
cc -Wl,--dynamic-linker=$fruixLoader -Wl,-rpath,$fruixLibraryPath it.c -o $out/bin/it
uname -m
$out/bin/it
"""


@pytest.fixture
def emulator() -> Iterator[None]:
    """Registered so that it needs no file in the sandbox: the kernel keeps it open (flag F)."""
    interpreter = os.fsencode(shutil.which("qemu-aarch64-static") or pytest.fail("there is no emulator"))
    row = b":".join((b"", NAME.encode(), b"M", b"", MAGIC, MASK, interpreter, b"F"))
    try:
        if not (KERNEL / "register").exists():
            libc.mount(b"none", bytes(KERNEL), b"binfmt_misc", 0, None)
        (KERNEL / "register").write_bytes(row)
    except OSError as error:
        pytest.skip(f"machine: the kernel takes no emulators: {error}")
    yield
    (KERNEL / NAME).write_text("-1")


@pytest.mark.usefixtures("emulator")
def test_a_program_for_another_processor() -> None:
    package = Package(
        name="it", version="1", build_system="trivial", root="debian-12", arguments={"script": SCRIPT}
    )
    with machine(BuildSettings(extra_platforms=(SYSTEM,))) as here:
        context = LoweringContext(SYSTEM, lambda name: HostView(name, "f" * 64))
        drv = Lowering(here.store, context).lowered(package).drv
        (result,) = here.build(drv)
        assert result.success, f"{result.message}\n{here.log(drv)}"
        assert {"aarch64", "64 bits"} <= set(here.log(drv).splitlines())
        program = here.output(drv) / "bin/it"
        assert program.read_bytes()[18:20] == b"\xb7\0"  # EM_AARCH64
        assert subprocess.check_output([program], text=True) == "64 bits\n"
        references = [path.name for path in here.store.references(result.outputs["out"])]
    assert references == ["debian-12-runtime"]
