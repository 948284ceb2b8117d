"""From a derivation to what runs for it.

The derivation's own program, the fetcher, or another builtin.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping

from fruix.building.builders.own import prepare_own
from fruix.building.builders.prepared_builder import PreparedBuilder
from fruix.building.resources import Resources
from fruix.errors import BadDerivationError
from fruix.model.build_options import BuildOptions
from fruix.model.derivation import Derivation
from fruix.model.storepath import StorePath

# Builder → its module beside this one and the function there that prepares it; any other builder is the
# derivation's own program. A module is loaded when such a builder is wanted.
_BUILTINS: Mapping[str, tuple[str, str]] = {
    "builtin:fetchurl": ("fetch", "prepare_fetch"),
    "builtin:download": ("fetch", "prepare_fetch"),
    "builtin:buildenv": ("builtin", "prepare_builtin"),
    "builtin:unpack-channel": ("builtin", "prepare_builtin"),
    "builtin:root": ("builtin", "prepare_builtin"),
    "builtin:git-download": ("git_download", "prepare_git_download"),
}


def prepare(
    path: StorePath, derivation: Derivation, options: BuildOptions, resources: Resources
) -> PreparedBuilder:
    """Everything that can be said of the build before it begins.

    Writes nothing; reads the store and the host view.

    Args:
        path: of the derivation.
        derivation: what is to be built.
        options: of the request; contract and cores count.
        resources: what builds share.

    Raises:
        FruixError: it can't be built as it is declared, or not on this machine.
    """
    builder = derivation.builder
    if not builder.startswith("builtin:"):
        return prepare_own(path, derivation, options, resources)
    if builder not in _BUILTINS:
        raise BadDerivationError(
            f"unsupported builtin builder '{builder}'", hint=f"there are: {', '.join(_BUILTINS)}"
        )
    module, function = _BUILTINS[builder]
    found = importlib.import_module(f"fruix.building.builders.{module}")
    prepared: PreparedBuilder = getattr(found, function)(path, derivation, options, resources)
    return prepared
