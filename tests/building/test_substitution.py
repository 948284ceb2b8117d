"""What is fetched from binary caches, and what is built all the same."""

from __future__ import annotations

import hashlib
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from fruix.model.build_options import BuildOptions
from fruix.model.buildresult import BuildStatus
from fruix.model.contentaddress import path_for
from fruix.model.derivation import DerivationOutput
from fruix.model.derivedpath import ALL, DerivedPath
from fruix.model.events import BuildStarted, SubstitutionFinished
from fruix.model.hashes import Hash
from fruix.model.named_keys import SecretKey
from fruix.model.storepath import StorePath
from machine import Machine
from substitutes.caches import OTHER_KEY, Cache
from substitutes.offered import TRUST, archive_of, build, chain, forget, move, said, started, wishes


def test_what_a_cache_has_is_not_built(here: Machine, shell: StorePath, cache: Cache) -> None:
    first, second = chain(here, shell)
    infos = move(here, cache, first, second)
    plan = here.builder.missing([DerivedPath(second, ALL)], wishes(cache.url))
    assert set(plan.will_substitute) == {info.path for info in infos}
    assert (plan.will_build, plan.unknown) == (frozenset(), frozenset())
    assert plan.nar_size == sum(info.nar_size for info in infos)
    (result,) = build(here, second, options=wishes(cache.url))
    assert result.status is BuildStatus.SUBSTITUTED, result.message
    assert result.outputs == here.store.derivation_outputs(second)
    for info in infos:
        found = here.store.path_info(info.path)
        assert found is not None
        assert (found.nar_hash, found.references, found.deriver, found.ultimate) == (
            info.nar_hash,
            info.references,
            info.deriver,
            False,
        )
        assert TRUST.paths.vouched(found), "its signature is kept"
    kinds = [type(event) for event in here.events]
    assert BuildStarted not in kinds
    assert started(here) == [info.path for info in infos], "what is referred to comes first"
    assert kinds.count(SubstitutionFinished) == 2


def test_what_no_cache_has_is_built_from_what_one_has(here: Machine, shell: StorePath, cache: Cache) -> None:
    first, second = chain(here, shell)
    infos = move(here, cache, first, second)
    cache.narinfo(infos[1]).unlink()
    (result,) = build(here, second, options=wishes(cache.url))
    assert result.status is BuildStatus.BUILT, result.message
    assert started(here) == [infos[0].path]
    assert [event.drv for event in here.events if isinstance(event, BuildStarted)] == [second]


def test_an_offer_with_references_that_nobody_has_is_none(
    here: Machine, shell: StorePath, cache: Cache
) -> None:
    first, second = chain(here, shell)
    infos = move(here, cache, first, second)
    cache.narinfo(infos[0]).unlink()
    (result,) = build(here, second, options=wishes(cache.url))
    assert result.status is BuildStatus.BUILT, result.message
    assert not started(here)


def test_a_derivation_may_want_to_be_built(here: Machine, shell: StorePath, cache: Cache) -> None:
    drv = here.derivation("thing-4", "echo 1 > $out", shell, env={"allowSubstitutes": "0"})
    move(here, cache, drv)
    assert build(here, drv, options=wishes(cache.url))[0].status is BuildStatus.BUILT


def test_caches_are_asked_only_if_they_may_be(here: Machine, shell: StorePath, cache: Cache) -> None:
    drv = here.derivation("thing-5", "echo 1 > $out", shell)
    move(here, cache, drv)
    options = wishes(cache.url)
    options = replace(options, substitutes=replace(options.substitutes, allowed=False))
    assert build(here, drv, options=options)[0].status is BuildStatus.BUILT


@pytest.mark.parametrize(
    ("key", "why"),
    [(None, "it isn't signed"), (OTHER_KEY, "it's not signed by any of the keys in 'trusted-public-keys'")],
)
def test_what_nobody_vouches_for_is_not_taken(
    here: Machine, shell: StorePath, cache: Cache, key: SecretKey | None, why: str
) -> None:
    drv = here.derivation("thing-6", "echo 1 > $out", shell)
    (info,) = move(here, cache, drv)
    cache.add(info, b"whatever", key=key)
    assert build(here, drv, options=wishes(cache.url))[0].status is BuildStatus.BUILT
    assert said(here) == [f"warning: ignoring substitute for '{info.path}' from '{cache.url}', as {why}"]


def test_a_changed_description_is_not_taken(here: Machine, shell: StorePath, cache: Cache) -> None:
    drv = here.derivation("thing-7", "echo 1 > $out", shell)
    (info,) = move(here, cache, drv)
    text = cache.narinfo(info).read_text()
    cache.narinfo(info).write_text(text.replace("NarSize: ", "NarSize: 1"))
    assert build(here, drv, options=wishes(cache.url))[0].status is BuildStatus.BUILT
    assert "not signed by any" in said(here)[0]


