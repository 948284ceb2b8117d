"""Data classes, used like those of `dataclasses`; their methods are compiled when they are first called.

`dataclasses` compiles half a dozen methods of every class when its module is imported, and loads
`inspect` for it: 0.45 ms a class, which was half of a daemon's start. Here a class costs some 20 µs
until it is used; what is compiled then is the same. Type checkers see the functions of the standard
library. Options and kinds of fields that nothing in this project has are not there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from types import FunctionType
from typing import TYPE_CHECKING, Any

__all__ = ["MISSING", "asdict", "astuple", "dataclass", "field", "fields", "replace"]

_MISSING: Any = object()  # no default; and in a call: no argument
_FIELDS = "__fruix_fields__"  # of a class: its fields by name, those of its bases first
_REPLACING = "__fruix_replacing__"  # of a class: makes a value from another one, once it was needed
_ATOMS = frozenset({str, int, float, bool, bytes, type(None)})
_COMPARISONS = {"__lt__": "<", "__le__": "<=", "__gt__": ">", "__ge__": ">="}


class Field:
    """What is known of a field."""

    __slots__ = ("compare", "default", "default_factory", "init", "kw_only", "name", "repr")

    def __init__(
        self,
        default: Any = _MISSING,
        *,
        default_factory: Any = _MISSING,
        init: bool = True,
        repr: bool = True,  # noqa: A002 - its name in `dataclasses`
        compare: bool = True,
    ) -> None:
        self.name = ""
        self.default = default
        self.default_factory = default_factory
        self.init = init
        self.repr = repr
        self.compare = compare
        self.kw_only = False

    @property
    def value(self) -> str:
        """The expression for the value that the constructor sets; empty if it sets none."""
        made = f"factory_{self.name}()" if self.default_factory is not _MISSING else ""
        if not self.init:
            return made or (f"default_{self.name}" if self.default is not _MISSING else "")
        return f"{made} if {self.name} is MISSING else {self.name}" if made else self.name

    @property
    def parameter(self) -> str:
        """How the constructor's signature has it."""
        if self.default_factory is not _MISSING:
            return f"{self.name}=MISSING"
        return self.name if self.default is _MISSING else f"{self.name}=default_{self.name}"


def _dataclass(
    *,
    frozen: bool = False,
    slots: bool = False,
    eq: bool = True,
    order: bool = False,
    repr: bool = True,  # noqa: A002
    kw_only: bool = False,
) -> Callable[[type], type]:
    """Return a decorator: annotations become fields, and methods that the class has itself stay."""
    lazy = ["__init__", *(("__eq__",) if eq else ()), *(_COMPARISONS if order else ())]
    methods: dict[str, Any] = {"__repr__": _repr} if repr else {}
    if frozen:
        methods |= {"__setattr__": _refuse, "__delattr__": _refuse}
        lazy += ["__hash__"] if eq else []
        if slots:
            methods |= {"__getstate__": _get_state, "__setstate__": _set_state}

    def decorate(kind: type) -> type:
        own = _own_fields(kind, kw_only=kw_only)
        given = {*vars(kind)} - ({"__hash__"} if vars(kind).get("__hash__", _MISSING) is None else set())
        if slots:
            kind = _with_slots(kind, own)
        inherited = (part for base in reversed(kind.__mro__) for part in vars(base).get(_FIELDS, {}).values())
        every = {part.name: part for part in (*inherited, *own)}
        positional = tuple(part.name for part in every.values() if part.init and not part.kw_only)
        shared = {_FIELDS: every, "__match_args__": positional, "__dataclass_fields__": _STANDARD} | methods
        for name in shared.keys() - given:
            setattr(kind, name, shared[name])
        for name in lazy:
            if name not in given:
                setattr(kind, name, _later(kind, name, frozen=frozen))
        if eq and not frozen and "__hash__" not in given:
            kind.__hash__ = None  # type: ignore[assignment]
        return kind

    return decorate


