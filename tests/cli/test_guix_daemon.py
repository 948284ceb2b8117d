"""The options of `fruix guix-daemon`, and the program called `guix-daemon`."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

import pytest

from fruix import __version__
from fruix.cli.commands.guix_daemon import changes, configure
from fruix.daemon.settings import Settings, changed


def parsed(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    configure(parser)
    return parser.parse_args(words)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([], {}),
        (["-c", "0", "-M3"], {"cores": 0, "max-jobs": 3}),
        (["--cores=2", "--max-jobs=4"], {"cores": 2, "max-jobs": 4}),
        (["--rounds=3"], {"rounds": 3}),
        (["--timeout=5", "--max-silent-time=6"], {"timeout": 5, "max-silent-time": 6}),
        (["--gc-keep-outputs"], {"keep-outputs": True}),
        (["--gc-keep-outputs=yes"], {"keep-outputs": True}),
        (["--gc-keep-derivations=no"], {"keep-derivations": False}),
        (["--cache-failures"], {"cache-failures": True}),
        (["--disable-deduplication"], {"deduplication": "none"}),
        (["--no-substitutes"], {"substitute": False}),
        (["--substitute-urls=http://a http://b"], {"substituters": ["http://a", "http://b"]}),
        (["--disable-chroot", "--no-offload", "--build-users-group=g", "--debug"], {}),
    ],
)
def test_options_are_settings(words: list[str], expected: dict[str, object]) -> None:
    assert changes(parsed(*words)) == expected
    changed(Settings(), expected, "command line")  # which knows them all


def test_listen_is_given_several_times() -> None:
    assert parsed("--listen=/a", "--listen", "localhost:1").listen == ["/a", "localhost:1"]


def test_a_program_called_guix_daemon(tmp_path: Path) -> None:
    link = tmp_path / "guix-daemon"
    link.write_text(f"#!{sys.executable}\nimport sys\nfrom fruix.__main__ import main\nsys.exit(main())\n")
    link.chmod(0o755)
    for word in ("--version", "-V"):
        done = subprocess.run([link, word], capture_output=True, text=True, check=True, env=os.environ)
        assert done.stdout == f"guix-daemon (Fruix) {__version__}\n"
