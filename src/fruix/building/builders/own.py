"""The derivation's own builder: sealed, unless its output is fixed.

Then it may have a network (see `sandbox.networks`).
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from os.path import basename

from fruix.building.builders.environment import BuilderInput, EnvironmentParams, builder_input
from fruix.building.builders.platforms import (
    check_machine,
    personality,
    wants_kvm,
    wants_to_talk,
)
from fruix.building.builders.prepared_builder import PreparedBuilder, contract_of, outputs_in_store
from fruix.building.builders.references_graph import graph_files, graph_objects
from fruix.building.builders.sandbox_paths import sandbox_paths
from fruix.building.builders.whole_host import rest_of_store, whole_host
from fruix.building.nested import SOCKET
from fruix.building.outputs.checks import check_words
from fruix.building.plan.input_closure import present_inputs
from fruix.building.resources import Resources
from fruix.building.root_view import root_view
from fruix.building.settings import EVERY_VARIABLE, BuildSettings
from fruix.dataclass import replace
from fruix.model.attributes import Attributes
from fruix.model.attributes import read as read_attributes
from fruix.model.build_options import BuildOptions
from fruix.model.derivation import Derivation
from fruix.model.storepath import StorePath, base_names
from fruix.sandbox import Bind, Exec
from fruix.sandbox.contracts import Contract
from fruix.sandbox.network_choice import choose
from fruix.sandbox.networks import NONE
from fruix.store import LocalStore


def prepare_own(
    path: StorePath, derivation: Derivation, options: BuildOptions, resources: Resources
) -> PreparedBuilder:
    """Check the contract, what is declared, the view and the inputs.

    Raises:
        FruixError: this machine can't build it, or not as it is declared.
    """
    contract, settings, store = contract_of(derivation, options.contract), resources.settings, resources.store
    attributes = read_attributes(derivation, guix=contract.guix_attributes)
    check_machine(path, derivation, attributes, contract, settings)
    check_words(path, derivation, attributes)
    inputs = present_inputs(store, path, derivation)
    directory = contract.build_directory(derivation.name + ".drv")
    around = _around(store.directory, directory, derivation, options, settings)
    given = _input(path, derivation, attributes, contract, around, inputs, resources)
    view = resources.views.for_derivation(derivation, attributes)
    root = root_view(store, derivation, attributes, inputs)
    host = () if settings.sandbox or view or root else whole_host(directory)
    areas = _areas(store.directory, directory, tmp=not host)
    prepared = PreparedBuilder(
        path=path,
        derivation=derivation,
        attributes=attributes,
        contract=contract,
        program=_program(derivation.builder, given, directory),
        areas=areas,
        outputs=outputs_in_store(derivation),
        inputs=_on_host(inputs, store.layout.store),
        view=view,
        root=root,
        network=choose(settings.fixed_output_network) if derivation.is_open else NONE,
        personality=personality(derivation.system),
        kvm=wants_kvm(attributes, contract, settings),
        shown=() if host or view or root else sandbox_paths(settings.sandbox_paths, areas),
        host=host,
        files=given.files,
        secrets=given.secrets,
    )
    return _talking(prepared, store) if wants_to_talk(attributes, settings) else prepared


def _on_host(inputs: Sequence[StorePath], directory: str) -> tuple[tuple[str, StorePath], ...]:
    """Each with the name under which the host finds it, in its store's `directory`."""
    return tuple(
        [(f"{directory}/{base}", path) for base, path in zip(base_names(inputs), inputs, strict=True)]
    )


def _program(file: str, given: BuilderInput, directory: str) -> Exec:
    return Exec(file, (basename(file), *given.arguments), given.variables, directory)


def _talking(builder: PreparedBuilder, store: LocalStore) -> PreparedBuilder:
    """The same, told where the daemon listens; without a sandbox it sees more of the store."""
    program, others = builder.program, tuple[Bind, ...]()
    assert isinstance(program, Exec)
    remote = {"NIX_REMOTE": f"unix://{program.directory}/{SOCKET}"}
    if builder.host:
        others = tuple(rest_of_store(store.layout.store, store.directory, builder.candidates))
    program = replace(program, environment={**program.environment, **remote})
    return replace(builder, program=program, talks=True, others=others)


def _around(
    store: str, directory: str, derivation: Derivation, options: BuildOptions, settings: BuildSettings
) -> EnvironmentParams:
    return EnvironmentParams(
        store=store,
        cores=options.cores if options.cores is not None else settings.cores,
        directory=directory,
        passed=_passed(options, settings) if derivation.is_open else {},
    )


def _passed(options: BuildOptions, settings: BuildSettings) -> Mapping[str, str]:
    """Variables that an open derivation gets if it names them."""
    names = os.environ if EVERY_VARIABLE in settings.impure_variables else settings.impure_variables
    own = {name: os.environ[name] for name in names if name in os.environ}
    return {**own, **settings.impure_env, **options.impure_env}


def _areas(store: str, directory: str, *, tmp: bool) -> tuple[tuple[str, str], ...]:
    own = (("tmp", "/tmp"),) if tmp else ()  # noqa: S108 - the name inside
    return (("store", store), *own, ("build", directory))


def _input(
    path: StorePath,
    derivation: Derivation,
    attributes: Attributes,
    contract: Contract,
    around: EnvironmentParams,
    inputs: list[StorePath],
    resources: Resources,
) -> BuilderInput:
    """What it is started with, with the graphs that it asks for."""
    store, files, objects = resources.store, {}, {}
    if attributes.structured is None:
        files = graph_files(store, path, attributes, inputs, guix=contract.guix_attributes)
    else:
        objects = graph_objects(store, path, attributes, inputs)
    return builder_input(derivation, attributes, contract, around, graph_files=files, graph_objects=objects)