def _own_fields(kind: type, *, kw_only: bool) -> list[Field]:
    """The fields that a class's own annotations make; attributes with defaults are left as they would be."""
    found = []
    for name, annotation in kind.__annotations__.items():
        if str(annotation).startswith(("ClassVar", "typing.ClassVar")):
            continue
        default = vars(kind).get(name, _MISSING)
        part = default if isinstance(default, Field) else Field(default)
        part.name, part.kw_only = name, kw_only
        if default is part:
            delattr(kind, name)
            if part.default is not _MISSING:
                setattr(kind, name, part.default)
        found.append(part)
    return found


def _with_slots(kind: type, own: Sequence[Field]) -> type:
    """The same class with slots for its own fields: those can only be said when a class is made."""
    names = [part.name for part in own]
    inherited = {name for base in kind.__mro__[1:] for name in vars(base).get("__slots__", ())}
    body = {
        name: value for name, value in vars(kind).items() if name not in {*names, "__dict__", "__weakref__"}
    }
    body["__slots__"] = tuple(name for name in names if name not in inherited)
    made: type = type(kind)(kind.__name__, kind.__bases__, body)
    made.__qualname__ = kind.__qualname__
    for member in body.values():
        if isinstance(member, FunctionType) and "__class__" in member.__code__.co_freevars:
            cell = dict(zip(member.__code__.co_freevars, member.__closure__ or (), strict=True))["__class__"]
            cell.cell_contents = made  # what `super()` goes by; all methods share it
            break
    return made


def _parameters(every: Iterable[Field]) -> list[Field]:
    """Those that the constructor takes, in the order of its signature."""
    return sorted((part for part in every if part.init), key=lambda part: part.kw_only)


def _later(kind: type, name: str, *, frozen: bool) -> Callable[..., Any]:
    """A method that compiles the real one when it is first called, and has that take its place."""
    compiled: Callable[..., Any] | None = None

    def first(self: Any, *values: Any, **named: Any) -> Any:
        nonlocal compiled
        if compiled is None:
            compiled = _compile(kind, name, frozen=frozen)
            if vars(kind).get(name) is first:
                setattr(kind, name, compiled)
        return compiled(self, *values, **named)

    first.__name__, first.__qualname__ = name, f"{kind.__qualname__}.{name}"
    return first


def _compile(kind: type, name: str, *, frozen: bool) -> Callable[..., Any]:
    every: list[Field] = [*getattr(kind, _FIELDS).values()]
    if name == "__init__":
        lines = _constructor(kind, every, frozen=frozen)
    else:
        compared = [part.name for part in every if part.compare]
        mine, others = (_compared(who, compared) for who in ("self", "other"))
        if name == "__hash__":
            lines = ["(self):", f"return hash({mine})"]
        else:
            sign = _COMPARISONS.get(name, "==")
            same = f"if other.__class__ is self.__class__: return {mine} {sign} {others}"
            lines = ["(self, other):", same, "return NotImplemented"]
    names: dict[str, Any] = {"__name__": __name__, "MISSING": _MISSING, "set_attribute": object.__setattr__}
    for part in every:
        names |= {f"default_{part.name}": part.default, f"factory_{part.name}": part.default_factory}
    exec(f"def {name}" + "\n    ".join(lines), names)  # noqa: S102 - as `dataclasses` does
    method: Callable[..., Any] = names[name]
    method.__qualname__ = f"{kind.__qualname__}.{name}"
    return method


def _compared(who: str, names: Sequence[str]) -> str:
    """What is compared and hashed: the only field itself (store paths are, all the time), or a tuple."""
    return f"{who}.{names[0]}" if len(names) == 1 else f"({''.join(f'{who}.{name}, ' for name in names)})"


def _constructor(kind: type, every: Sequence[Field], *, frozen: bool) -> list[str]:
    taken = _parameters(every)
    signature = ["self", *(part.parameter for part in taken if not part.kw_only)]
    if any(part.kw_only for part in taken):
        signature += ["*", *(part.parameter for part in taken if part.kw_only)]
    form = "set_attribute(self, '{0}', {1})" if frozen else "self.{0} = {1}"
    lines = [form.format(part.name, part.value) for part in every if part.value]
    lines += ["self.__post_init__()"] if hasattr(kind, "__post_init__") else []
    return [f"({', '.join(signature)}):", *(lines or ["pass"])]


