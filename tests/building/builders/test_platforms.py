"""Systems and features: what a machine says it can build, and what builders see of it."""

from __future__ import annotations

import os
import platform
import stat
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from fruix.building.builders import platforms
from fruix.building.builders.platforms import check_machine, features, personality, wants_kvm
from fruix.building.failures import FailedError
from fruix.building.settings import BuildSettings
from fruix.model.attributes import Attributes
from fruix.model.build_options import BuildOptions
from fruix.model.derivation import Derivation
from fruix.model.events import BuildFailed
from fruix.model.reasons import text_of
from fruix.model.storepath import StorePath
from fruix.sandbox.contracts import CONTRACTS
from fruix.sandbox.linux import libc, userns
from fruix.this_machine import local_system
from machine import BUSYBOX, Machine, machine, private_frx

DRV = StorePath("/frx/store/00000000000000000000000000000000-x.drv")
NIX, GUIX = CONTRACTS["nix"], CONTRACTS["guix"]


def drv(system: str) -> Derivation:
    return Derivation("x", {}, {}, (), system, "/sh", (), {})


@pytest.mark.parametrize(
    ("here", "others"),
    [
        ("x86_64-linux", ["i686-linux"]),
        ("aarch64-linux", ["armv7l-linux", "armhf-linux"]),
        ("x86_64-freebsd", []),
        ("aarch64-freebsd", []),
    ],
)
def test_systems(here: str, others: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platforms, "local_system", lambda: here)
    settings = BuildSettings(extra_platforms=("riscv64-linux",))
    for system in (here, *others, "riscv64-linux"):
        check_machine(DRV, drv(system), Attributes(), NIX, settings)
        assert personality(system) == ("linux32" if system in others else "native")
    with pytest.raises(FailedError, match="Required system: 'sparc64-linux'"):
        check_machine(DRV, drv("sparc64-linux"), Attributes(), NIX, settings)


def test_guix_tries_any_system_of_the_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platforms, "local_system", lambda: "x86_64-linux")
    check_machine(DRV, drv("riscv64-linux"), Attributes(), GUIX, BuildSettings())
    with pytest.raises(FailedError) as caught:
        check_machine(DRV, drv("i586-gnu"), Attributes(), GUIX, BuildSettings())
    assert text_of(caught.value.why, DRV, guix=True) == (
        f"a `i586-gnu' is required to build `{DRV}', but I am a `x86_64-linux'"
    )


def test_features(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platforms, "kvm_groups", lambda: ())
    assert features(BuildSettings()) == ("benchmark", "big-parallel", "kvm", "nixos-test")
    monkeypatch.setattr(platforms, "kvm_groups", lambda: None)
    assert features(BuildSettings()) == ("benchmark", "big-parallel", "nixos-test")
    settings = BuildSettings(system_features=("gpu",))
    assert features(settings) == ("gpu",)
    here = drv(local_system())
    check_machine(DRV, here, Attributes(required_features=("gpu",)), NIX, settings)
    wanted = Attributes(required_features=("kvm", "gpu"))
    with pytest.raises(FailedError, match=r"Required features: \{gpu, kvm\}\nAvailable features: \{gpu\}"):
        check_machine(DRV, here, wanted, NIX, settings)


@pytest.mark.parametrize(
    ("attributes", "why"),
    [
        (Attributes(no_sandbox=True), "__noChroot"),
        (Attributes(host_paths=("/bin/sh",)), "impure path '/bin/sh'"),
    ],
)
def test_less_isolation_is_refused(attributes: Attributes, why: str) -> None:
    with pytest.raises(FailedError, match=why):
        check_machine(DRV, drv(local_system()), attributes, NIX, BuildSettings())


@pytest.mark.parametrize(
    ("mode", "gid", "groups"),
    [(0o666, 0, ()), (0o660, 107, (107,)), (0o660, 0, None), (0o600, 107, None), (0o640, 107, None)],
)
def test_groups_for_kvm(mode: int, gid: int, groups: tuple[int, ...] | None) -> None:
    """Nobody is put into root's group."""
    assert platforms.groups_for(stat.S_IFCHR | mode, gid) == groups


