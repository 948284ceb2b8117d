"""Values for every codec, derived from the codec: a new row is tested without a new strategy."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from fruix.model.activity import State
from fruix.model.buildresult import BuildMode, BuildResult, BuildStatus
from fruix.model.contentaddress import ContentAddress, Method
from fruix.model.derivedpath import ALL, DerivedPath
from fruix.model.finding import FindingKind
from fruix.model.hashes import Hash
from fruix.model.realisation import Realisation
from fruix.model.storepath import StorePath
from fruix.protocol import build_codecs, build_status, compound, model_codecs, options, own_operations, wire
from fruix.protocol.records import NOTHING, Field, Record, keeps
from fruix.protocol.wire import Codec, Context, Dialect

STORE = "/frx/store"
NIX32 = "0123456789abcdfghijklmnpqrsvwxyz"

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20) | st.just("\udc80\udcff")
names = st.text("abcXYZ019+-._?=", min_size=1, max_size=12).filter(lambda name: name[0] != ".")
hashes = st.binary(min_size=32, max_size=32).map(lambda digest: Hash("sha256", digest))


def paths(suffix: str = "") -> st.SearchStrategy[StorePath]:
    parts = st.text(NIX32, min_size=32, max_size=32)
    return st.builds(lambda part, name: StorePath.of(STORE, f"{part}-{name}{suffix}"), parts, names)


addresses = st.builds(ContentAddress, st.sampled_from([Method.TEXT, Method.NAR, Method.FLAT]), hashes)
outputs = st.lists(names, min_size=1, max_size=3, unique=True).map(lambda found: tuple(sorted(found)))


def derived(context: Context) -> st.SearchStrategy[DerivedPath]:
    wanted = st.just(ALL) | outputs
    older = context.dialect is Dialect.GUIX or context.minor < 30
    alone = paths(".txt") if older else paths() | paths(".drv")
    via = st.lists(names, max_size=3).map(tuple)
    return st.builds(DerivedPath, paths(".drv"), wanted, via) | st.builds(DerivedPath, alone)


def build_results(context: Context) -> st.SearchStrategy[BuildResult]:
    numbers = st.integers(0, 1 << 40)
    micros = st.none() | numbers if context.minor >= 37 else st.none()
    times = numbers if context.minor >= 29 else st.just(0)
    produced = st.dictionaries(names, paths(), max_size=3 if context.minor >= 28 else 0)
    return st.builds(
        lambda drv_hash, outs, **rest: BuildResult(outputs=outs, drv_hash=drv_hash if outs else "", **rest),
        drv_hash=hashes.map(lambda found: found.base16),
        outs=produced,
        status=st.sampled_from(BuildStatus),
        message=texts,
        times_built=times,
        non_deterministic=times.map(bool),
        start_time=times,
        stop_time=times,
        cpu_user_us=micros,
        cpu_system_us=micros,
    )


def optional(found: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | found


def known(context: Context) -> dict[int, st.SearchStrategy[Any]]:
    """Codecs whose values have a meaning of their own, by identity."""
    realisations = st.builds(Realisation, names.map(lambda name: f"sha256:ab!{name}"), paths())
    return {
        id(model_codecs.PATH): paths(),
        id(model_codecs.ASKED): paths(),
        id(model_codecs.BASE_NAME): paths(),
        id(model_codecs.OPTIONAL_PATH): optional(paths()),
        id(model_codecs.HASH): hashes,
        id(model_codecs.ADDRESS): optional(addresses),
        id(build_codecs.DERIVED): derived(context),
        id(build_codecs.MODE): st.sampled_from(BuildMode),
        id(build_codecs.REALISATION): realisations,
        id(NOTHING): st.none(),
        id(build_status.STATE): st.sampled_from(State),
        id(own_operations.FINDING_KIND): st.sampled_from(FindingKind),
        id(build_codecs.BUILD_RESULT): build_results(context),
    }


def of_codec(codec: Codec[Any], context: Context) -> st.SearchStrategy[Any]:  # noqa: C901, PLR0911, PLR0912 - a case per codec
    if (found := known(context).get(id(codec))) is not None:
        return found
    match codec:
        case wire.Number():
            return st.integers(0, codec.limit)
        case wire.Level():
            return st.sampled_from([0, 1, 3, 4, 1 << 40])
        case wire.Signed():
            return st.integers(-(1 << 63), (1 << 63) - 1)
        case wire.Bool():
            return st.booleans()
        case wire.Text():
            return texts
        case wire.Octets():
            return st.binary(max_size=100)
        case compound.List():
            items = st.lists(of_codec(codec.item, context), max_size=4)
            return items.map(sorted).map(tuple) if codec.ordered else items.map(tuple)
        case compound.Map():
            return st.dictionaries(of_codec(codec.key, context), of_codec(codec.value, context), max_size=3)
        case options.Overrides():
            return st.dictionaries(
                st.sampled_from(sorted(options.MEANINGFUL)), st.text("0123456789truefalsä", max_size=20)
            )
        case compound.Maybe():
            return optional(of_codec(codec.item, context))
        case compound.Pair():
            return st.tuples(of_codec(codec.first, context), of_codec(codec.second, context))
        case wire.Constant():
            return st.none()
        case Record():
            return st.builds(codec.make, **of_fields(codec.fields, context))
        case _:
            raise AssertionError(f"no strategy for {codec}")


def of_fields(fields: tuple[Field, ...], context: Context) -> dict[str, st.SearchStrategy[Any]]:
    return {
        field.name: of_codec(field.codec, context)
        for field in fields
        if keeps(field) and field.since <= context.minor
    }
