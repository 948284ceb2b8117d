from __future__ import annotations

import argparse

import pytest

from fruix.cli.request.quantities import duration_of, size_of


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("0", 0),
        ("500", 500),
        ("2K", 2048),
        ("1.5G", 3 << 29),
        ("3MiB", 3 << 20),
        ("3 mb", 3 << 20),
        ("7B", 7),
    ],
)
def test_sizes(text: str, size: int) -> None:
    assert size_of(text) == size


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("1.5h", 5400), ("30d", 2592000), ("2w", 1209600), ("5m", 300)]
)
def test_durations(text: str, seconds: int) -> None:
    assert duration_of(text) == seconds


@pytest.mark.parametrize("text", ["", "x", "-1", "3Q", "1.2.3", "iB", "K"])
def test_what_is_no_size(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError):
        size_of(text)


@pytest.mark.parametrize("text", ["", "30", "d", "1y", "-1d", "1M"])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError):
        duration_of(text)
