"""`fruix show`: a package's definition, or a derivation's contents."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING

from fruix.cli.request.connect import open_store
from fruix.cli.request.targets import derivation_for
from fruix.model.derivation import Derivation
from fruix.model.storepath import StorePath

if TYPE_CHECKING:
    from fruix.packages.package import Git, Local, Origin, Package


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the package or derivation to describe."""
    parser.add_argument(
        "target",
        metavar="PACKAGE|DRV|PATH",
        help="a package of the catalogue, or a derivation (or what it made)",
    )


def run(options: argparse.Namespace) -> int:
    """Print a package's definition as `key: value` lines, or a derivation as JSON."""
    package = _package(options.target)
    if package is not None:
        _show_package(package)
        return 0
    with open_store() as store:
        path = derivation_for(store, options.target)
        _show_derivation(path, store.read_derivation(path), store.derivation_outputs(path))
    return 0


def _package(word: str) -> Package | None:
    """The package of that name, which needs no store; None for paths and for names of builds."""
    if "/" in word:
        return None
    from fruix.packages.load import UnknownPackageError, find  # noqa: PLC0415 - not for paths

    try:
        return find(word)
    except UnknownPackageError:
        return None


def _described(source: Origin | Local | Git) -> str:
    from fruix.packages.package import Git, Local  # noqa: PLC0415 - not for derivations

    if isinstance(source, Local):
        return source.path
    return f"{source.plain_url} {source.commit}" if isinstance(source, Git) else " ".join(source.urls)


def _show_package(package: Package) -> None:
    source = package.source
    rows = {
        "name": package.name,
        "version": package.version,
        "synopsis": package.synopsis,
        "description": package.description,
        "home page": package.home_page,
        "licence": package.license,
        "build system": package.build_system,
        "outputs": " ".join(package.outputs),
        "inputs": " ".join(item.full_name for item in package.inputs),
        "propagated inputs": " ".join(item.full_name for item in package.propagated_inputs),
        "native inputs": " ".join(item.full_name for item in package.native_inputs),
        "not tested": "; ".join(f"{what}: {why}" for what, why in package.untested.items()),
        "may differ": package.unreproducible,
        "source": _described(source) if source else "",
        "sha256": getattr(source, "sha256", ""),
        "defined in": str(package.location),
    }
    for key, value in rows.items():
        if value:
            print(f"{key}: {value}")


def _show_derivation(path: StorePath, derivation: Derivation, outputs: Mapping[str, StorePath]) -> None:
    print(
        json.dumps(
            {
                "path": str(path),
                "name": derivation.name,
                "system": derivation.system,
                "builder": derivation.builder,
                "args": list(derivation.args),
                "outputs": {
                    name: {
                        "path": str(output.path or outputs.get(name) or ""),
                        "method": output.method_algorithm,
                        "hash": output.hash,
                    }
                    for name, output in derivation.outputs.items()
                },
                "inputDerivations": {str(drv): list(names) for drv, names in derivation.input_drvs.items()},
                "inputSources": [str(source) for source in derivation.input_srcs],
                "environment": dict(derivation.env),
            },
            indent=2,
            ensure_ascii=True,
        )
    )
