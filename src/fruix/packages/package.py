"""Packages and origins: immutable records, changed by `inherit`.

hello = Package(name="hello", version="2.12.3", source=Origin(urls=(…,), sha256="…"), build_system="gnu", synopsis="…")
quiet = hello.inherit(arguments={"configure_flags": ("--disable-nls",)})
"""

from __future__ import annotations

import difflib
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Self

from fruix.errors import UsageError
from fruix.model import attributes
from fruix.model.hashes import Hash
from fruix.model.storepath import check_name


def nearest(word: str, known: Iterable[str]) -> str:
    """A hint for a misspelt word: the nearest known ones, or all of them if none is near."""
    known = sorted(known)
    close = difflib.get_close_matches(word, known, n=3)
    return (
        f"did you mean {' or '.join(repr(name) for name in close)}?"
        if close
        else f"there are: {', '.join(known)}"
    )


def _make_texts(record: Any, name: str) -> None:
    """Lists are as good as tuples in a definition; a single text is a mistake that would go unnoticed, since it has items too."""
    value = getattr(record, name)
    if not isinstance(value, list | tuple) or not all(isinstance(item, str) for item in value):
        raise UsageError(f"'{name}' should be a list of texts, not {value!r}")
    object.__setattr__(record, name, tuple(value))


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a source comes from: a file with a known hash.

    Attributes:
        urls: tried in order; `mirror://gnu/…` and `mirror://debian/…` stand for lists of mirrors.
        sha256: of the file's bytes, in any text form.
        patches: local files, applied in order with `patch -p1`.
        file_name: name in the store; default: the first URL's last part.
    """

    urls: tuple[str, ...]
    sha256: str
    patches: tuple[str, ...] = ()
    file_name: str = ""

    def __post_init__(self) -> None:
        for name in ("urls", "patches"):
            _make_texts(self, name)
        if not self.urls:
            raise UsageError("an origin needs at least one URL")
        Hash.parse(self.sha256, "sha256")

    @property
    def hash(self) -> Hash:
        """The declared hash."""
        return Hash.parse(self.sha256, "sha256")

    @property
    def store_name(self) -> str:
        """The file's name in the store."""
        return self.file_name or self.urls[0].rpartition("/")[2]

    @property
    def file_names(self) -> tuple[str, ...]:
        """Names under which somebody may have downloaded it already."""
        return tuple(dict.fromkeys((self.store_name, *(url.rpartition("/")[2] for url in self.urls))))


@dataclass(frozen=True, slots=True)
class Package:
    """One package.

    Attributes:
        build_system: a name of `build_systems.BUILD_SYSTEMS`; `arguments` are its arguments.
        inputs: packages whose headers, libraries and programs the build uses and the result may refer to.
        propagated_inputs: inputs that whoever has this package among its inputs gets too, such as a library whose headers its own include.
        native_inputs: packages whose programs only the build uses.
        host_view: the view of host tools in which it is built; if empty, the build system's.
        untested: what upstream tests and this package does not, with the reason; the key `*` stands for the whole suite.
        unreproducible: why two builds may differ; empty for a package that builds twice to the same bits.
        declares: attributes of its derivation (docs/derivations.md), such as `{"requiredSystemFeatures": "kvm"}`.
        location: file and line of the definition; no part of the value.
    """

    name: str
    version: str
    build_system: str = "gnu"
    source: Origin | None = None
    arguments: Mapping[str, Any] = field(default_factory=dict)
    inputs: tuple[Package, ...] = ()
    native_inputs: tuple[Package, ...] = ()
    propagated_inputs: tuple[Package, ...] = ()
    outputs: tuple[str, ...] = ("out",)
    synopsis: str = ""
    description: str = ""
    license: str = ""
    home_page: str = ""
    host_view: str = ""
    untested: Mapping[str, str] = field(default_factory=dict)
    unreproducible: str = ""
    declares: Mapping[str, str] = field(default_factory=dict)
    location: tuple[str, int] = field(default=("", 0), init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "location", _definition())
        check_name(self.full_name)
        _make_texts(self, "outputs")
        for output in self.outputs:
            check_name(output)
        for what in ("inputs", "native_inputs", "propagated_inputs"):
            _make_packages(self, what)
        for name, value in self.declares.items():
            if name not in attributes.NAMES:
                hint = nearest(name, attributes.NAMES)
                raise UsageError(f"'{self.name}' declares '{name}', which means nothing", hint=hint)
            if not isinstance(value, str):
                raise UsageError(f"'{name}' of '{self.name}' should be a text, not {value!r}")

    @property
    def full_name(self) -> str:
        """Name and version, as in the store."""
        return f"{self.name}-{self.version}" if self.version else self.name

    def inherit(self, **changes: Any) -> Self:
        """This package with some fields changed and the rest kept.

        Raises:
            UsageError: no such field.
        """
        known = {item.name for item in fields(self) if item.init}
        for name in changes:
            if name not in known:
                raise UsageError(
                    f"a package has no field '{name}'", where=self.name, hint=nearest(name, known)
                )
        return replace(self, **changes)

    def __hash__(self) -> int:
        """By identity of name and version; equality compares everything."""
        return hash((self.name, self.version))


def _make_packages(package: Package, name: str) -> None:
    value = getattr(package, name)
    if not isinstance(value, list | tuple):
        raise UsageError(f"{name} of '{package.name}' should be a list of packages, not {_shown(value)}")
    for item in value:
        if not isinstance(item, Package):
            hint = f"find({item!r}) gives the package of that name" if isinstance(item, str) else ""
            raise UsageError(f"{name} of '{package.name}' holds {item!r}, which is not a package", hint=hint)
    object.__setattr__(package, name, tuple(value))


def _shown(value: object) -> str:
    return f"the package '{value.name}'" if isinstance(value, Package) else repr(value)


def _definition() -> tuple[str, int]:
    """Where the package that is being made is written down: the first frame that is neither ours nor a generated `__init__`."""
    frame = sys._getframe(2)  # noqa: SLF001 - what `warnings` and `logging` use too
    while frame.f_back is not None and frame.f_code.co_filename in _OURS:
        frame = frame.f_back
    return frame.f_code.co_filename, frame.f_lineno


_OURS = frozenset({__file__, "<string>", replace.__code__.co_filename})
