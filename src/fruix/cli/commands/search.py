"""`fruix search`: the packages that have all the words in name, synopsis or description."""

from __future__ import annotations

import argparse

from fruix.cli.request.known import known_packages, one_line
from fruix.errors import FruixError
from fruix.model.nearest import did_you_mean, similar
from fruix.packages.package import Package


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the words to look for."""
    parser.add_argument(
        "words",
        nargs="+",
        metavar="WORD",
        help="what its name, synopsis or description must have in it; with several, all of them",
    )


def run(options: argparse.Namespace) -> int:
    """Print name, version and synopsis of what is found, a line each, the best first.

    Raises:
        FruixError: there is none; the hint names packages that are written alike.
    """
    words = [part.casefold() for word in options.words for part in word.split()]
    packages = known_packages()
    ranks = {id(package): rank(package, words) for package in packages}
    found = [package for package in packages if ranks[id(package)] is not None]
    if not found:
        names = {package.name for package in packages}
        close = did_you_mean(dict.fromkeys(name for word in words for name in similar(word, names)))
        raise FruixError(
            f"no package has '{' '.join(options.words)}' in its name, synopsis or description",
            hint=close or "fewer or shorter words find more; 'fruix packages' lists all",
        )
    for package in sorted(found, key=lambda package: (ranks[id(package)], package.name)):
        print(one_line(package))
    return 0


def rank(package: Package, words: list[str]) -> int | None:
    """How well a package fits, 0 best; None if it lacks one of the words. The worst word decides.

    0: the name; 1: a part of the name; 2: of the synopsis; 3: of the description.
    """
    name = package.name.casefold()
    places = (package.synopsis.casefold(), package.description.casefold())

    def of(word: str) -> int | None:
        if word == name:
            return 0
        return next((at for at, text in enumerate((name, *places), 1) if word in text), None)

    found = [of(word) for word in words]
    return None if None in found else max((at for at in found if at is not None), default=0)
