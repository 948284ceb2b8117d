"""What a builder is started with: its arguments, its variables, and files in its working directory.

Made from the derivation, its attributes and the contract, and from nothing of the daemon's own but
those variables that a fixed-output derivation names in `impureEnvVars` and the operator lets pass.
Placeholders of outputs are replaced by their paths. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, AnyStr

from fruix.building.settings import PROXY_VARIABLES
from fruix.dataclass import dataclass, field
from fruix.errors import BadDerivationError
from fruix.model import structured
from fruix.model.attributes import Attributes
from fruix.model.derivation import Derivation
from fruix.model.hashes import Hash
from fruix.model.makepath import placeholder
from fruix.model.secrets import secret_values
from fruix.model.text import printable, to_bytes
from fruix.sandbox.contracts import Contract


@dataclass(frozen=True, slots=True)
class BuilderInput:
    """Arguments without the program's own name.

    Variables by name; files by name in the working directory.

    `secrets`: texts of the daemon's variables that don't belong into a log.
    """

    arguments: tuple[str, ...]
    variables: Mapping[str, str]
    files: Mapping[str, bytes]
    secrets: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class EnvironmentParams:
    """What doesn't come from the derivation.

    The store directory, processors to use, the working directory as the builder sees it.

    `passed`: the daemon's variables that a fixed-output derivation may have, if it names them.
    """

    store: str
    cores: int
    directory: str
    passed: Mapping[str, str] = field(default_factory=dict)


def builder_input(
    derivation: Derivation,
    attributes: Attributes,
    contract: Contract,
    params: EnvironmentParams,
    *,
    graph_files: Mapping[str, bytes],
    graph_objects: Mapping[str, Any],
) -> BuilderInput:
    """What the builder of `derivation` gets: what is declared, with what the contract adds.

    Args:
        derivation: what is to be built.
        attributes: what it declares.
        contract: what its builder may rely on.
        params: what doesn't come from the derivation.
        graph_files: exported graphs as files.
        graph_objects: exported graphs as JSON values.

    Raises:
        BadDerivationError: a variable with a name that no process can have.
    """
    replace = {} if contract.guix_attributes else _placeholders(derivation)
    variables, files = _declared(derivation, attributes, graph_objects, replace, params.directory)
    impure = _impure(attributes, params.passed) if derivation.is_open else {}
    environment = contract.environment(
        variables,
        store=params.store,
        cores=params.cores,
        build_directory=params.directory,
        fixed_output=derivation.is_fixed,
        impure=impure,
    )
    _check_names(environment)
    return BuilderInput(
        arguments=tuple(_replaced(argument, replace) for argument in derivation.args),
        variables=environment,
        files={**files, **graph_files},
        secrets=secret_values(impure, PROXY_VARIABLES),
    )


def _check_names(environment: Mapping[str, str]) -> None:
    if wrong := [name for name in environment if not name or "=" in name]:
        raise BadDerivationError(f"'{printable(wrong[0])}' can't be the name of a variable")


def attribute_file(name: str) -> str:
    """The file in which a variable's value is passed (`passAsFile`)."""
    return f".attr-{Hash.of('sha256', to_bytes(name)).nix32}"


def _declared(
    derivation: Derivation,
    attributes: Attributes,
    graphs: Mapping[str, Any],
    replace: Mapping[str, str],
    directory: str,
) -> tuple[dict[str, str], dict[str, bytes]]:
    """The derivation's own variables, and files that stand for some of them or for all."""
    if attributes.structured is not None:
        return _structured(derivation, attributes.structured, graphs, replace, directory)
    variables: dict[str, str] = {}
    files: dict[str, bytes] = {}
    for name, value in derivation.env.items():
        text = _replaced(value, replace)
        if name in attributes.files:
            files[attribute_file(name)] = to_bytes(text)
            variables[f"{name}Path"] = f"{directory}/{attribute_file(name)}"
        else:
            variables[name] = text
    return variables, files


def _structured(
    derivation: Derivation,
    attributes: Mapping[str, Any],
    graphs: Mapping[str, Any],
    replace: Mapping[str, str],
    directory: str,
) -> tuple[dict[str, str], dict[str, bytes]]:
    outputs = {name: str(output.path) for name, output in derivation.outputs.items()}
    values = {**attributes, "outputs": outputs, **graphs}
    files = {
        structured.JSON_FILE: _replaced(structured.to_json(values), _encoded(replace)),
        structured.SHELL_FILE: _replaced(structured.to_shell(values), _encoded(replace)),
    }
    variables = {
        "NIX_ATTRS_JSON_FILE": f"{directory}/{structured.JSON_FILE}",
        "NIX_ATTRS_SH_FILE": f"{directory}/{structured.SHELL_FILE}",
    }
    return variables, files


def _placeholders(derivation: Derivation) -> dict[str, str]:
    return {placeholder(name): path.text for name, path in derivation.output_paths.items()}


def _encoded(replace: Mapping[str, str]) -> dict[bytes, bytes]:
    return {old.encode(): new.encode() for old, new in replace.items()}


def _replaced(text: AnyStr, replace: Mapping[AnyStr, AnyStr]) -> AnyStr:
    for old, new in replace.items():
        text = text.replace(old, new)
    return text


def _impure(attributes: Attributes, passed: Mapping[str, str]) -> dict[str, str]:
    """The daemon's own values; a variable that it doesn't have or that may not pass is empty."""
    return {name: passed.get(name, "") for name in attributes.impure_variables}
