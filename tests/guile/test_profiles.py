"""Profiles of packages that are built with the host view, by the real guix client: no Guile in the build."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from guile.guix_client import MODULES, ROOT, Guix, client, daemon
from machine import private_frx

NOBODY = 65534
SMALL = f"{ROOT}/tests/guile/small"


class Profile:
    """A profile, and `guix fruix package` for it."""

    def __init__(self, guix: Guix, path: Path) -> None:
        self.guix = guix
        self.path = path

    def run(self, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
        return self.guix.run("fruix", "package", "-L", SMALL, "-p", self.path, *words, **variables)

    def output(self, *words: str, **variables: str) -> str:
        done = self.run(*words, **variables)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout.strip()

    def programs(self) -> list[str]:
        """Names of what is in its bin."""
        found = self.path / "bin"
        return sorted(os.listdir(found)) if found.exists() else []

    def says(self, program: str) -> str:
        return subprocess.run(
            [self.path / "bin" / program], capture_output=True, text=True, check=True
        ).stdout


def small(*names: str) -> list[str]:
    """Options for those packages."""
    return [word for name in names for word in ("-e", f"(@ (small) small-{name})")]


@pytest.fixture(scope="module")
def guix(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guix]:
    with private_frx(), daemon():
        yield Guix(tmp_path_factory.mktemp("home"))


@pytest.fixture
def profile(guix: Guix, tmp_path: Path) -> Profile:
    return Profile(guix, tmp_path / "profile")


def built() -> set[str]:
    """Names of the trees in the store; what was only lowered is a file there."""
    return {path.name.partition("-")[2] for path in Path("/frx/store").iterdir() if path.is_dir()} - {""}


def test_generations_are_made_listed_switched_and_deleted(profile: Profile) -> None:
    profile.output(*small("one"))
    assert (profile.programs(), profile.says("small-one")) == (["small-one"], "small-one 1.0\n")
    # What it propagates comes along; so does what the first generation had.
    profile.output(*small("two"))
    assert profile.programs() == ["small-brought", "small-one", "small-two"]
    assert not os.path.islink(profile.path / "share/small")
    assert os.path.islink(profile.path / "share/small/small-one")
    installed = profile.output("--list-installed").splitlines()
    assert [line.split()[:3] for line in installed] == [
        ["small-one", "1.0", "out"],
        ["small-two", "1.0", "out"],
    ]

    profile.output("--roll-back")
    assert profile.programs() == ["small-one"]
    profile.output("--roll-back")
    assert (profile.programs(), os.readlink(profile.path)) == ([], "profile-0-link")
    profile.output("--switch-generation=2")
    assert profile.programs() == ["small-brought", "small-one", "small-two"]
    profile.output("-r", "small-one")
    assert profile.programs() == ["small-brought", "small-two"]
    listed = profile.output("--list-generations")
    assert [line for line in listed.splitlines() if line.startswith("Generation")][-1].endswith("(current)")
    profile.output("--delete-generations=1..2")
    assert sorted(path.name for path in profile.path.parent.iterdir()) == [
        "profile", "profile-0-link", "profile-3-link"
    ]  # fmt: skip
    assert built() == {"profile", "small", "small-brought-1.0", "small-one-1.0", "small-two-1.0"}


def test_an_upgrade_takes_the_newer_version_and_nothing_else(profile: Profile) -> None:
    profile.output(*small("gnu"))
    profile.output("-u", SMALL_VERSION="1.1")
    assert profile.says("small-gnu") == "small-gnu 1.1\n"
    assert "unknown package" in profile.run("-i", "small-none").stderr
    assert os.readlink(profile.path) == "profile-2-link"


def test_search_paths_are_those_of_the_packages(profile: Profile) -> None:
    profile.output(*small("one"))
    words = ["sh", "-c", '. "$0"; echo "$SMALL_PATH $SMALL_MOTTO ${PATH%%:*}"', f"{profile.path}/etc/profile"]
    environment = {"PATH": os.environ["PATH"], "GUIX_PROFILE": "/P"}
    read = subprocess.run(words, env=environment, capture_output=True, text=True, check=True).stdout
    assert read == "/P/share/small /P/share/motto /P/bin\n"
    said = profile.output("--search-paths")
    assert f'export SMALL_PATH="{profile.path}/share/small' in said


def test_different_files_of_two_packages_are_named(profile: Profile) -> None:
    profile.output(*small("one"))
    done = profile.run(*small("rival"))
    assert done.returncode == 1
    [line] = [line for line in done.stderr.splitlines() if line.startswith("profile: /")]
    assert sorted(re.findall(r"-small-(one|rival)-1\.0/share/motto", line)) == ["one", "rival"]
    assert line.endswith(" are different files for share/motto of the profile")
    assert profile.programs() == ["small-one"]
    profile.output("--allow-collisions", *small("rival"))
    assert (profile.path / "share/motto").read_text() in ("be small\n", "be big\n")


def test_a_profile_that_may_not_be_written_stays_and_is_named(guix: Guix) -> None:
    # Not where pytest's directories are: they are root's alone.
    profile = Profile(guix, Path("/frx/profiles/profile"))
    profile.path.parent.mkdir(mode=0o755)
    profile.output(*small("one"))
    words = [client(), "fruix", "package", "-L", SMALL, "-p", str(profile.path), "-r", "small-one"]
    environment = {**profile.guix.environment, "HOME": "/nonexistent", "USER": "nobody"}
    done = subprocess.run(words, env=environment, cwd="/", user=NOBODY, group=NOBODY, extra_groups=[],
                          capture_output=True, text=True, check=False)  # fmt: skip
    assert (done.returncode, "Permission denied" in done.stderr) == (1, True), done.stderr
    assert profile.programs() == ["small-one"]


def test_a_shell_has_the_packages(guix: Guix) -> None:
    words = [*small("gnu"), "--", "sh", "-c", 'small-gnu; echo "$SMALL_PATH"']
    said, path = guix.output("fruix", "shell", "-L", SMALL, *words).splitlines()
    assert (said, path) == ("small-gnu 1.0", f"{path.partition('/share')[0]}/share/small")


def test_guix_s_own_commands_make_such_profiles_of_such_packages(guix: Guix, tmp_path: Path) -> None:
    for package in ("one", "two"):
        guix.output(
            "package", "--bootstrap", "-L", MODULES, "-L", SMALL, "-p", tmp_path / "profile", *small(package)
        )
    assert sorted(os.listdir(tmp_path / "profile/bin")) == ["small-brought", "small-one", "small-two"]
    assert not [name for name in built() if "guile" in name or "bootstrap" in name]
