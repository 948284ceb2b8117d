"""Small derivations for the self-test.

They are POSIX shell with the host view `base` and whatever inputs they name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from fruix.client import RemoteStore
from fruix.dataclass import dataclass
from fruix.model import aterm
from fruix.model.buildresult import BuildResult
from fruix.model.derivation import Derivation, DerivationOutput
from fruix.model.derivedpath import ALL, DerivedPath
from fruix.model.drvhash import DerivationHasher, fill_outputs
from fruix.model.events import Event
from fruix.model.hostview import CONTRACT_VARIABLE, VIEW_HASH_VARIABLE, VIEW_VARIABLE
from fruix.model.storepath import StorePath
from fruix.this_machine import local_system

VIEW = "base"


@dataclass(frozen=True, slots=True)
class Built:
    """What came of a build request."""

    drv: StorePath
    derivation: Derivation
    result: BuildResult

    @property
    def output(self) -> StorePath:
        """The store path of the output `out`."""
        return self.derivation.output_paths["out"]


def add(
    store: RemoteStore,
    name: str,
    script: str,
    *,
    sources: Iterable[StorePath] = (),
    env: Mapping[str, str] | None = None,
    outputs: Iterable[str] | Mapping[str, DerivationOutput] = ("out",),
    builder: str = "/bin/sh",
) -> tuple[StorePath, Derivation]:
    """Add a derivation whose builder is the view's shell running `script`, or another one.

    `outputs`: their names, or also what is declared of them.
    """
    view = store.host_view(VIEW)
    declared = outputs if isinstance(outputs, Mapping) else dict.fromkeys(outputs, DerivationOutput(None))
    plain = Derivation(
        name=name,
        outputs=declared,
        input_drvs={},
        input_srcs=tuple(sorted(sources)),
        system=local_system(),
        builder=builder,
        args=("-c", script),
        env={
            "PATH": ":".join(view.path),
            CONTRACT_VARIABLE: "fruix",
            VIEW_VARIABLE: VIEW,
            VIEW_HASH_VARIABLE: view.fingerprint,
            **(env or {}),
        },
    )
    derivation = fill_outputs(plain, DerivationHasher(store.read_derivation), store.directory)
    drv = store.add_text(f"{name}.drv", aterm.render(derivation), list(derivation.references))
    return drv, derivation


def build_added(
    store: RemoteStore, drv: StorePath, on_event: Callable[[Event], None] | None = None
) -> BuildResult:
    """Build all outputs of a derivation."""
    ((_, result),) = store.build([DerivedPath(drv, ALL)], None, on_event)
    return result


def build(
    store: RemoteStore,
    name: str,
    script: str,
    *,
    sources: Iterable[StorePath] = (),
    env: Mapping[str, str] | None = None,
) -> Built:
    """Add a derivation and build it; a failure is a result too."""
    drv, derivation = add(store, name, script, sources=sources, env=env)
    return Built(drv, derivation, build_added(store, drv))
