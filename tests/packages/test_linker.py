"""The linker's wrapper and the check of run paths, as scripts on their own."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from fruix.packages.build_systems.shared_phases import shell_text
from packages.build_area import BuildArea


@dataclass
class Place(BuildArea):
    """A build area whose view has an `ld` that prints its arguments."""

    @property
    def out(self) -> Path:
        return self.store / "mine"

    def library(self, name: str, file: str) -> Path:
        path = self.store / name / "lib" / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
        return path

    def link(self, *arguments: str) -> list[str]:
        """What the real linker is called with."""
        done = self.run(("set-up-linker", shell_text("set_up_linker.sh")))
        assert done.returncode == 0, done.stdout
        done = self.execute([f"{self.build}/.fruix/ld", *arguments])
        assert done.returncode == 0, done.stdout
        return done.stdout.splitlines()

    def run_paths(self, *arguments: str) -> list[str]:
        words = self.link(*arguments)
        assert words[: len(arguments) + 1] == ["--enable-new-dtags", *arguments]
        added = words[len(arguments) + 1 :]
        assert added[::2] == ["-rpath"] * (len(added) // 2)
        return [path.removeprefix(f"{self.store}/") for path in added[1::2]]


@pytest.fixture
def place(tmp_path: Path) -> Place:
    place = Place(tmp_path)
    ld = place.tools / "ld"
    ld.write_text("#!/bin/sh\nprintf '%s\\n' \"$@\"\n")
    ld.chmod(0o755)
    return place


def test_libraries_of_the_store_get_run_paths(place: Place) -> None:
    z, bz2 = place.library("z", "libz.so"), place.library("bz2", "libbz2.so.1.0")
    place.library("other", "libz.so")
    assert place.run_paths(f"-L{z.parent}", f"-L{place.store}/other/lib", "-lz") == ["z/lib"]
    assert place.run_paths("-L", str(z.parent), "-l", "z", "-lz", "-lc") == ["z/lib"]
    assert place.run_paths(str(bz2), "-o", "x") == ["bz2/lib"]
    assert place.run_paths(f"-L{bz2.parent}", "-l:libbz2.so.1.0") == ["bz2/lib"]
    assert place.run_paths(f"-L{z.parent}/../lib", "-lz") == ["z/lib"]


def test_what_is_not_linked_dynamically_gets_none(place: Place) -> None:
    z = place.library("z", "libz.so")
    static = place.library("static", "libz.a")
    where = [f"-L{z.parent}"]
    assert place.run_paths(*where, "-Bstatic", "-lz", "-Bdynamic", "-lc") == []
    assert place.run_paths(f"-L{static.parent}", *where, "-lz") == []
    assert place.run_paths(*where) == []
    assert place.run_paths("-o", str(z), "-soname", "libz.so.1", "main.o") == []
    assert place.run_paths("/usr/lib/libhost.so") == []
    assert place.link(*where, "-r", "-lz") == [*where, "-r", "-lz"]


def test_libraries_of_the_build_itself(place: Place) -> None:
    (place.build / "libmine.so").write_bytes(b"")
    for words in (["-L.", "-lmine"], ["./libmine.so"], ["libmine.so"], [f"{place.build}/libmine.so"]):
        assert place.run_paths(*words) == ["mine/lib"]


def test_arguments_in_a_file(place: Place) -> None:
    z = place.library("z", "libz.so")
    (place.build / "words").write_text(f'"-L{z.parent}"\n-lz\n')
    assert place.run_paths("@words") == ["z/lib"]


def test_directories_with_blanks(place: Place) -> None:
    """Such as a source's own: its libraries are found as others are."""
    directory = place.build / "a directory"
    directory.mkdir()
    (directory / "libmine.so").touch()
    assert place.run_paths("-L", str(directory), "-lmine") == ["mine/lib"]
    (place.build / "words").write_text(f'-L{str(directory).replace(" ", chr(92) + " ")}\n"-lmine"\n')
    assert place.run_paths("@words") == ["mine/lib"]


def test_odd_arguments_go_through_as_they_are(place: Place) -> None:
    assert place.link("a b", "*", "", "$x") == ["--enable-new-dtags", "a b", "*", "", "$x"]


