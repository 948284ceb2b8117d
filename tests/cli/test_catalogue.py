"""A piece of the catalogue, with every build system, and what the commands say of it.

It is built for real, on a private /frx.

`make catalogue` builds all of it.
"""

from __future__ import annotations

import json
import os
import runpy
import shutil
import signal
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path

import pytest

from machine import private_frx
from rooted import rooted_frx

ROOT = Path(__file__).parents[2]
ENVIRONMENT = {
    name: value for name, value in os.environ.items() if not name.startswith(("FRUIX_", "NIX_", "METADATA"))
}
# A program that finds two libraries by pkg-config and by header, in a package file of a user's.
BOTH_C = r"""
#include <iconv.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <bzlib.h>
#include <zlib.h>
/* Given variables, it tells the beginning of time, in their language and zone. */
int main(int count, char **words) {
    char text[99];
    time_t zero = 0;
    if (count == 1) return printf("%s %s\n", zlibVersion(), BZ2_bzlibVersion()) < 0;
    while (--count) putenv(words[count]);
    if (!setlocale(LC_ALL, "") || iconv_open("ISO-8859-2", "UTF-8") == (iconv_t) -1) return 1;
    strftime(text, sizeof text, "%A %H:%M %z", localtime(&zero));
    return puts(text) < 0;
}
"""
CONFIGURE = r"""
pkg-config --exists zlib || exit 1
printf 'prefix = %s\nLIBS = %s -lbz2\n' "${1#--prefix=}" "$(pkg-config --libs zlib)" > Makefile
cat >> Makefile <<'EOF'
all: both
both: both.c
	$(CC) -o both both.c $(LIBS)
check: both
	./both
	@echo '# PASS:  1'
install: both
	mkdir -p $(prefix)/bin
	cp both $(prefix)/bin/
EOF
"""
PACKAGE = """
import os
# The source is a tree made by a package; of several of that name a builder sees its own input only.
tree = Package(name="both-source", version="1", build_system="trivial", arguments={{"script": {script!r}}})
package = Package(
    name="both",
    version="1",
    build_system="gnu",
    arguments={{
        "phases": lambda phases: phases.replace(
            "unpack",
            f"cp -R '{{os.sep}}frx/store/'*-both-source-1 source && chmod -R u+w source && cd source",
        ){more}
    }},
    inputs=(find("bzip2"), find("zlib"){inputs}),
    native_inputs=(tree, find("pkgconf")),
    synopsis="Both libraries",
)
"""


def fruix(*words: str, code: int = 0, path: str = "", **more: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, "-m", "fruix", *words],
        capture_output=True,
        text=True,
        env={**ENVIRONMENT, **({"FRUIX_PACKAGE_PATH": path} if path else {}), **more},
        check=False,
    )
    assert done.returncode == code, f"{words}: {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done


def write_package(directory: Path, *, inputs: str = "", more: str = "") -> Path:
    script = f"mkdir $out\ncat > $out/both.c <<'END'{BOTH_C}END\ncat > $out/configure <<'END'{CONFIGURE}END\n"
    path = directory / "both.py"
    path.write_text(PACKAGE.format(script=script, inputs=inputs, more=more))
    return path


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with rooted_frx(tmp_path_factory):
        process = subprocess.Popen([sys.executable, "-m", "fruix", "daemon"], env=ENVIRONMENT)
        try:
            fruix("daemon", "--ping", "--wait", "60")
            yield
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.wait() == 0


@pytest.fixture(scope="module")
def package_path(daemon: None, tmp_path_factory: pytest.TempPathFactory) -> str:
    directory = tmp_path_factory.mktemp("packages")
    write_package(directory)
    return str(directory)


@pytest.fixture(scope="module")
def both(package_path: str) -> Path:
    """The program of the package path; builds zlib, bzip2 and pkgconf on the way."""
    return Path(fruix("build", "both", path=package_path).stdout.strip())


def store_paths(text: str) -> set[str]:
    return {
        word.partition("-")[2] for word in text.replace("/", " ").split() if len(word.partition("-")[0]) == 32
    }


