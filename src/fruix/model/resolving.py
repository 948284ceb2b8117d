"""Resolving: a derivation whose inputs are content-addressed becomes one that names what they are.

Input derivations become sources, placeholders of their outputs become paths, and output paths that
were unknown for their sake are computed. Derivations that come to the same thereby are one, so what
depends on an output that hasn't changed is not built again.
"""

from __future__ import annotations

from collections.abc import Mapping

from fruix.dataclass import replace
from fruix.model import aterm
from fruix.model.derivation import Derivation, DerivationOutput
from fruix.model.drvhash import DerivationHasher
from fruix.model.hashes import Hash
from fruix.model.makepath import (
    dynamic_placeholder,
    output_path,
    scratch_path,
    text_path,
    upstream_placeholder,
)
from fruix.model.storepath import StorePath

Known = Mapping[tuple[StorePath, tuple[str, ...]], StorePath]
"""Derivation and names of outputs that lead to one (see `Derivation.chains`) → where that is."""


def resolve(derivation: Derivation, known: Known, directory: str) -> tuple[StorePath, Derivation]:
    """The derivation with the outputs of its inputs in their places, and the path that it has then."""
    texts = {_placeholder(drv, chain): path.text for (drv, chain), path in known.items()}

    def put(text: str) -> str:
        if "/" in text:
            for old, new in texts.items():
                text = text.replace(old, new)
        return text

    found = replace(
        derivation,
        input_drvs={},
        dynamic={},
        input_srcs=tuple(sorted({*derivation.input_srcs, *known.values()})),
        builder=put(derivation.builder),
        args=tuple(map(put, derivation.args)),
        env={put(name): put(value) for name, value in derivation.env.items()},
    )
    if found.is_unresolved and not found.is_floating:
        found = _with_paths(found, directory)
    contents = Hash.of("sha256", aterm.render(found))
    return text_path(f"{found.name}.drv", contents, found.references, directory), found


def _placeholder(drv: StorePath, chain: tuple[str, ...]) -> str:
    first, *rest = chain
    found = upstream_placeholder(drv, first)
    for name in rest:
        found = dynamic_placeholder(found, name)
    return found


def _with_paths(derivation: Derivation, directory: str) -> Derivation:
    """Put in the paths that were unknown because of inputs; there are no inputs any more."""
    digest = DerivationHasher(_nothing).hash_masked(derivation)
    paths = {name: output_path(derivation.name, name, digest, directory) for name in derivation.outputs}
    outputs = {name: DerivationOutput(path) for name, path in paths.items()}
    env = {**derivation.env, **{name: path.text for name, path in paths.items()}}
    return replace(derivation, outputs=outputs, env=env)


def _nothing(path: StorePath) -> Derivation:
    raise KeyError(path)


def with_scratch_paths(drv: StorePath, derivation: Derivation) -> Derivation:
    """A floating derivation as it is built: its outputs are made at paths that are for that alone."""
    outputs = {
        name: replace(output, path=scratch_path(drv, name)) for name, output in derivation.outputs.items()
    }
    return replace(derivation, outputs=outputs)


def without_scratch_paths(derivation: Derivation) -> Derivation:
    """A floating derivation as it was before `with_scratch_paths`."""
    outputs = {name: replace(output, path=None) for name, output in derivation.outputs.items()}
    return replace(derivation, outputs=outputs)