ROOTED = {"fruixLoader": "{store}/libc/lib/ld.so", "fruixLibraryPath": "{store}/libc/lib:{store}/libc/lib64"}


@pytest.fixture
def rooted(place: Place) -> Place:
    """The same, of a build in a root."""
    place.environment |= {name: value.format(store=place.store) for name, value in ROOTED.items()}
    return place


def test_programs_of_a_root_are_run_by_the_runtime(rooted: Place) -> None:
    z, libc = rooted.library("z", "libz.so"), f"{rooted.store}/libc/lib"
    where = ["-rpath", str(z.parent), "-rpath", libc, "-rpath", f"{libc}64"]
    program = [f"-L{z.parent}", "-lz", "-lc", "-dynamic-linker"]
    added = ["-dynamic-linker", f"{libc}/ld.so", "--disable-new-dtags", *where]
    for host in ("/lib64/ld-linux-x86-64.so.2", "/lib/ld-linux-aarch64.so.1"):
        assert rooted.link(*program, host) == [*program, host, *added]
    assert rooted.link("--dynamic-linker=/lib/ld.so", "-lc")[2:4] == added[:2]


def test_what_of_a_root_has_no_loader_or_one_of_the_store_keeps_it(rooted: Place) -> None:
    libc = f"{rooted.store}/libc/lib"
    run_paths = ["--disable-new-dtags", "-rpath", libc, "-rpath", f"{libc}64"]
    library = ["-shared", "-o", "libx.so", "x.o", "-lc"]
    assert rooted.link(*library) == [*library, *run_paths]
    own = ["-dynamic-linker", f"{rooted.store}/other/ld.so", "-lc"]
    assert rooted.link(*own) == [*own, *run_paths]
    assert rooted.link("-static", "x.o", "-lc") == ["-static", "x.o", "-lc", "--disable-new-dtags"]
    assert rooted.link("-r", "x.o") == ["-r", "x.o"]


@dataclass
class Compiled:
    """An input with a library, and an output with a program that needs it; compiled and linked for real."""

    place: Place

    def build(self, *flags: str, needs: Sequence[str] = ("-lfruixlow",)) -> None:
        low, mine = self.place.store / "low/lib", self.place.store / "mine/bin"
        low.mkdir(parents=True, exist_ok=True)
        mine.mkdir(parents=True, exist_ok=True)
        self._compile("int low(void){return 0;}", "-shared", "-fPIC", "-o", f"{low}/libfruixlow.so")
        self._compile(
            "int low(void); int main(void){return low();}", "-o", f"{mine}/prog", f"-L{low}", *needs, *flags
        )

    def _compile(self, text: str, *words: str) -> None:
        subprocess.run(["cc", "-x", "c", "-", "-x", "none", *words], input=text, text=True, check=True)

    def validate(self) -> subprocess.CompletedProcess[str]:
        (self.place.build / "inputs").write_text(f"{self.place.store}/low\n")
        self.place.environment["inputsPath"] = f"{self.place.build}/inputs"
        return self.place.run(("validate-runpath", shell_text("validate_runpath.sh", OUTPUTS='"$out"')))


def test_a_right_run_path_passes(place: Place) -> None:
    compiled = Compiled(place)
    compiled.build(f"-Wl,-rpath,{place.store}/low/lib")
    done = compiled.validate()
    assert done.returncode == 0, done.stdout
    assert "run paths: 1 files checked, 0 wrong" in done.stdout
    compiled.build("-Wl,-rpath,$ORIGIN/../../low/lib")
    assert compiled.validate().returncode == 0


@pytest.mark.parametrize(
    ("flags", "why"),
    [
        ([], "its run path does not lead there"),
        (["-Wl,-rpath,/usr/lib"], "'/usr/lib', which is not in the store"),
        (["-Wl,-rpath,{store}/none"], "its run path does not lead there"),
    ],
)
def test_wrong_run_paths_fail_the_build(place: Place, flags: Sequence[str], why: str) -> None:
    compiled = Compiled(place)
    compiled.build(*(flag.format(store=place.store) for flag in flags))
    done = compiled.validate()
    assert done.returncode == 1
    assert f"{place.store}/mine/bin/prog: " in done.stdout
    assert why in done.stdout
    assert "-Wl,-rpath" in done.stdout