def test_a_device_that_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platforms, "KVM_DEVICE", str(tmp_path / "kvm"))
    assert platforms.kvm_groups() is None
    (tmp_path / "kvm").touch(0o666)
    (tmp_path / "kvm").chmod(0o666)
    assert platforms.kvm_groups() == ()
    monkeypatch.setattr(os, "access", lambda _path, _mode: False)
    assert platforms.kvm_groups() is None


def test_who_is_shown_kvm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os.path, "exists", lambda _path: True)
    with_it, without = BuildSettings(system_features=("kvm",)), BuildSettings(system_features=())
    asks = Attributes(required_features=("kvm",))
    assert wants_kvm(asks, NIX, with_it)
    assert not wants_kvm(Attributes(), NIX, with_it)
    assert wants_kvm(Attributes(), GUIX, with_it)
    assert not wants_kvm(Attributes(), GUIX, without)


# For real


@pytest.fixture(scope="module")
def here() -> Iterator[Machine]:
    with machine() as one:
        yield one


@pytest.fixture(scope="module")
def shell(here: Machine, tmp_path_factory: pytest.TempPathFactory) -> StorePath:
    return here.shell(tmp_path_factory.mktemp("shell"))


def test_a_refusal_names_features_and_hint(here: Machine, shell: StorePath) -> None:
    asks = here.derivation("asks", "exit 1", shell, env={"requiredSystemFeatures": "quantum"})
    (result,) = here.build(asks)
    assert "missing system features\nRequired features: {quantum}\nAvailable features: {" in result.message
    assert "name it in the setting 'system-features'" in result.hint
    recursive = here.derivation("recursive", "exit 1", shell, env={"requiredSystemFeatures": "recursive-nix"})
    (refused,) = here.build(recursive)
    assert "builders can't talk to this daemon: it has no 'recursive-nix'" in refused.message
    # A Guix daemon leaves that word to whoever offloads.
    assert "exit code 1" in here.build(asks, options=BuildOptions("guix"))[0].message


def test_an_unsupported_system_in_both_worlds(here: Machine, shell: StorePath) -> None:
    other = here.derivation("other", "true", shell, system="i586-gnu")
    assert "Required system: 'i586-gnu'" in here.build(other)[0].message
    event = here.events[-1]
    assert isinstance(event, BuildFailed)
    assert text_of(event.reason, other, guix=True).startswith("a `i586-gnu' is required to build")


KVM_GROUP = 40107


@contextmanager
def device(scratch: Path) -> Iterator[None]:
    """A harmless device of a group of its own in the place of /dev/kvm, for this process and its children."""
    node = scratch / "kvm"
    os.mknod(node, stat.S_IFCHR | 0o660, os.makedev(1, 3))
    os.chown(node, 0, KVM_GROUP)
    node.chmod(0o660)
    libc.mount(os.fsencode(node), b"/dev/kvm", None, libc.MS_BIND)
    try:
        yield
    finally:
        libc.umount(b"/dev/kvm", libc.MNT_DETACH)


@pytest.mark.skipif(not os.path.exists("/dev/kvm"), reason="machine: no /dev/kvm to mount on")
@pytest.mark.skipif(userns.confined(), reason="machine: only root makes devices")
@pytest.mark.parametrize("contract", ["fruix", "nix", "guix"])
def test_the_device_can_be_opened(tmp_path: Path, contract: str) -> None:
    """By those who are shown it, whatever group it is for."""
    with private_frx(), device(tmp_path), machine() as here:
        shell = here.shell(tmp_path)
        script = "(exec 3<>/dev/kvm) && id -G > $out"
        asks = here.derivation("asks", script, shell, env={"requiredSystemFeatures": "kvm"})
        (result,) = here.build(asks, options=BuildOptions(contract))
        assert result.success, result.message
        # A group of the host has no number inside a user namespace.
        assert here.output(asks).read_text().split()[-1] == "65534"
        without = here.derivation("without", "test ! -e /dev/kvm; echo $? $(id -G | wc -w) > $out", shell)
        assert here.build(without, options=BuildOptions(contract))[0].success
        assert here.output(without).read_text() == ("1 2\n" if contract == "guix" else "0 1\n")


