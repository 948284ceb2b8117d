"""Derivations that need outputs of derivations that are made: texts, hashes and paths of Nix 2.34.8."""

from __future__ import annotations

import pytest

from fruix.errors import BadDerivationError, FruixError
from fruix.model import aterm
from fruix.model.derivation import Derivation, Dynamic
from fruix.model.derivedpath import DerivedPath
from fruix.model.drvhash import DerivationHasher
from fruix.model.hashes import Hash
from fruix.model.makepath import text_path
from fruix.model.resolving import resolve
from fruix.model.storepath import StorePath

HELLO = StorePath("/frx/store/kc0j68rh92w2af2x6cfq5hkf6j6p1r49-hello.drv")
PRODUCER = StorePath("/frx/store/932g6if4fd6fdag3wckxmw0a8dyz1jdv-hello.drv.drv")
TOP = StorePath("/frx/store/l0ladffam94l7h45z3ijds94m7z31h45-top.drv")
PRODUCER_TEXT = (
    b'Derive([("out","","text:sha256","")],[],["/frx/store/kc0j68rh92w2af2x6cfq5hkf6j6p1r49-hello.drv"],'
    b'"x86_64-linux","/bin/sh",["-c","/bin/cp /frx/store/kc0j68rh92w2af2x6cfq5hkf6j6p1r49-hello.drv $out"],'
    b'[("builder","/bin/sh"),("name","hello.drv"),'
    b'("out","/1rz4g4znpzjwh1xymhjpm42vipw92pr73vdgl6xs1hycac8kf2n9"),("outputHashAlgo","sha256"),'
    b'("outputHashMode","text"),("system","x86_64-linux")])'
)
TEXT = (
    b'DrvWithVersion("xp-dyn-drv",[("out","","","")],'
    b'[("/frx/store/932g6if4fd6fdag3wckxmw0a8dyz1jdv-hello.drv.drv",(["out"],[("out",["out"])]))],[],'
    b'"x86_64-linux","/bin/sh",["-c","/bin/cp /0cgam3099d88y1lc2fwn1krgr588p94vhm7p6hg6dxa2pv9i1aff $out; '
    b'echo /0afmn8vknd7cy9bdg6rxxgihqm4cn0b4gyls68ngcv4qyrr18xik"],'
    b'[("builder","/bin/sh"),("name","top"),("out",""),("system","x86_64-linux")])'
)
NODE = b'(["out"],[("out",["out"])])'


def top() -> Derivation:
    return aterm.parse(TEXT, "top")


def test_the_versioned_form() -> None:
    drv = top()
    assert drv.input_drvs == {PRODUCER: ("out",)}
    assert drv.dynamic == {PRODUCER: {"out": Dynamic(("out",))}}
    assert list(drv.chains) == [(PRODUCER, ("out",)), (PRODUCER, ("out", "out"))]
    assert drv.needed == {PRODUCER: ("out",)}
    assert aterm.render(drv) == TEXT
    assert text_path("top.drv", Hash.of("sha256", TEXT), drv.references) == TOP
    deeper = TEXT.replace(NODE, b'([],[("lib",["a","b"]),("out",(["dev"],[("x",["out"])]))])')
    drv = aterm.parse(deeper, "deeper")
    assert aterm.render(drv) == deeper
    assert drv.needed == {PRODUCER: ("lib", "out")}
    assert [chain for _, chain in drv.chains] == [
        ("lib", "a"),
        ("lib", "b"),
        ("out", "dev"),
        ("out", "x", "out"),
    ]


def test_its_hash_and_what_it_becomes() -> None:
    texts = {PRODUCER: PRODUCER_TEXT, TOP: TEXT}
    hasher = DerivationHasher(lambda path: aterm.parse(texts[path], path.short_name))
    ids = {
        "6bedb48550e303d2a5dfaa2a4989db25bfaf6412920b3fce721a479e2bbd7d3f",
        "5ba1943e9458cb740159cbb14839971bf5b2b017f006843af4871335809e089a",
    }
    assert hasher.identity(top()) in ids
    output = StorePath("/frx/store/7wqvlpbjxfrsf88bdbi2jwb5l5q04d03-hello")
    drv, resolved = resolve(
        top(), {(PRODUCER, ("out",)): HELLO, (PRODUCER, ("out", "out")): output}, "/frx/store"
    )
    assert drv == StorePath("/frx/store/hnq890yqg9xb2yl1mjkbzy8ip9pzj140-top.drv")
    assert resolved.output_paths == {"out": StorePath("/frx/store/akkn95g733vb2g2k38fla746imnlfg9p-top")}
    assert hasher.identity(resolved) in ids - {hasher.identity(top())}


def test_outputs_of_outputs_alone_do_not_count_in_its_hash() -> None:
    text = TEXT.replace(b'(["out"],[("out",', b'([],[("out",').replace(
        b"; echo /0afmn8vknd7cy9bdg6rxxgihqm4cn0b4gyls68ngcv4qyrr18xik", b""
    )
    drv = aterm.parse(text, "top")
    path = text_path("top.drv", Hash.of("sha256", text), drv.references)
    assert path == StorePath("/frx/store/i09vgzybx4wz6ing5yfczx2bl74xn8il-top.drv")
    hasher = DerivationHasher(lambda _: aterm.parse(PRODUCER_TEXT, "hello.drv"))
    assert hasher.identity(drv) in {
        "f6d1488199e034c4754608c1ab595ef5ba7e094a574bc89f565b9cf6fe00490a",
        "81c3d0319667aba3513762e6db00d6e8d6ccc03df0ac175991575d6d9bd576a2",
    }


@pytest.mark.parametrize(
    ("node", "words"),
    [
        (b'(["out"],[("out",["out"]),("dev",["out"])])', "out of order"),
        (b'(["out"],[("out",["b","a"])])', "out of order"),
        (b'(["out"])', "expected string ','"),
        (b'(["out"],[("out")])', "expected string ','"),
        (b'(["out"],[("out",' * 65 + b'["out"]' + b")])" * 65, "more than 64 derivations"),
    ],
)
def test_malformed_ones(node: bytes, words: str) -> None:
    with pytest.raises(BadDerivationError, match=words):
        aterm.parse(TEXT.replace(NODE, node), "top")
    with pytest.raises(BadDerivationError, match="format version 'xp-other'"):
        aterm.parse(TEXT.replace(b"dyn-drv", b"other"), "top")
    with pytest.raises(BadDerivationError, match="expected string '\\['"):
        aterm.parse(TEXT.replace(b'DrvWithVersion("xp-dyn-drv",', b"Derive("), "top")


def test_requests_for_outputs_of_outputs() -> None:
    text = f"{PRODUCER}!out!out,lib"
    found = DerivedPath.parse_nix(text)
    assert found == DerivedPath(PRODUCER, ("lib", "out"), ("out",))
    assert str(found) == f"{PRODUCER}!out!lib,out"
    assert DerivedPath.parse_nix(str(found)) == found
    assert DerivedPath.parse_nix(f"{PRODUCER}!a!b!*").via == ("a", "b")
    for bad in (f"{PRODUCER}!!out", f"{PRODUCER}!out!", f"{PRODUCER}!a/b!out", f"{PRODUCER}{'!out' * 99}"):
        with pytest.raises(FruixError):
            DerivedPath.parse_nix(bad)
