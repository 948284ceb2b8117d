"""What a builder may see of the store."""

from __future__ import annotations

from fruix.building.failures import FailedError
from fruix.errors import BuildError
from fruix.model.derivation import Derivation
from fruix.model.reasons import reason
from fruix.model.storepath import StorePath, base_names, in_order
from fruix.store import LocalStore
from fruix.store.tree.interruption import check_interrupt


def input_closure(store: LocalStore, derivation: Derivation) -> list[StorePath]:
    """Everything the builder may see: closures of sources and of the wanted outputs of inputs."""
    top = list(derivation.input_srcs)
    for path, names in derivation.input_drvs.items():
        check_interrupt()
        outputs = store.derivation_outputs(path)
        for name in names:
            if name not in outputs:
                raise BuildError(
                    f"derivation requires non-existent output '{name}' from input derivation '{path}'"
                )
            top.append(outputs[name])
    return list(in_order(store.closure(top)))


def present_inputs(store: LocalStore, job: StorePath, derivation: Derivation) -> list[StorePath]:
    """`input_closure`, when they are about to be shown to a builder. One lstat for each.

    Raises:
        FailedError: one was deleted by hand.
    """
    paths = input_closure(store, derivation)
    if store.have_files(base_names(paths)):
        return paths
    gone = next((path for path in paths if not store.has_files(path)), None)
    if gone is not None:
        hint = "to make it again: fruix store verify --repair"
        raise FailedError(job, reason("input-gone", path=str(gone)), hint=hint)
    return paths
