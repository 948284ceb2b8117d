"""The release that a base system says it is; the users' file from which its databases are made."""

from __future__ import annotations

from pathlib import Path

import pytest

from fruix.sandbox.contracts import CONTRACTS
from fruix.sandbox.freebsd.release import Release, release_in
from fruix.sandbox.freebsd.users import make_databases, master_of
from fruix.sandbox.spec import File, Identity

SCRIPT = '#!/bin/sh\n#-\n# SPDX\nset -e\nUSERLAND_VERSION="13.2-RELEASE-p4"\n: ${LOADER_DIR:=$ROOT/boot}\n'
HEADER = (
    "/*\n * scheme is:  <major><two digit minor>Rxx\n */\n"
    "#undef __FreeBSD_version\n#define __FreeBSD_version 1302001\t/* Master */\n"
)


def base(root: Path, script: str = SCRIPT, header: str = HEADER) -> Path:
    (root / "bin").mkdir(parents=True)
    (root / "bin/freebsd-version").write_text(script)
    (root / "usr/include/sys").mkdir(parents=True)
    (root / "usr/include/sys/param.h").write_text(header)
    return root


def test_a_base_system_says_its_release(tmp_path: Path) -> None:
    assert release_in(str(base(tmp_path))) == Release("13.2-RELEASE-p4", 1302001)


@pytest.mark.parametrize(
    ("script", "header"),
    [
        ('USERLAND_VERSION="' + "x" * 31 + '"\n', HEADER),
        ("echo no\n", HEADER),
        (SCRIPT, "#define __FreeBSD_version_major 13\n"),
    ],
)
def test_what_is_no_base_system_says_nothing(tmp_path: Path, script: str, header: str) -> None:
    assert release_in(str(base(tmp_path / "b", script, header))) is None
    assert release_in(str(tmp_path / "none")) is None


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    base(tmp_path)
    (tmp_path / "bin/freebsd-version").rename(tmp_path / "other")
    (tmp_path / "bin/freebsd-version").symlink_to(tmp_path / "other")
    assert release_in(str(tmp_path)) is None


def test_users_in_the_form_of_their_databases() -> None:
    files = CONTRACTS["fruix"].files(Identity(35001, 35001, 35001, 35001))
    passwd = next(file.data for file in files if file.path == "/etc/passwd")
    assert master_of(passwd).decode().splitlines() == [
        "root:*:0:0::0:0:Fruix build root:/build:/noshell",
        "frxbld:*:35001:35001::0:0:Fruix build user:/build:/noshell",
        "nobody:*:65534:65534::0:0:Nobody:/:/noshell",
    ]


USERS = [File("/etc/passwd", b"a:x:1:1:A:/:/sh\n")]


def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    path = tmp_path / "pwd_mkdb"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    monkeypatch.setattr("fruix.sandbox.freebsd.users._PROGRAM", str(path))


def test_a_program_that_fails_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(tmp_path, monkeypatch, 'echo "$2: broken" >&2; exit 1')
    kept = str(tmp_path / "users")
    monkeypatch.chdir(tmp_path)
    for _ in range(2):
        with pytest.raises(OSError, match=f"pwd_mkdb: {kept}/new: broken"):
            make_databases(USERS, kept)
    make_databases([], kept)
    assert not (tmp_path / "etc").exists()


def test_databases_are_made_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """For each passwd; what a crash has left of one doesn't count."""
    program(tmp_path, monkeypatch, 'echo run >> "$2/../runs"; cp "$3" "$2/pwd.db"; : > "$2/spwd.db"')
    kept = tmp_path / "users"
    (kept / "new").mkdir(parents=True)
    (kept / "new/pwd.db").write_text("half")
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        monkeypatch.chdir(tmp_path / name)
        make_databases(USERS, str(kept))
        made = {path.name: path.stat().st_mode & 0o777 for path in (tmp_path / name / "etc").iterdir()}
        assert made == {"master.passwd": 0o600, "pwd.db": 0o644, "spwd.db": 0o600}
        assert (tmp_path / name / "etc/pwd.db").read_text() == "a:*:1:1::0:0:A:/:/sh\n"
    assert (kept / "runs").read_text() == "run\n"