def test_libraries_are_found_through_the_store_and_at_run_time(both: Path) -> None:
    program = str(both / "bin/both")
    assert subprocess.check_output([program], text=True) == "1.3.1 1.0.8, 13-Jul-2019\n"
    loaded = subprocess.check_output([program], text=True, env={"LD_TRACE_LOADED_OBJECTS": "1"})
    places = {line.split()[0]: line.split()[2] for line in loaded.splitlines() if "=>" in line}
    assert places["libz.so.1"].startswith("/frx/store/")
    assert places["libbz2.so.1.0"].startswith("/frx/store/")
    assert "-debian-12-runtime/" in places["libc.so.6"]


def test_programs_run_where_there_is_nothing_but_the_store(both: Path) -> None:
    """All of the packages that are built here.

    Scripts, too: bzip2 has some, which the shell of the catalogue runs.
    """
    alone = ROOT / "scripts/alone"
    broken_alone = runpy.run_path(str(ROOT / "scripts/catalogue"))["broken_alone"]
    outputs = [both, *(Path(fruix("build", name).stdout.strip()) for name in ("bzip2", "pkgconf", "ninja"))]
    assert [line for out in outputs for line in broken_alone(out)] == []
    assert sum(len(list((out / "bin").iterdir())) for out in outputs) > 10
    bzip2 = Path(fruix("build", "bzip2").stdout.strip())
    assert (bzip2 / "bin/bzdiff").read_text().startswith("#!/frx/store/")
    for words in ([both / "bin/both"], [bzip2 / "bin/bzip2", "--help"], [bzip2 / "bin/bzmore", "--help"]):
        done = subprocess.run([alone, *words], capture_output=True, text=True, check=False)
        assert done.returncode not in {126, 127}, f"{words}: {done.stderr}"
    assert subprocess.run([alone, "/bin/sh"], capture_output=True, check=False).returncode == 127


def test_a_program_that_never_ends_is_one_that_runs(tmp_path: Path) -> None:
    """As Perl's instmodsh, which asks on at the end of its input."""
    broken_alone = runpy.run_path(str(ROOT / "scripts/catalogue"))["broken_alone"]
    broken_alone.__globals__.update(ALONE="/usr/bin/env", PATIENCE=0.1)
    (tmp_path / "bin").mkdir()
    for name, first in {"asks": "#!/bin/sh", "lost": "#!/nonexistent/sh"}.items():
        program = tmp_path / "bin" / name
        program.write_text(f"{first}\nexec sleep 1000\n")
        program.chmod(0o755)
    (found,) = broken_alone(tmp_path)
    assert found.startswith(f"{tmp_path}/bin/lost: ")


def test_what_runs_alone_can_not_write_into_the_store() -> None:
    """Perl's h2ph writes a file beside its modules when root runs it, whatever it was asked."""
    with private_frx():
        shell = Path("/frx/store/busybox")
        shell.parent.mkdir()
        shutil.copy(shutil.which("busybox") or pytest.skip("machine: no busybox"), shell)
        words = [str(ROOT / "scripts/alone"), str(shell), "sh", "-c", "echo alone; echo > /frx/store/new"]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        if done.returncode == 127:
            pytest.skip("machine: busybox is no static program")
        assert done.stdout == "alone\n"
        assert "Read-only" in done.stderr
        assert os.listdir("/frx/store") == ["busybox"]


def test_locales_and_time_zones_are_a_path(both: Path) -> None:
    """That a result is pointed to by variables, where there is nothing but the store."""
    data = fruix("build", "locales").stdout.strip()
    where = [f"LOCPATH={data}/lib/locale", f"GCONV_PATH={data}/lib/gconv", f"TZDIR={data}/share/zoneinfo"]
    words = [
        str(ROOT / "scripts/alone"),
        str(both / "bin/both"),
        *where,
        "LC_ALL=de_DE.UTF-8",
        "TZ=Asia/Kathmandu",
    ]
    assert subprocess.check_output(words, text=True) == "Donnerstag 05:30 +0530\n"
    assert subprocess.run([*words[:2], *words[5:]], check=False).returncode == 1  # without the path


