"""`fruix lint`: what is wrong, or could be better, in definitions and in what came of them."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterable

from fruix.cli.output.amounts import plural
from fruix.cli.request.connect import open_store
from fruix.cli.request.definition_files import separate
from fruix.cli.request.known import left_out
from fruix.cli.request.targets import lowering
from fruix.cli.request.word_lists import WordList
from fruix.errors import DefinitionError
from fruix.packages.lint_built import lint_built
from fruix.packages.lint_definition import Finding, lint
from fruix.packages.load import Broken, all_packages, find, from_file
from fruix.packages.package import Package

_LEVELS = ("note", "warning", "error")


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the definitions, whether to look at their outputs, and the least level to show."""
    parser.add_argument(
        "packages", nargs="*", action=WordList, metavar="PACKAGE|FILE.py", help="default: all that are known"
    )
    parser.add_argument(
        "-f", "--file", action="append", default=[], help="the packages that a Python file defines"
    )
    parser.add_argument(
        "-b", "--built", action="store_true", help="look at their outputs too, if they are built"
    )
    parser.add_argument(
        "-l", "--level", choices=_LEVELS, default="note", help="show nothing below this (default: note)"
    )


def run(options: argparse.Namespace) -> int:
    """Print a line for each finding; the status is 1 if there is an error or a warning."""
    names, files = separate(options.packages)
    packages = [find(name) for name in names]
    packages += [package for file in (*files, *options.file) for package in from_file(file)]
    broken: list[Broken] = []
    packages = packages or all_packages(broken.append)
    found = {package.full_name: lint(package) for package in packages}
    if options.built:
        with open_store() as store:
            work = lowering(store)
            for package in packages:
                if all(finding.level != "error" for finding in found[package.full_name]):
                    found[package.full_name] += lint_built(package, work, store, os.uname().release)
    for item in broken:
        _print_broken(item)
    for package in packages:
        _print(package, found[package.full_name], options.level)
    levels = [finding.level for some in found.values() for finding in some] + ["error"] * len(broken)
    counts = [plural(levels.count(level), level) for level in reversed(_LEVELS)]
    print(f"{plural(len(packages), 'package')}: {', '.join(counts)}")
    return int(any(level != "note" for level in levels))


def _print_broken(broken: Broken) -> None:
    error = broken.error
    place, subject = error.where, ""
    if isinstance(error, DefinitionError) and error.subject:
        place, subject = error.place, f"{error.subject}: "
    hint = f" ({error.hint})" if error.hint else ""
    print(f"{place}: error: {subject}{error.message}{hint}{left_out(broken)}")


def _print(package: Package, findings: Iterable[Finding], level: str) -> None:
    for finding in findings:
        if _LEVELS.index(finding.level) >= _LEVELS.index(level):
            hint = f" ({finding.hint})" if finding.hint else ""
            said = f"{package.name}: {finding.check}: {finding.message}{hint}"
            print(f"{package.location}: {finding.level}: {said}")
