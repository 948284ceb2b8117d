"""From a derivation to what runs for it.

The derivation's own program, the fetcher, or another builtin.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from fruix.building.builders.builtin import BUILDERS, prepare_builtin
from fruix.building.builders.fetch import prepare_fetch
from fruix.building.builders.fetchurl import FETCHERS
from fruix.building.builders.git_download import BUILDER as GIT_DOWNLOAD
from fruix.building.builders.git_download import prepare_git_download
from fruix.building.builders.own import prepare_own
from fruix.building.builders.prepared_builder import PreparedBuilder
from fruix.building.resources import Resources
from fruix.errors import BadDerivationError
from fruix.model.build_options import BuildOptions
from fruix.model.derivation import Derivation
from fruix.model.storepath import StorePath

_Prepare = Callable[[StorePath, Derivation, BuildOptions, Resources], PreparedBuilder]

# Builder → what prepares it; any other builder is the derivation's own program.
_BUILTINS: Mapping[str, _Prepare] = {
    **dict.fromkeys(FETCHERS, prepare_fetch),
    **dict.fromkeys(BUILDERS, prepare_builtin),
    GIT_DOWNLOAD: prepare_git_download,
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
    return _BUILTINS[builder](path, derivation, options, resources)