def test_upstreams_tests_are_in_the_record(both: Path) -> None:
    for name in ("zlib", "bzip2"):
        counts = dict(
            part.split("=") for part in json.loads(fruix("log", "--record", name).stdout)["tests"].split()
        )
        assert int(counts["pass"]) >= 3
        assert counts["fail"] == "0"
        assert "files checked, 0 wrong" in fruix("log", name).stdout


@pytest.mark.parametrize("name", ["inih", "python-idna"])
def test_other_build_systems(daemon: None, name: str) -> None:
    """Meson (which the view's Python runs) with Ninja (built by CMake), and a Python package."""
    out = Path(fruix("build", name).stdout.strip())
    tests = json.loads(fruix("log", "--record", name).stdout)["tests"]
    assert tests.startswith("pass=")
    assert not tests.startswith("pass=0")
    assert " fail=0" in tests
    wanted = {"inih": "lib/libinih.so.0", "python-idna": "lib/python3/site-packages/idna/core.py"}
    assert (out / wanted[name]).exists()


@pytest.mark.parametrize("name", ["zlib", "bzip2", "python-idna"])
def test_a_second_build_gives_the_same_bits(both: Path, name: str) -> None:
    before = fruix("build", name).stdout
    assert fruix("build", "--check", name).stdout == before


def test_an_undeclared_library_is_not_found(daemon: None, package_path: str, tmp_path: Path) -> None:
    path = write_package(tmp_path)
    path.write_text(path.read_text().replace('find("bzip2"), find("zlib")', 'find("zlib"), '))
    done = fruix("build", "-f", str(path), code=100)
    assert "failed in phase build" in done.stderr


def test_a_lost_run_path_fails_the_build(both: Path, tmp_path: Path) -> None:
    path = write_package(tmp_path, more='.insert_before("build", "lose", "unset COMPILER_PATH")')
    done = fruix("build", "-f", str(path), code=100)
    assert "failed in phase check" in done.stderr or "failed in phase validate-runpath" in done.stderr
    path = write_package(
        tmp_path, more='.insert_before("build", "lose", "unset COMPILER_PATH").remove("check")'
    )
    done = fruix("build", "-f", str(path), code=100)
    assert "failed in phase validate-runpath" in done.stderr
    assert "its run path does not lead there" in done.stderr


def test_why(both: Path, package_path: str) -> None:
    lines = fruix("why", "both", "zlib", path=package_path).stdout.splitlines()
    assert lines[0] == str(both)
    assert lines[1].strip() == "in bin/both"
    assert lines[2].startswith("└─ /frx/store/")
    assert lines[2].endswith("-zlib-1.3.1")
    assert len(lines) == 3
    done = fruix("why", "both", "pkgconf", code=1, path=package_path)
    assert "does not need 'pkgconf' to be run" in done.stderr
    assert "fruix why --build both pkgconf" in done.stderr
    assert store_paths(fruix("why", "--build", "both", "pkgconf", path=package_path).stdout) == {
        "both-1.drv",
        "pkgconf-1.8.1.drv",
    }
    assert "is not built" in fruix("why", "less", "ncurses", code=2).stderr


def test_size(both: Path, package_path: str) -> None:
    lines = fruix("size", "--bytes", "both", path=package_path).stdout.splitlines()
    rows = {line.split()[-1].partition("-")[2]: line.split() for line in lines[1:-1]}
    assert set(rows) >= {"both-1", "zlib-1.3.1", "bzip2-1.0.8"}
    own = {name: int(row[0]) for name, row in rows.items()}
    assert list(own.values()) == sorted(own.values(), reverse=True)
    assert int(rows["both-1"][2]) == sum(own.values()) == int(lines[-1].split()[0])
    assert abs(sum(float(row[1].rstrip("%")) for row in rows.values()) - 100) < 1


