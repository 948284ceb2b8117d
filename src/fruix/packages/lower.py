"""How packages become derivations in a store.

A `Lowering` goes over a graph of packages once (iterative, memoised), adds each builder script and
derivation to the store, and remembers what it has done. Nothing is built. The same definitions give
the same derivations, whoever lowers them and however often.

Cost: two small additions per package (its derivation and its source's), and one per builder script
of its own. They wait until there are many, or until the store is asked something else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache

from fruix.dataclass import dataclass
from fruix.model.derivation import Derivation, DerivationOutput
from fruix.model.drvhash import DerivationHasher, write_filled
from fruix.model.hostview import SET_UP_VARIABLE, HostView
from fruix.model.root import Piece
from fruix.model.storepath import StorePath, in_order
from fruix.model.text_object import Text
from fruix.packages.build_systems.shared_phases import SET_UP
from fruix.packages.catalogue import shipped
from fruix.packages.lower_roots import LoweredRoot, lower_root
from fruix.packages.lower_sources import (
    SHELL,
    LoweredSource,
    add_files,
    add_local,
    add_patch,
    fetch_commit,
    fetch_file,
    view_variables,
)
from fruix.packages.package import Package
from fruix.packages.phases import script
from fruix.packages.place import located
from fruix.packages.sources import Git, Local, Origin, Source
from fruix.store.interface import Store

_AS_FILES = "passAsFile"


@dataclass(frozen=True, slots=True)
class LoweringContext:
    """What derivations depend on besides the definitions.

    Attributes:
        system: for which they are.
        host_view: the host views as they are now.
        check_roots: raises where roots can't be put together.
    """

    system: str
    host_view: Callable[[str], HostView]
    check_roots: Callable[[], None] = lambda: None


@dataclass(frozen=True, slots=True)
class Lowered:
    """A lowered package; `propagated` are the inputs that those who use it get too, all of them."""

    drv: StorePath
    derivation: Derivation
    source: LoweredSource | None
    propagated: tuple[Lowered, ...] = ()


class Lowering:
    """Lowers packages into one store; keeps what it lowered, so that each package is lowered once."""

    def __init__(self, store: Store, context: LoweringContext) -> None:
        self._store = store
        self._context = context
        self._packages: dict[int, tuple[Package, Lowered]] = {}  # by identity: comparing graphs would be slow
        self._sources: dict[Source, LoweredSource] = {}
        self._hasher = DerivationHasher(_unknown)
        self._view = cache(context.host_view)
        self._view_variables = cache(lambda name: view_variables(self._view(name)))
        self._root = cache(self._lower_root)
        self._builder = cache(self._add_builder)
        self._set_up = store.add_text_soon(Text("builder-set-up.sh", SET_UP.encode(), ()))

    @property
    def origins(self) -> Mapping[Origin, StorePath]:
        """The files with a known hash that were lowered so far, and their paths."""
        return {
            source: lowered.output for source, lowered in self._sources.items() if isinstance(source, Origin)
        }

    @property
    def sources(self) -> Mapping[StorePath, Source]:
        """The definitions of all sources that are fetched, by their derivations, lowered so far."""
        return {lowered.drv: source for source, lowered in self._sources.items() if lowered.drv is not None}

    @property
    def of_definitions_alone(self) -> bool:
        """Whether what was lowered so far follows from definitions: not from tools or files of this host."""
        local = any(isinstance(source, Local) for source in self._sources)
        patched = any(package.source and package.source.patches for package, _ in self._packages.values())
        return not (self._view.cache_info().currsize or local or patched)

    def lowered(self, package: Package) -> Lowered:
        """A package's derivation; everything that it needs is lowered first.

        Raises:
            DefinitionError: something is wrong with a definition; the message names its place and
                the package.
        """
        stack = [package]
        while stack:
            current = stack[-1]
            if id(current) in self._packages:
                stack.pop()
                continue
            missing = [item for item in all_inputs(current) if id(item) not in self._packages]
            if missing:
                stack.extend(missing)
            else:
                self._packages[id(current)] = (current, self._lower(current))
                stack.pop()
        return self._packages[id(package)][1]

    def _lower(self, package: Package) -> Lowered:
        with located(package.location, package.name):
            return self._lower_located(package)

    def _lower_located(self, package: Package) -> Lowered:
        source = self._source(package.source) if package.source else None
        patches = [add_patch(self._store, path) for path in package.source.patches] if package.source else []
        files = [source.output] if source and source.drv is None else []
        builder = self._builder(package.build_system, script(package.recipe.phases))
        propagated = self._with_propagated(package.propagated_inputs)
        inputs = _unique((*self._with_propagated(package.inputs), *propagated))
        native = self._with_propagated((*package.native_inputs, *map(shipped, package.system.tools)))
        tools, tool_drvs = self._tools(package)
        drv, derivation = self._add(
            Derivation(
                name=package.full_name,
                outputs={name: DerivationOutput(None) for name in package.outputs},
                input_drvs=_input_drvs((*inputs, *native), source, tool_drvs),
                input_srcs=in_order({builder, self._set_up, *patches, *files}),
                system=self._context.system,
                builder=SHELL,
                args=(builder.text,),
                env={
                    **package.declares,
                    **_input_lists(_outputs(inputs), _outputs(native), package.declares.get(_AS_FILES, "")),
                    **package.recipe.environment,
                    **_with_declared(tools, package.declares),
                    **_source_variables(package, source, patches),
                    SET_UP_VARIABLE: self._set_up.text,
                },
            )
        )
        return Lowered(drv, derivation, source, propagated)

    def _tools(self, package: Package) -> tuple[Mapping[str, str], Sequence[StorePath]]:
        """Variables by which a builder gets compiler and tools, and the derivations that those are from."""
        if root := package.root_on(self._context.system):
            lowered = self._root(root)
            return lowered.variables, lowered.drvs
        return self._view_variables(package.host_view or package.system.host_view), ()

    def _lower_root(self, name: str) -> LoweredRoot:
        def fetch(piece: Piece) -> tuple[StorePath, StorePath]:
            source = self._source(Origin(urls=piece.urls, sha256=piece.sha256))
            assert source.drv is not None  # it is fetched
            return source.drv, source.output

        self._context.check_roots()
        return lower_root(name, self._context.system, fetch, self._add)

    def _with_propagated(self, packages: Iterable[Package]) -> tuple[Lowered, ...]:
        """Packages that are lowered already, each followed by what it propagates, without repetitions."""
        lowered = [self._packages[id(package)][1] for package in packages]
        return _unique(item for one in lowered for item in (one, *one.propagated))

    def _source(self, source: Origin | Local | Git) -> LoweredSource:
        if source not in self._sources:
            with located(source.location):
                self._sources[source] = self._lower_source(source)
        return self._sources[source]

    def _lower_source(self, source: Origin | Local | Git) -> LoweredSource:
        if isinstance(source, Local):
            return LoweredSource(add_local(self._store, source))
        plain = fetch_file(source) if isinstance(source, Origin) else fetch_commit(source)
        drv, derivation = self._add(plain)
        output = derivation.output_paths["out"]
        if isinstance(source, Origin):
            add_files(self._store, source, output)
        return LoweredSource(output, drv, source.hash)

    def _add_builder(self, build_system: str, text: str) -> StorePath:
        """Add a builder script; packages without arguments of their own share one."""
        return self._store.add_text_soon(Text(f"{build_system}-builder.sh", text.encode(), ()))

    def _add(self, plain: Derivation) -> tuple[StorePath, Derivation]:
        derivation, text, hashed = write_filled(plain, self._hasher, self._store.directory)
        path = self._store.add_text_soon(Text(f"{derivation.name}.drv", text, derivation.references))
        self._hasher.know(path, hashed)
        return path, derivation


def _unknown(path: StorePath) -> Derivation:
    raise AssertionError(f"{path} is an input, and was not lowered before")


def all_inputs(package: Package) -> Sequence[Package]:
    """The packages that a build of this one asks for itself, with the tools of its build system."""
    tools = map(shipped, package.system.tools)
    return (*package.inputs, *package.propagated_inputs, *package.native_inputs, *tools)


def _source_variables(
    package: Package, source: LoweredSource | None, patches: Iterable[StorePath]
) -> dict[str, str]:
    """What the phases `unpack`, `patch` and `record-source` read."""
    fuzz = package.source.fuzz if package.source else 0
    return {
        "pname": package.name,
        "version": package.version,
        "source": source.output.text if source else "",
        "patches": " ".join(path.text for path in patches),
        **({"patchFuzz": str(fuzz)} if fuzz else {}),
    }


def _input_lists(target: Sequence[str], native: Sequence[str], more: str) -> dict[str, str]:
    """Variables with the outputs of the inputs, a line each; they come in files, as `more` does."""
    lists = {"inputs": target, "nativeInputs": native}
    values = {
        name: "".join(f"{output}\n" for output in outputs) for name, outputs in lists.items() if outputs
    }
    files = " ".join([*more.split(), *values])
    return {**values, _AS_FILES: files} if files else values


def _unique(items: Iterable[Lowered]) -> tuple[Lowered, ...]:
    return tuple({item.drv: item for item in items}.values())


def _outputs(items: Iterable[Lowered]) -> list[str]:
    outputs = (output for item in items for output in item.derivation.outputs.values())
    return [output.path.text for output in outputs if output.path is not None]


def _with_declared(tools: Mapping[str, str], declares: Mapping[str, str]) -> Mapping[str, str]:
    """What the tools bring; where a package declares some of it too, both."""
    if declares.keys().isdisjoint(tools):
        return tools
    return {name: f"{declares.get(name, '')} {value}".lstrip() for name, value in tools.items()}


def _input_drvs(
    inputs: Iterable[Lowered], source: LoweredSource | None, tools: Iterable[StorePath]
) -> dict[StorePath, tuple[str, ...]]:
    found = {item.drv: tuple(sorted(item.derivation.outputs)) for item in inputs}
    found |= dict.fromkeys(tools, ("out",))
    if source is not None and source.drv is not None:
        found[source.drv] = ("out",)
    return {path: found[path] for path in in_order(found)}
