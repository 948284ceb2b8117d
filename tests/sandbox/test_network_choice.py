"""Which way to a network is taken, and what is said where there is none."""

from __future__ import annotations

import subprocess

import pytest

import network_rig as rig
from fruix.errors import IsolationUnavailableError
from fruix.sandbox import network_choice
from fruix.sandbox.linux import slirp


def test_the_refusal_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda _name: None)
    monkeypatch.setattr("fruix.sandbox.linux.landlock.abi", lambda: 4)
    with pytest.raises(IsolationUnavailableError) as caught:
        network_choice.choose("auto")
    assert (
        "pasta is not installed; slirp4netns is not installed; sharing the host's network needs Landlock"
        in str(caught.value)
    )
    assert "'passt'" in caught.value.hint
    assert network_choice.choose("none") == "none"
    with pytest.raises(IsolationUnavailableError, match="pasta is not installed"):
        network_choice.choose("pasta")


def test_what_is_preferred(monkeypatch: pytest.MonkeyPatch) -> None:
    with rig.private_network():
        assert network_choice.choose("auto") == "pasta"
        subprocess.run(["ip", "link", "del", "outside"], check=True)
        assert network_choice.choose("auto") == "slirp4netns"  # which needs no route to model its own on
    monkeypatch.setattr(slirp, "TUN", "/dev/net/there-is-none")
    assert network_choice.choose("auto") == "host"