def test_graphs(both: Path, package_path: str, tmp_path: Path) -> None:
    dot = fruix("graph", "both", path=package_path).stdout
    assert '"both-1" -> "zlib-1.3.1";' in dot
    assert '"both-1" -> "pkgconf-1.8.1" [style=dashed];' in dot
    picture = tmp_path / "both.svg"
    fruix("graph", str(both), "-o", str(picture))
    names = {element.text for element in ET.parse(picture).getroot().iter("{http://www.w3.org/2000/svg}text")}
    assert {"both-1", "zlib-1.3.1", "bzip2-1.0.8"} <= names
    assert "pkgconf-1.8.1" not in names
    assert "trivial-builder.sh" not in fruix("graph", "-t", "derivations", "both", path=package_path).stdout
    assert "pkgconf-1.8.1.drv" in fruix("graph", "-t", "derivations", "both", path=package_path).stdout
    assert "has no definition" in fruix("graph", "-t", "inputs", str(both), code=2).stderr


def test_lint_looks_at_outputs(both: Path, package_path: str, tmp_path: Path) -> None:
    assert "0 errors, 0 warnings" in fruix("lint", "--built", "zlib", "bzip2", "pkgconf").stdout
    path = write_package(tmp_path, inputs=', find("pkgconf")')
    path.write_text(path.read_text().replace('(tree, find("pkgconf"))', "(tree,)"))
    fruix("build", "-f", str(path))
    found = fruix("lint", "--built", "-f", str(path), code=1).stdout
    assert (
        f"{path}:5: warning: both: inputs: no output refers to the input pkgconf-1.8.1 (make it a native"
        in found
    )
    assert "license: there is none" in found
    assert (
        "note"
        not in fruix("lint", "-l", "warning", "-f", str(path), code=1).stdout.rpartition("\n1 package")[0]
    )


def linted(tmp_path: Path, name: str, script: str) -> list[str]:
    """What `fruix lint --built` says of what a script makes."""
    path = tmp_path / f"{name}.py"
    path.write_text(
        f"package = Package(name='{name}', version='1', build_system='trivial', root='debian-12', "
        f"arguments={{'script': {script!r}}}, synopsis='Pages', license='MIT')\n"
    )
    fruix("build", "-f", str(path))
    return fruix("lint", "--built", "-f", str(path), code=1).stdout.splitlines()


def test_lint_finds_compressed_files_that_tell_the_time(both: Path, tmp_path: Path) -> None:
    script = "mkdir $out; echo x > $out/page; gzip $out/page; echo x | gzip -n > $out/plain.gz"
    (line,) = [line for line in linted(tmp_path, "dated", script) if "gzip-time" in line]
    assert "-dated-1/page.gz tells when it was compressed" in line


def test_lint_finds_files_that_tell_the_kernel(both: Path, tmp_path: Path) -> None:
    script = "mkdir $out; uname -r > $out/kernel; head -c 200000 /dev/zero > $out/late; uname -r >> $out/late"
    told = [line for line in linted(tmp_path, "told", script) if ": kernel: " in line]
    assert len(told) == 2
    assert f"-told-1/kernel tells on which kernel it was built: {os.uname().release}" in told[0]
    assert "-told-1/late tells" in told[1]


def test_edit(package_path: str, tmp_path: Path) -> None:
    editor = tmp_path / "editor"
    editor.write_text('#!/bin/sh\necho "$@"\nexit 3\n')
    editor.chmod(0o755)
    assert (
        fruix("edit", "both", VISUAL=f"{editor} -w", code=3, path=package_path).stdout
        == f"-w +5 {package_path}/both.py\n"
    )
    (tmp_path / "code").symlink_to(editor)
    assert fruix(
        "edit", "both", VISUAL="", EDITOR=f"{tmp_path}/code", code=3, path=package_path
    ).stdout.endswith("both.py:5\n")
    assert (
        "can't run the editor" in fruix("edit", "both", VISUAL="/no/editor", code=2, path=package_path).stderr
    )
    assert "did you mean" in fruix("edit", "bothh", code=2, path=package_path).stderr


def test_a_broken_file_on_the_path(daemon: None, tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("\npackage = Package(name='broken', version=1/0)\n")
    done = fruix("build", "broken", code=2, path=str(tmp_path))
    assert f"{tmp_path}/broken.py:2: ZeroDivisionError" in done.stderr
    assert "hint: correct the definition there" in done.stderr
    assert "Traceback" not in done.stderr
