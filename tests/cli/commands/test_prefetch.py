"""`fruix hash` and `fruix prefetch`, and builds of what they print.

Of files, directories and commits, from a server on this machine. On a private /frx.
"""

from __future__ import annotations

import hashlib
import io
import os
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

import network_rig as rig
from machine import private_frx

SCRIPT = "#!/bin/sh\\necho hello\\n"
DEFINITION = """
package = Package(
    name="got", version="1", build_system="copy",
    {source}
    arguments={{"install": [("hello.sh", "bin/hello")]}},
)
"""


def git(top: Path, *words: str) -> None:
    environment = {"PATH": os.environ["PATH"], "HOME": "/nonexistent"}
    command = ["git", "-c", "user.name=a", "-c", "user.email=a@b", *words]
    subprocess.run(command, cwd=top, check=True, capture_output=True, env=environment)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str]]:
    top = tmp_path_factory.mktemp("prefetch")
    work, files = top / "work", top / "files"
    work.mkdir()
    files.mkdir()
    (work / "hello.sh").write_text(SCRIPT)
    git(work, "init", "-q")
    git(work, "add", ".")
    git(work, "commit", "-qm", "x")
    git(top, "clone", "-q", "--bare", "work", "files/hello.git")
    git(files / "hello.git", "update-server-info")
    with tarfile.open(files / "hello 1.tar.gz", "w:gz") as archive:
        member = tarfile.TarInfo("hello-1/hello.sh")
        member.size = len(SCRIPT)
        archive.addfile(member, io.BytesIO(SCRIPT.encode()))
    with private_frx(), rig.private_network(), rig.web_server(files) as port:
        yield top, f"http://{rig.HOST}:{port}"


def fruix(*words: str, **more: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("FRUIX_", "NIX_"))}
    return subprocess.run(
        [sys.executable, "-m", "fruix", *words],
        capture_output=True,
        text=True,
        env={**kept, **more},
        check=False,
    )


def build(top: Path, source: str, *words: str) -> subprocess.CompletedProcess[str]:
    file = top / "got.py"
    file.write_text(DEFINITION.format(source=source))
    return fruix("build", "-f", str(file), *words)


def test_hash(served: tuple[Path, str]) -> None:
    top, _ = served
    digest = hashlib.sha256(SCRIPT.encode())
    file = str(top / "work/hello.sh")
    assert fruix("hash", file).stdout == f"{digest.hexdigest()}\n"
    assert fruix("hash", "--form", "sri", file).stdout.startswith("sha256-")
    assert len(fruix("hash", "--form", "nix32", file).stdout) == 53
    plain = top / "plain"
    plain.mkdir()
    (plain / "hello.sh").write_text(SCRIPT)
    several = fruix("hash", str(plain), str(top / "work")).stdout.splitlines()
    assert [line.split("  ")[1] for line in several] == [str(plain), str(top / "work")]
    assert len({line.split()[0] for line in several}) == 1  # .git is no part of it
    missing = fruix("hash", "/nonexistent")
    assert missing.returncode == 2
    assert "there is no such file or directory" in missing.stderr


def test_a_file(served: tuple[Path, str]) -> None:
    top, url = served
    done = fruix("prefetch", f"{url}/hello%201.tar.gz", "--form", "sri")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(
        f'source=Origin(\n    urls=["{url}/hello%201.tar.gz"],\n    sha256="sha256-'
    )
    built = build(top, done.stdout)
    assert built.returncode == 0, built.stderr
    assert "fetched" not in built.stderr
    assert (Path(built.stdout.strip()) / "bin/hello").read_text() == SCRIPT


