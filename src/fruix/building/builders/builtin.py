"""Builtins that need no network.

A function of the daemon's code, its inputs, a store directory for its output, nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from fruix.building.builders import assemble_root
from fruix.building.builders.buildenv import read_members
from fruix.building.builders.platforms import check_features
from fruix.building.builders.prepared_builder import PreparedBuilder, outputs_in_store
from fruix.building.outputs.checks import check_words
from fruix.building.plan.input_closure import present_inputs
from fruix.building.resources import Resources
from fruix.errors import BadDerivationError
from fruix.model.attributes import read as read_attributes
from fruix.model.build_options import BuildOptions
from fruix.model.derivation import Derivation
from fruix.model.storepath import StorePath
from fruix.sandbox import Entry
from fruix.sandbox.contracts import CONTRACTS


def _profile(derivation: Derivation) -> dict[str, Any]:
    members = read_members(derivation.env.get("derivations", ""))
    return {
        "members": [[member.priority, member.path] for member in members],
        "manifest": derivation.env.get("manifest", ""),
    }


def _channel(derivation: Derivation) -> dict[str, Any]:
    source, name = (derivation.env.get(variable, "") for variable in ("src", "channelName"))
    if not source or not name or "/" in name or name in {".", ".."}:
        raise BadDerivationError(
            "builtin:unpack-channel needs the variables 'src' and 'channelName' (a plain name)",
            where=derivation.name,
        )
    return {"source": source, "name": name}


# Builder → the function that runs in the sandbox, and what reads its arguments.
BUILDERS: Mapping[str, tuple[str, Callable[[Derivation], dict[str, Any]]]] = {
    "builtin:root": ("fruix.building.builders.assemble_root:main", assemble_root.read_arguments),
    "builtin:buildenv": ("fruix.building.builders.buildenv:main", _profile),
    "builtin:unpack-channel": ("fruix.building.builders.unpack_channel:main", _channel),
}


def prepare_builtin(
    path: StorePath,
    derivation: Derivation,
    _options: BuildOptions,
    resources: Resources,
) -> PreparedBuilder:
    """Check what it is asked for.

    Raises:
        FruixError: it is not declared as it should be, or an input is missing.
    """
    out = derivation.output_paths.get("out")
    if out is None or len(derivation.outputs) != 1:
        raise BadDerivationError(f"'{derivation.builder}' makes one output, 'out'", where=derivation.name)
    attributes, store = read_attributes(derivation), resources.store
    check_features(path, attributes, resources.settings)
    check_words(path, derivation, attributes)
    function, read = BUILDERS[derivation.builder]
    inputs = present_inputs(store, path, derivation)
    return PreparedBuilder(
        path=path,
        derivation=derivation,
        attributes=attributes,
        contract=CONTRACTS["fruix"],
        program=Entry(function, {"out": str(out), **read(derivation)}),
        areas=(("store", store.directory),),
        outputs=outputs_in_store(derivation),
        inputs=tuple((store.real(path), path) for path in inputs),
    )
