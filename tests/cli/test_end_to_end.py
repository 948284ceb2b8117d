"""The command line against a live daemon, from nothing to GNU Hello, with wrong input too.

On a private /frx.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from fruix.building.settings import BUILD_UID_COUNT
from fruix.sandbox.linux import userns
from machine import build_uid, private_frx, shares_user
from rooted import rooted_frx

ROOT = Path(__file__).parents[2]
ALONE = ROOT / "scripts/alone"
HELLO_SHA256 = "0d5f60154382fee10b114a1c34e785d8b1f492073ae2d3a6f7b147687b366aa0"
ENVIRONMENT = {
    name: value for name, value in os.environ.items() if not name.startswith(("FRUIX_", "NIX_", "METADATA"))
}


def fruix(*words: str, code: int = 0, **more: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, "-m", "fruix", *words],
        capture_output=True,
        text=True,
        env={**ENVIRONMENT, **more},
        check=False,
    )
    assert done.returncode == code, f"{words}: {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done


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
        assert not os.path.exists("/frx/var/fruix/daemon-socket/socket")
        assert [name for name in os.listdir("/frx/var/fruix/builds") if name.startswith("frx-")] == []


@pytest.fixture(scope="module")
def hello(daemon: None, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    file = tmp_path_factory.mktemp("metadata") / "hello"
    planned = fruix("build", "--dry-run", "hello").stderr
    assert "1 to build, 1 to fetch" in planned
    done = fruix("build", "hello", METADATA_OUT=str(file))
    out = done.stdout.strip()
    assert "phase check" in done.stderr
    values = dict(line.split("=", 1) for line in file.read_text().splitlines())
    assert values["out_path"] == out
    return values


def test_hello(hello: dict[str, str]) -> None:
    out = hello["out_path"]
    assert subprocess.check_output([f"{out}/bin/hello"], text=True) == "Hello, world!\n"
    assert hello["runtime_output"] == "Hello, world!"
    # A user is free again when its build is tidied up, which may be after the next one has begun.
    users = [build_uid()] if shares_user() else range(build_uid(), build_uid() + BUILD_UID_COUNT)
    ids = (int(hello["build_uid"]), int(hello["build_gid"]))
    assert ids in [userns.on_host(user, user) for user in users]
    assert hello["build_mode"] == "linux-namespaces"
    assert hello["jail_name"].startswith("frx-")
    assert hello["jail_hostname"] == "localhost"
    assert hello["source_sha256"] == HELLO_SHA256
    assert hello["source_store_path"] in hello["references"].split()
    assert hello["host_view"] == ""
    passed, failed = (int(part.partition("=")[2]) for part in hello["tests"].split()[:2])
    assert passed >= 5
    assert failed == 0
    assert hello["started"] <= hello["finished"]


def test_it_needs_nothing_but_the_store(hello: dict[str, str]) -> None:
    out = hello["out_path"]
    assert subprocess.check_output([ALONE, f"{out}/bin/hello"], text=True) == "Hello, world!\n"
    assert not [path for path in hello["references"].split() if path.endswith("-debian-12")]
    lines = fruix("size", "--bytes", "hello").stdout.splitlines()
    assert int(lines[-1].split()[0]) < 25 * 1000**2


def test_a_second_build_has_nothing_to_do(hello: dict[str, str]) -> None:
    done = fruix("build", "hello")
    assert "nothing to be done" in done.stderr
    assert done.stdout.strip() == hello["out_path"]


def test_make_hello_ends_for_people_and_writes_the_metadata(hello: dict[str, str], tmp_path: Path) -> None:
    file = tmp_path / "metadata"
    words = [
        "make",
        "--no-print-directory",
        "-o",
        ".venv/.ready",
        "hello",
        f"BIN={Path(sys.executable).parent}",
    ]
    environment = {**ENVIRONMENT, "METADATA_OUT": str(file)}
    done = subprocess.run(words, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    assert file.read_text() == "".join(f"{key}={value}\n" for key, value in hello.items())
    out = hello["out_path"]
    assert re.search(
        rf"^{out}\nbuilt in [0-9ms.]+; tests: \d+ passed, 0 failed.*\n\n\$ {out}/bin/hello\nHello, world!\n",
        done.stdout,
        re.MULTILINE,
    )
    assert "drv_path=" not in done.stdout
    lines = done.stdout.splitlines()
    at = lines.index(f"fruix is {Path(sys.executable).parent}/fruix")
    assert lines[lines.index("next:", at) + 1].split()[:2] == ["fruix", "help"]


def test_make_hello_with_a_daemon_that_can_not_start_does_not_wait_for_it(tmp_path: Path) -> None:
    environment = {**ENVIRONMENT, "FRUIX_CONF": str(tmp_path / "none"), "FRUIX_STATE_DIR": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, ROOT / "scripts" / "hello"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "there is no such configuration file" in done.stderr
    assert "no daemon answers" not in done.stderr


def test_asking_the_store(hello: dict[str, str]) -> None:
    out, source = hello["out_path"], hello["source_store_path"]
    assert source in fruix("store", "references", out).stdout.split()
    assert out in fruix("store", "referrers", source).stdout.split()
    assert {out, source} <= set(fruix("store", "requisites", out).stdout.split())
    assert fruix("store", "derivers", out).stdout.split() == [hello["drv_path"]]
    assert fruix("store", "cat", f"{out}/share/doc/hello/source").stdout == source + "\n"
    assert f"{out}/bin/hello" in fruix("store", "ls", f"{out}/bin").stdout
    info = fruix("store", "info", out).stdout
    assert f"deriver: {hello['drv_path']}" in info
    assert "built here: yes" in info
    assert "fixed:sha256:" in fruix("store", "info", source).stdout


def test_logs(hello: dict[str, str]) -> None:
    for target in ("hello", hello["out_path"], hello["drv_path"]):
        assert "# PASS:" in fruix("log", target).stdout
    record = json.loads(fruix("log", "--record", "hello").stdout)
    assert (record["contract"], record["hostView"]) == ("fruix", None)
    assert record["root"].endswith("-debian-12")
    assert record["isolation"]["network"] == "none"
    for target in (hello["drv_path"], hello["out_path"]):
        assert '"builder": "/bin/sh"' in fruix("show", target).stdout


def test_adding(daemon: None, tmp_path: Path) -> None:
    (tmp_path / "greeting").write_text("hi\n")
    path = fruix("store", "add", str(tmp_path / "greeting")).stdout.strip()
    assert fruix("store", "cat", path).stdout == "hi\n"
    assert fruix("store", "add", "--flat", str(tmp_path / "greeting")).stdout.strip() != path


def test_catalogue() -> None:
    assert "hello" in fruix("packages").stdout
    assert "GPL-3.0-or-later" in fruix("show", "hello").stdout
    fruix("packages", "no such package at all", code=1)


def test_building_from_a_file_and_an_expression(daemon: None, tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text(
        "package = Package(name='mine', version='1', build_system='trivial', "
        "arguments={'script': 'echo made > $out'})\n"
    )
    out = fruix("build", "-f", str(file)).stdout.strip()
    assert Path(out).read_text() == "made\n"
    assert fruix("build", str(file)).stdout.strip() == out
    changed = (
        'Package(name="mine", version="2", build_system="trivial", arguments={"script": "echo other > $out"})'
    )
    assert Path(fruix("build", "-e", changed).stdout.strip()).read_text() == "other\n"


def test_a_failing_phase_is_reported(daemon: None, tmp_path: Path) -> None:
    file = tmp_path / "bad.py"
    file.write_text(
        "package = Package(name='bad', version='1', build_system='trivial', "
        "arguments={'script': 'echo nope >&2; exit 7'})\n"
    )
    done = fruix("build", "-f", str(file), code=100)
    assert "  builder failed with exit code 7" in done.stderr.splitlines()
    *_, last_of_log, answer, hint = done.stderr.splitlines()
    assert last_of_log == "> phase build failed with status 7"
    assert re.fullmatch(
        r"fruix: error: bad-1 failed in phase build after \S+: 'exit 7' ended with exit code 7", answer
    )
    assert re.fullmatch(r"hint: fruix log (\S+); fruix enter \1 \(a shell in its sandbox\)", hint)


@pytest.mark.parametrize(
    ("words", "code", "why"),
    [
        (("build", "helo"), 2, "did you mean 'hello'?"),
        (("build", "hello@1.0"), 2, "has version 2.12.3, not 1.0"),
        (("build",), 2, "nothing to build"),
        (("build", "-f", "/nowhere.py"), 2, "can't read package file"),
        (("build", "-n", "hello", "--metadata", "/nowhere/x"), 2, "/nowhere: the metadata can't be written"),
        (("build", "-n", "hello", "--metadata", "/tmp"), 2, "/tmp: the metadata can't be written"),
        (("build", "-e", "1 +"), 2, "-e:1: not Python"),
        (("build", "-e", "42"), 2, "gives 42, not a Package"),
        (("build", "-e", "hello.inherit(verson='2')"), 2, "did you mean 'version'"),
        (("build", "-e", "hello.inherit(host_view='bse')"), 1, "did you mean 'base'"),
        (("build", "/etc/passwd"), 1, "is not in the store"),
        (
            ("build", "/frx/store/00000000000000000000000000000000-x.drv"),
            100,
            "cannot build missing derivation",
        ),
        (("build", "/frx/store/00000000000000000000000000000000-x"), 100, "no substituter that can"),
        (("store", "info", "/etc"), 2, "is not in the store"),
        (("store", "info", "/frx/store/00000000000000000000000000000000-x"), 1, "is not valid"),
        (("store", "add", "/nowhere"), 1, "nowhere: No such file or directory"),
        (("log", "/frx/store/00000000000000000000000000000000-x.drv"), 1, "no log of"),
        (("show", "helo"), 2, "did you mean 'hello'?"),
        (("packages", "("), 2, "is no regular expression"),
    ],
)
def test_wrong_input(daemon: None, words: tuple[str, ...], code: int, why: str) -> None:
    done = fruix(*words, code=code)
    assert why in done.stderr
    assert "Traceback" not in done.stderr


def test_a_second_daemon_is_refused(daemon: None) -> None:
    done = fruix("daemon", code=1)
    assert "Traceback" not in done.stderr
    assert "daemon" in done.stderr


def test_without_a_daemon_an_embedded_one_does() -> None:
    expression = (
        'Package(name="mine", version="1", build_system="trivial", arguments={"script": "echo made > $out"})'
    )
    with private_frx():
        done = fruix("build", "-e", expression)
        assert "embedded" in done.stderr
        assert Path(done.stdout.strip()).read_text() == "made\n"
        # and a store where everybody can write is refused
        with tempfile.TemporaryDirectory(dir="/tmp") as place:
            refused = fruix("build", "-e", expression, FRUIX_STORE_DIR=f"{place}/store", code=1)
        assert "'/tmp' can be written by everybody" in refused.stderr


def test_version_is_cheap() -> None:
    before = os.times()
    assert fruix("--version").stdout.startswith("fruix ")
    after = os.times()
    spent = after.children_user - before.children_user + after.children_system - before.children_system
    assert spent < 0.1  # seconds of CPU, not of the clock


def test_doctor() -> None:
    shown = fruix("doctor").stdout
    for name in ("kernel", "namespaces", "seccomp", "landlock", "cgroup", "systems", "kvm"):
        assert name in shown
    assert "missing" not in shown