def test_a_library_that_is_nowhere_fails_the_build(place: Place) -> None:
    compiled = Compiled(place)
    compiled.build()
    (place.store / "low/lib/libfruixlow.so").unlink()
    done = compiled.validate()
    assert done.returncode == 1
    assert "neither on its run path nor among the host view's libraries" in done.stdout


def test_what_is_no_program_is_left_alone(place: Place) -> None:
    directory = place.store / "mine/bin"
    directory.mkdir(parents=True)
    (directory / "script").write_text("#!/bin/sh\n")
    (directory / "script").chmod(0o755)
    (directory / "broken.so").write_bytes(b"\x7fELF")
    done = Compiled(place).validate()
    assert done.returncode == 0, done.stdout


def test_nothing_of_the_host_passes_in_a_root(rooted: Place) -> None:
    """Neither its loader nor its C library: both would be found in a host view."""
    compiled = Compiled(rooted)
    compiled.build(f"-Wl,-rpath,{rooted.store}/low/lib")
    done = compiled.validate()
    assert done.returncode == 1
    program = f"{rooted.store}/mine/bin/prog"
    assert f"{program}: is run by '/lib" in done.stdout
    assert f"{program}: needs 'libc.so.6', which is neither on its run path\n" in done.stdout


PC = "prefix={store}/mine\nlibdir=${{prefix}}/lib\nURL: https://x.example/usr/lib\n# not /usr/lib\n{line}\n"


def validate_pc(
    place: Place, line: str, directory: str = "lib/pkgconfig"
) -> subprocess.CompletedProcess[str]:
    file = place.store / "mine" / directory / "mine.pc"
    file.parent.mkdir(parents=True)
    file.write_text(PC.format(store=place.store, line=line))
    return Compiled(place).validate()


@pytest.mark.parametrize(
    "line",
    [
        "includedir=/usr/include",
        "Libs: -L/usr/lib/x86_64-linux-gnu -lmine",
        "Libs: -L${libdir} /lib/libz.so",
        "Libs.private: -Wl,-rpath,/usr/lib",
        'Cflags: -I"/usr/include"',
        "Cflags: -isystem/opt/x",
        "prefix={build}/mine",
    ],
)
@pytest.mark.parametrize("directory", ["lib/pkgconfig", "share/pkgconfig"])
def test_pkg_config_is_not_led_out_of_the_store(rooted: Place, line: str, directory: str) -> None:
    rooted.environment["fruixRuntime"] = f"{rooted.store}/libc"
    wrong = line.replace("{build}", str(rooted.build))
    done = validate_pc(rooted, wrong, directory)
    assert done.returncode == 1
    assert f"{rooted.store}/mine/{directory}/mine.pc:{wrong}\n" in done.stdout
    assert "the lines above lead pkg-config out of the store" in done.stdout


def test_files_of_pkg_config_that_stay_in_the_store_pass(rooted: Place) -> None:
    rooted.environment["fruixRuntime"] = f"{rooted.store}/libc"
    done = validate_pc(rooted, f"Libs: -L${{libdir}} -L{rooted.store}/usr/lib -pthread\nconf=/etc/mine")
    assert done.returncode == 0, done.stdout


def test_with_a_host_view_pkg_config_may_name_the_host(place: Place) -> None:
    assert validate_pc(place, "includedir=/usr/include").returncode == 0


def test_a_program_with_the_runtimes_loader_passes(rooted: Place) -> None:
    libc = rooted.store / "libc/lib"
    libc.mkdir(parents=True)
    (libc / "libc.so.6").write_bytes(b"")
    compiled = Compiled(rooted)
    compiled.build(f"-Wl,-rpath,{rooted.store}/low/lib:{libc}", f"-Wl,--dynamic-linker={libc}/ld.so")
    done = compiled.validate()
    assert done.returncode == 0, done.stdout
