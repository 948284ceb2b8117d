"""Outputs that their contents name, found by what binary caches say of them."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from building.test_content_addressed import FEATURES, FLOATING, add
from building.test_content_addressed import started as begun
from fruix.building.settings import BuildSettings
from fruix.model.buildresult import BuildStatus
from fruix.model.derivedpath import ALL, DerivedPath
from fruix.model.garbage import Keep
from fruix.model.makepath import upstream_placeholder
from fruix.model.named_keys import SecretKey, signature_text
from fruix.model.realisation import Realisation, realisation_id
from fruix.model.storepath import StorePath
from fruix.signing import libcrypto
from machine import Machine, machine
from substitutes.caches import KEY, OTHER_KEY, Cache
from substitutes.offered import build, outputs_of, said, started, wishes


@pytest.fixture(scope="module")
def one() -> Iterator[Machine]:
    with machine(BuildSettings(max_jobs=2, cores=2, experimental_features=FEATURES)) as made:
        yield made


def offer(here: Machine, cache: Cache, *drvs: StorePath, key: SecretKey | None = KEY) -> list[StorePath]:
    """Build, offer outputs and where they are in a cache, and forget both."""
    assert all(result.success for result in build(here, *drvs))
    infos = [info for drv in drvs for info in outputs_of(here, drv)]
    for info in infos:
        cache.add(info, b"".join(here.store.nar(info.path)))
    (cache.directory / "realisations").mkdir(exist_ok=True)
    for drv in drvs:
        identity = here.store.derivation_identity(here.store.read_derivation(drv))
        for name, path in here.store.derivation_outputs(drv).items():
            row = Realisation(realisation_id(identity, name), path)
            if key is not None:
                signature = signature_text(key.name, libcrypto.sign(key.seed, row.fingerprint.encode()))
                row = Realisation(row.id, path, (signature,))
            (cache.directory / "realisations" / f"{row.id}.doi").write_text(row.to_text())
    paths = [info.path for info in infos]
    here.store.delete(
        paths, Keep(), referrers=True, report=lambda _event: None
    )  # what was built in place too
    assert not here.store.valid_paths(paths)
    here.events.clear()
    return paths


def chain(here: Machine, shell: StorePath, name: str) -> tuple[StorePath, StorePath]:
    both = dict.fromkeys(("dev", "out"), FLOATING)
    root = add(here, f"{name}-root", f"echo {name} > $out; ln -s x $dev", shell, both)
    up = upstream_placeholder(root, "out")
    script = f"cat {up} > $out; echo {up} >> $out"
    return root, add(here, f"{name}-top", script, shell, {"out": FLOATING}, root)


def test_what_a_cache_knows_is_not_built(here: Machine, shell: StorePath, cache: Cache) -> None:
    drvs = chain(here, shell, "known")
    paths = offer(here, cache, *drvs)
    plan = here.builder.missing([DerivedPath(drvs[1], ALL)], wishes(cache.url))
    assert not plan.will_build
    assert paths[-1] in plan.will_substitute
    (result,) = build(here, drvs[1], options=wishes(cache.url))
    assert result.status is BuildStatus.SUBSTITUTED, result.message
    assert result.outputs == {"out": paths[-1]} == here.store.derivation_outputs(drvs[1])
    assert begun(here) == []
    identity = here.store.derivation_identity(here.store.read_derivation(drvs[1]))
    row = here.store.database.realisation(realisation_id(identity, "out"))
    assert row is not None
    assert [one.partition(":")[0] for one in row.signatures] == [KEY.name]


def test_what_only_needs_it_is_built(here: Machine, shell: StorePath, cache: Cache) -> None:
    root, top = chain(here, shell, "needed")
    paths = offer(here, cache, root, top)
    identity = here.store.derivation_identity(here.store.read_derivation(top))
    (cache.directory / "realisations" / f"{realisation_id(identity, 'out')}.doi").unlink()
    (result,) = build(here, top, options=wishes(cache.url))
    assert result.status is BuildStatus.BUILT, result.message
    assert set(started(here)) <= set(paths)
    assert started(here)
    assert begun(here) == ["needed-top"]


@pytest.mark.parametrize(
    ("key", "word"), [(None, "no trusted key"), (OTHER_KEY, "no trusted key"), (KEY, "it is about")]
)
def test_whose_word_is_not_taken(
    here: Machine, shell: StorePath, cache: Cache, key: SecretKey | None, word: str
) -> None:
    name = f"unsigned{key.name if key else ''}"
    drv = add(here, name, f"echo {name} > $out", shell, {"out": FLOATING})
    offer(here, cache, drv, key=key)
    if key is KEY:  # another output's word
        (file,) = (cache.directory / "realisations").iterdir()
        file.write_text(file.read_text().replace("!out", "!dev"))
    (result,) = build(here, drv, options=wishes(cache.url))
    assert result.status is BuildStatus.BUILT, result.message
    assert any(word in text for text in said(here))


def test_a_cache_is_asked_for_what_a_derivation_becomes(
    here: Machine, shell: StorePath, cache: Cache
) -> None:
    """Only another derivation's output is in the cache, which becomes the same; one output is wanted."""
    roots = [add(here, "alike-root", f": {n}; echo alike > $out", shell, {"out": FLOATING}) for n in (1, 2)]
    both = dict.fromkeys(("first", "second"), FLOATING)
    tops = []
    for root in roots:
        up = upstream_placeholder(root, "out")
        tops.append(add(here, "alike-top", f"cat {up} > $first; echo 2 > $second", shell, both, root))
    assert build(here, tops[0])[0].success
    known = here.store.all_valid_paths()
    (resolved,) = (path for path in known if path.name == "alike-top.drv" and path not in tops)
    first = here.store.derivation_outputs(tops[0])["first"]
    offer(here, cache, *roots, tops[0], resolved)
    ((_, result),) = here.builder.realise(
        [DerivedPath(tops[1], ("first",))], wishes(cache.url), here.events.append, threading.Event()
    )
    assert result.success, result.message
    assert begun(here) == []
    assert here.store.derivation_outputs(tops[1])["first"] == first
    assert here.store.is_valid(first)
    assert "second" not in here.store.derivation_outputs(tops[1])


def test_a_note_is_told_once(here: Machine, shell: StorePath, cache: Cache) -> None:
    drvs = chain(here, shell, "told-once")
    offer(here, cache, *drvs, key=None)
    (result,) = build(here, drvs[1], options=wishes(cache.url))
    assert result.status is BuildStatus.BUILT, result.message
    notes = said(here)
    assert notes
    assert len(notes) == len(set(notes))