def test_what_names_its_contents_needs_nobody(here: Machine, shell: StorePath, cache: Cache) -> None:
    """As fixed outputs do: their derivation says what they hold."""
    data = b"fixed\n"
    outputs = {"out": DerivationOutput(None, "sha256", hashlib.sha256(data).hexdigest())}
    drv = here.derivation("fixed", "echo fixed > $out", shell, outputs=outputs)
    (info,) = move(here, cache, drv)
    cache.add(info, b"".join(archive_of(data)), key=None)
    assert build(here, drv, options=wishes(cache.url))[0].status is BuildStatus.SUBSTITUTED
    forget(here, [info])
    cache.add(replace(info, nar_hash=Hash.of("sha256", b"x")), b"x", key=None)
    (result,) = build(here, drv, options=replace_cache(wishes(cache.url), cache))
    assert not result.success


def test_a_cache_of_another_store_has_what_names_its_contents(
    here: Machine, shell: StorePath, tmp_path: Path
) -> None:
    """Under another path; nothing else of it is taken, be it said of paths of this store."""
    tmp_path.chmod(0o755)
    elsewhere = Cache(tmp_path / "elsewhere", store="/fnord/store")
    data = b"elsewhere\n"
    outputs = {"out": DerivationOutput(None, "sha256", hashlib.sha256(data).hexdigest())}
    drv = here.derivation("at-home", "echo elsewhere > $out", shell, outputs=outputs)
    plain = here.derivation("at-home-too", "echo elsewhere > $out", shell)
    infos = move(here, elsewhere, drv, plain)
    for file in elsewhere.directory.glob("*.narinfo"):
        if "at-home-too" not in file.read_text():
            file.unlink()
    output = next(iter(here.store.read_derivation(drv).outputs.values()))
    assert output.content_address is not None
    there = path_for(output.content_address, "at-home", "/fnord/store")
    info = replace(infos[0], path=there, deriver=None)
    elsewhere.add(info, b"".join(archive_of(data)), key=None)
    options = wishes(f"{elsewhere.url}?store=/fnord/store")
    first, second = build(here, drv, plain, options=options)
    assert first.status is BuildStatus.SUBSTITUTED, first.message
    assert second.status is BuildStatus.BUILT, second.message
    forget(here, infos)
    elsewhere.add(replace(info, nar_hash=Hash.of("sha256", b"x")), b"x", key=None)
    (lied,) = build(here, drv, options=replace_cache(wishes(elsewhere.url), elsewhere))
    assert not lied.success


def replace_cache(options: BuildOptions, cache: Cache) -> BuildOptions:
    """The same cache by another name, of which nothing is remembered."""
    urls = (f"{cache.url}/.",)
    return replace(options, substitutes=replace(options.substitutes, caches=urls))


def test_caches_that_are_none(here: Machine, shell: StorePath, tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    elsewhere = Cache(tmp_path / "elsewhere", store="/nix/store")
    (tmp_path / "empty").mkdir()
    drv = here.derivation("thing-8", "echo 1 > $out", shell)
    urls = [elsewhere.url, f"file://{tmp_path}/empty", f"file://{tmp_path}/none", "ftp://x/y"]
    assert build(here, drv, options=wishes(*urls))[0].status is BuildStatus.BUILT
    text = "\n".join(said(here))
    assert f"binary cache '{elsewhere.url}' is for the store '/nix/store', not '/frx/store'" in text
    assert "it has no nix-cache-info" in text
    assert "there is no such directory" in text
    assert "'ftp://x/y' is no address of a binary cache" in text


def test_paths_by_themselves(here: Machine, shell: StorePath, cache: Cache) -> None:
    first, second = chain(here, shell)
    infos = move(here, cache, first, second)
    request = DerivedPath(infos[1].path, None)
    none = StorePath.of("/frx/store", f"{'z' * 32}-none")
    run = here.builder.realise
    (_, result), (_, absent) = run(
        [request, DerivedPath(none, None)],
        replace(wishes(cache.url), keep_going=True),
        here.events.append,
        threading.Event(),
    )
    assert (result.status, absent.status) == (BuildStatus.SUBSTITUTED, BuildStatus.NO_SUBSTITUTERS)
    assert here.store.valid_paths(info.path for info in infos) == {info.path for info in infos}


def test_a_derivation_that_a_cache_has(here: Machine, shell: StorePath, cache: Cache) -> None:
    """It is fetched, and then what it makes is built, or fetched too."""
    with here.store.temp_roots.session():
        drv = here.derivation("thing-9", "echo 1 > $out", shell)
    info = here.store.path_info(drv)
    assert info is not None
    cache.add(info, b"".join(here.store.nar(drv)))
    forget(here, [info])
    (result,) = build(here, drv, options=wishes(cache.url))
    assert result.status is BuildStatus.BUILT, result.message
    assert here.output(drv).read_text() == "1\n"