def test_a_commit(served: tuple[Path, str]) -> None:
    top, url = served
    done = fruix("prefetch", f"git+{url}/hello.git")
    assert done.returncode == 0, done.stderr
    commit = subprocess.check_output(["git", "rev-parse", "HEAD"], cwd=top / "work", text=True).strip()
    assert f'    commit="{commit}",\n' in done.stdout
    built = build(top, done.stdout)
    assert built.returncode == 0, built.stderr
    assert (Path(built.stdout.strip()) / "bin/hello").read_text() == SCRIPT
    digest = done.stdout.split('sha256="')[1].split('"')[0]
    assert fruix("hash", str(top / "work")).stdout.strip() == digest


def test_what_can_not_be_fetched(served: tuple[Path, str]) -> None:
    _, url = served
    for words, why in (
        ((f"{url}/nothing",), "404"),
        (("ftp://x/y",), "ftp"),
        ((f"git+{url}/nothing.git",), "git can't read the repository"),
        ((f"git+{url}/hello.git", "--commit", "d" * 40), "git can't fetch the commit"),
        ((f"git+{url}/hello.git", "--commit", "main"), "field 'commit' should be a commit"),
        (("file:///nonexistent",), "No such file"),
    ):
        done = fruix("prefetch", *words)
        assert done.returncode != 0
        assert why in done.stderr
        assert "Traceback" not in done.stderr
        assert done.stdout == ""


def test_a_wrong_hash_is_told_ready_to_paste(served: tuple[Path, str]) -> None:
    """In the form of the definition, with its line; what is pasted builds."""
    top, url = served
    source = f'source=Origin(urls=["{url}/hello%201.tar.gz", "ftp://x/y"], sha256="{{}}"),'
    for wrong in ("0" * 64, "1" * 52, f"sha256-{'A' * 43}="):
        failed = build(top, source.format(wrong))
        assert failed.returncode == 102, failed.stderr
        *_, said, hint = failed.stderr.splitlines()
        assert f"wrong hash from {url}/hello%201.tar.gz: specified {wrong}, got " in said
        line = f"{top}/got.py:4: "
        assert hint.startswith(f"hint: if the contents are what you want, write in {line}sha256=")
        right = hint.split('"')[1]
        assert len(right) == len(wrong)
    assert build(top, source.format(right)).returncode == 0


def test_the_last_line_says_why_a_download_failed(served: tuple[Path, str]) -> None:
    top, url = served
    failed = build(top, f'source=Origin(urls=["{url}/no", "git+https://x/y"], sha256="{"2" * 64}"),')
    assert failed.returncode == 100
    assert (
        f"unable to download '{url}/no': HTTP Error 404: File not found (1 that needs it was not built)"
        in failed.stderr.splitlines()[-2]
    )
    assert "  git+https://x/y: has scheme 'git+https'" in failed.stderr


def test_files_beside_the_definition(served: tuple[Path, str]) -> None:
    """A directory; changed, it is another package."""
    top, _ = served
    (top / "work/ignored").write_text("x")
    first = build(top, 'source=Local("work", exclude=["ignored"]),')
    assert first.returncode == 0, first.stderr
    (top / "work/hello.sh").write_text(SCRIPT + "# changed\n")
    second = build(top, 'source=Local("work", exclude=["ignored"]),')
    (top / "work/hello.sh").write_text(SCRIPT)
    assert (Path(second.stdout.strip()) / "bin/hello").read_text() == SCRIPT + "# changed\n"
    assert build(top, 'source=Local("work", exclude=["ignored"]),').stdout == first.stdout


def test_a_file_of_this_machine(served: tuple[Path, str]) -> None:
    top, _ = served
    path = top / "files/hello 1.tar.gz"
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    built = build(top, f'source=Origin(urls=["file://{top}/files/hello%201.tar.gz"], sha256="{digest}"),')
    assert built.returncode == 0, built.stderr
    wrong = build(top, f'source=Origin(urls=["file://{top}/files/hello%201.tar.gz"], sha256="{"0" * 64}"),')
    assert wrong.returncode == 2
    assert f"has the SHA-256 {digest}, not {'0' * 64}" in wrong.stderr
    assert f"{top}/got.py:" in wrong.stderr