SOURCE = r"""
static long call(long n, long a, long b, long c) {
    long r;
    __asm__ volatile("int $0x80" : "=a"(r) : "a"(n), "b"(a), "c"(b), "d"(c) : "memory");
    return r;
}
static char names[6 * 65];
void _start(void) {
    long *stack; __asm__("mov %%esp, %0" : "=r"(stack)); (void)stack;
    call(122, (long)names, 0, 0);                               /* uname */
    char *machine = names + 4 * 65;
    long length = 0; while (machine[length]) length++;
    call(4, 1, (long)machine, length);
    long file = call(5, (long)"/build/result", 0101, 0644);     /* open, create */
    long denied = call(94, file, 04755, 0);                     /* fchmod set-uid */
    call(4, 1, denied == -1 ? " EPERM\n" : " ALLOWED\n", denied == -1 ? 7 : 9);
    call(1, 0, 0, 0);
}
"""


@pytest.mark.skipif(platform.machine() != "x86_64", reason="machine: i686 builders run on x86_64")
def test_an_i686_builder(here: Machine, shell: StorePath, tmp_path: Path) -> None:
    """A real 32-bit program: it sees an i686 machine, and the system call filter holds for its calls too."""
    (tmp_path / "x.c").write_text(SOURCE)
    options = [
        "-m32",
        "-nostdlib",
        "-static",
        "-ffreestanding",
        "-fno-pie",
        "-no-pie",
        "-fno-stack-protector",
        "-O0",
    ]
    subprocess.run(["gcc", *options, "-o", tmp_path / "x", tmp_path / "x.c"], check=True)
    program = here.store.add_path("i686", str(tmp_path / "x"))
    narrow = here.derivation(
        "narrow", f"uname -m > $out; {program} >> $out", shell, sources=[program], system="i686-linux"
    )
    (result,) = here.build(narrow, options=BuildOptions("nix"))
    assert result.success, result.message
    assert here.output(narrow).read_text() == "i686\ni686 EPERM\n"
    wide = here.derivation("wide", "uname -m > $out", shell)
    assert here.build(wide)[0].success
    assert here.output(wide).read_text() == "x86_64\n"


def test_addresses_are_not_random(here: Machine, shell: StorePath) -> None:
    script = (
        "cat /proc/self/personality > $out 2>/dev/null || sed -n 's/ .*stack.*//p' /proc/self/maps > $out"
    )
    seen = []
    for number in range(2):
        drv = here.derivation(f"addresses-{number}", script.replace("> $out", "> $out"), shell)
        assert here.build(drv)[0].success
        seen.append(here.output(drv).read_text())
    assert seen[0] == seen[1] != ""


def test_a_program_of_another_system(here: Machine, shell: StorePath, tmp_path: Path) -> None:
    """Guix tries it; if the kernel can't run it, that is what the message says."""
    elf = bytearray(Path(BUSYBOX).read_bytes()[:4096])
    elf[18:20] = b"\xed\xfe"  # e_machine: nobody's, so that there can't be an emulator for it
    (tmp_path / "sh").write_bytes(elf)
    (tmp_path / "sh").chmod(0o755)
    foreign = here.store.add_path("sh", str(tmp_path / "sh"))
    drv = here.derivation(
        "foreign", "", shell, sources=[foreign], builder=str(foreign), system="riscv64-linux"
    )
    (result,) = here.build(drv, options=BuildOptions("guix"))
    assert "Required system: 'riscv64-linux'" in result.message
    assert "no emulator for it is registered" in result.hint


@pytest.mark.parametrize("extra", [(), ("riscv64-linux",)])
def test_the_operator_may_add_systems(tmp_path: Path, extra: tuple[str, ...]) -> None:
    with machine(BuildSettings(max_jobs=1, extra_platforms=extra)) as other:
        emulated = other.derivation(
            "emulated", "echo x > $out", other.shell(tmp_path), system="riscv64-linux"
        )
        assert other.build(emulated)[0].success is bool(extra)