def _repr(self: Any) -> str:
    shown = (part.name for part in _fields(self) if part.repr)
    return f"{type(self).__qualname__}({', '.join(f'{name}={getattr(self, name)!r}' for name in shown)})"


def _refuse(self: Any, name: str, _value: Any = None) -> None:
    raise AttributeError(f"{type(self).__name__} is frozen: '{name}' can't be set or deleted")


def _get_state(self: Any) -> list[Any]:
    return [getattr(self, part.name) for part in _fields(self)]


def _set_state(self: Any, state: Sequence[Any]) -> None:
    for part, value in zip(_fields(self), state, strict=True):
        object.__setattr__(self, part.name, value)


def _fields(kind: Any) -> tuple[Field, ...]:
    """The fields of a data class, or of the class of a value."""
    return tuple(getattr(kind, _FIELDS).values())


def _replace(value: Any, /, **changes: Any) -> Any:
    """A value of the same class with other fields."""
    kind = type(value)
    made = vars(kind).get(_REPLACING) or _replacing(kind)
    return made(value, **changes)


def _replacing(kind: type) -> Callable[..., Any]:
    """What makes a value of a class from another one, compiled when it is first needed."""
    names = [part.name for part in getattr(kind, _FIELDS).values() if part.init]
    taken = ", *, " + ", ".join(f"{name}=_MISSING" for name in names) if names else ""
    given = ", ".join(f"{name}=_old.{name} if {name} is _MISSING else {name}" for name in names)
    known = {"__name__": __name__, "_MISSING": _MISSING, "_kind": kind}
    exec(f"def replace(_old, /{taken}): return _kind({given})", known)  # noqa: S102
    made: Callable[..., Any] = known["replace"]
    setattr(kind, _REPLACING, made)
    return made


def _asdict(value: Any) -> Any:
    """The fields by name, those of values in them too; other objects stay the same objects."""
    return _plain(value, dict)


def _astuple(value: Any) -> Any:
    """The same without names."""
    return _plain(value, lambda pairs: tuple(item for _, item in pairs))


def _plain(value: Any, make: Callable[[list[tuple[str, Any]]], Any]) -> Any:
    if type(value) in _ATOMS:
        return value
    if hasattr(type(value), _FIELDS):
        fields = [(part.name, getattr(value, part.name)) for part in _fields(value)]
        # Most are atoms, and a call for each takes longer than all the rest.
        return make([(name, one if type(one) in _ATOMS else _plain(one, make)) for name, one in fields])
    if isinstance(value, list | tuple):
        items = [_plain(item, make) for item in value]
        return type(value)(*items) if hasattr(value, "_fields") else type(value)(items)
    if isinstance(value, dict):
        return type(value)((_plain(name, make), _plain(item, make)) for name, item in value.items())
    return value


class _StandardFields:
    """What the standard library's own functions look for (tests use them), made when they do."""

    def __get__(self, _value: Any, kind: type) -> Any:
        import dataclasses  # noqa: PLC0415 - what this module spares everybody else

        made = []
        for part in _fields(kind):
            options = {name: getattr(part, name) for name in ("init", "repr", "compare", "kw_only")}
            given = {name: getattr(part, name) for name in ("default", "default_factory")}
            options |= {name: value for name, value in given.items() if value is not _MISSING}
            made.append((part.name, Any, dataclasses.field(**options)))
        standard: Any = dataclasses.make_dataclass("Standard", made, kw_only=True)
        return standard.__dataclass_fields__


_STANDARD = _StandardFields()

if TYPE_CHECKING:
    from dataclasses import MISSING, asdict, astuple, dataclass, field, fields, replace
else:
    MISSING, dataclass, field, fields = _MISSING, _dataclass, Field, _fields
    asdict, astuple, replace = _asdict, _astuple, _replace
