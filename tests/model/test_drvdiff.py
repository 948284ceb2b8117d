"""What two derivations differ in is told down to the input and the line.

Nothing is told that only follows from something else.
"""

from __future__ import annotations

import json

from fruix.model.derivation import DerivationOutput
from fruix.model.drvdiff import compare_closures
from fruix.model.hostview import HostView
from fruix.model.storepath import StorePath
from model.drvdiff_world import World, compared, told

SCRIPT = """set -eu

phase_unpack() {{
:
tar -xf "$source"
}}

phase_configure() {{
:
sh ./configure "--prefix=$out"{flags}
}}

phase_build() {{
:
make{make}
}}
"""


def test_a_change_far_below_is_told_where_it_is() -> None:
    """The change of a script reaches everything above it.

    Only the script is told, and the way to it, once.
    """
    world = World()
    tops = []
    for flags in ("", ' "--disable-nls"'):
        script = world.file("gnu-builder.sh", SCRIPT.format(flags=flags, make=""))
        low = world.drv("low-1", sources=[script], version="1")
        left, right = world.drv("left-1", [low]), world.drv("right-1", [low], OUT="x")
        tops.append(world.drv("top-1", [left, right], other="same"))
    assert told(compared(world, tops)) == (
        """\
top-1.drv -> top-1.drv
  the input left-1.drv differs
  the input right-1.drv differs
left-1.drv -> left-1.drv
  the input low-1.drv differs
low-1.drv -> low-1.drv
  the file gnu-builder.sh differs
    @@ line 8 (phase_configure)
     phase_configure() {
     :
    -sh ./configure "--prefix=$out"
    +sh ./configure "--prefix=$out" "--disable-nls"
     }
     
right-1.drv -> right-1.drv
  the input low-1.drv differs
"""  # noqa: W293
    )


def test_everything_that_can_differ() -> None:
    world = World()
    zlib, zlib2, png, curl = (world.drv(name) for name in ("zlib-1.3", "zlib-1.4", "png-1", "curl-8"))
    patch = world.file("a.patch", "one\n")
    old = world.drv(
        "tool-1.0", [zlib, png], [patch], args=["-e", "x"], version="1.0", flags="-O2 -g", gone="yes",
        text="a\nb\nc\n", url="http://a/b c",
    )  # fmt: skip
    new = world.drv(
        "tool-2.0", [zlib2, curl], [world.file("a.patch", "two\n"), world.file("b.patch", "")],
        args=["-e", "y"], version="2.0", flags="-O3 -g", added="yes", text="a\nB\nc\n", url="http://a/b d",
        outputs={"out": DerivationOutput(None), "lib": DerivationOutput(None)},
    )  # fmt: skip
    first, second = compare_closures(old, new, world)
    assert told([first]) == (
        """\
tool-1.0.drv -> tool-2.0.drv
  the name differs
    -tool-1.0
    +tool-2.0
  the arguments differ
    -x
    +y
  the names of outputs differ
    +lib
  no longer an input: png-1
  a new input: curl-8
  a new source: b.patch
  the file a.patch differs
    @@ line 1
    -one
    +two
  the variable added is new
    +yes
  the variable flags differs
    --O2
    +-O3
  the variable gone is gone
    -yes
  the variable lib is new
    +LIB
  the variable text differs
    @@ line 1
     a
    -b
    +B
     c
  the variable url differs
    -http://a/b c
    +http://a/b d
  the variable version differs
    -1.0
    +2.0
  the input zlib-1.4.drv differs
""".replace("LIB", str(world.derivations[new].output_paths["lib"]))
    )
    assert (
        told([second]) == "zlib-1.3.drv -> zlib-1.4.drv\n  the name differs\n    -zlib-1.3\n    +zlib-1.4\n"
    )
    assert first.reasons[-1] == "the input zlib-1.4 differs"


def test_an_input_more_is_told_once() -> None:
    """Variables that are made of inputs' paths follow from it, also those that were not there before."""
    world = World()
    low = world.drv("low-1")
    [found] = compare_closures(world.drv("top-1"), world.drv("top-1", [low]), world)
    assert told([found]) == "top-1.drv -> top-1.drv\n  a new input: low-1\n"
    [found] = compare_closures(world.drv("top-1", [low]), world.drv("top-1"), world)
    assert told([found]) == "top-1.drv -> top-1.drv\n  no longer an input: low-1\n"


def test_sources_with_another_hash() -> None:
    world = World()
    tops = []
    for digit, url in (("0", "http://a/x.tar"), ("1", "http://b/x.tar")):
        output = {"out": DerivationOutput(None, "sha256", digit * 64)}
        source = world.drv("x.tar", outputs=output, url=url)
        tops.append(
            world.drv("top-1", source=str(world.derivations[source].output_paths["out"]), inputs=[source])
        )
    assert told(compared(world, tops)) == (
        "top-1.drv -> top-1.drv\n  the input x.tar.drv differs\n"
        "x.tar.drv -> x.tar.drv\n  the declared hash of output 'out' differs\n"
        f"    -sha256:{'0' * 64}\n    +sha256:{'1' * 64}\n"
        "  the variable url differs\n    -http://a/x.tar\n    +http://b/x.tar\n"
    )


def test_files_that_are_no_texts_and_line_ends() -> None:
    world = World()
    files = [world.file("data", text) for text in ("a", "a\n", "b")]
    del world.texts[files[2]]
    one, two, three = (world.drv("top-1", sources=[path], args=["-"]) for path in files)
    assert told(list(compare_closures(one, two, world))).endswith(
        "the file data differs\n    @@ line 1\n    -a\n    +a\n"
    )
    [found] = compare_closures(one, three, world)
    assert found.changes[0].what == "the source data differs"
    assert found.changes[0].lines == (f"-{files[0]}", f"+{files[2]}")


def test_structured_attributes_are_compared_by_line() -> None:
    world = World()
    texts = [json.dumps({"name": "x", "flags": ["-a", flag]}) for flag in "bc"]
    [found] = compared(world, [world.drv("top-1", __json=text) for text in texts])
    assert found.changes[0].lines[-5:] == ('   "-a",', '-  "b"', '+  "c"', "  ],", '  "name": "x"')


def view_drv(world: World, fingerprint: str, name: str = "base") -> StorePath:
    return world.drv("top-1", fruixHostView=name, fruixHostViewHash=fingerprint)


def test_the_host_view_in_words() -> None:
    world = World()
    shown = {"/lib/libc.so.6": "1", "/usr/bin/gcc-12": "1", "/usr/bin/sed": "1"}
    changes: tuple[tuple[dict[str, str], str], ...] = (
        ({**shown, "/usr/bin/gcc-12": "2"}, "the host's gcc-12 changed 1 → 2"),
        (
            {**shown, "/usr/bin/gcc-12": "2", "/lib/libc.so.6": "2"},
            "the host's gcc-12, libc.so.6 changed 1 → 2",
        ),
        (
            dict.fromkeys((*shown, "/usr/bin/zz"), "2"),
            "the host's gcc-12, sed, libc.so.6 changed 1 → 2; zz is new",
        ),
        ({"/lib/libc.so.6": "1", "/usr/bin/cc": "1"}, "the host's cc is new; gcc-12, sed are gone"),
        ({**shown, **{f"/usr/bin/t{n}": "" for n in range(5)}}, "the host's t0, t1, t2 and 2 more are new"),
    )
    world.views["f0"] = HostView("base", "f0", shown)
    for number, (tools, words) in enumerate(changes, 1):
        world.views[f"f{number}"] = HostView("base", f"f{number}", tools)
        [found] = compare_closures(view_drv(world, "f0"), view_drv(world, f"f{number}"), world)
        assert [change.what for change in found.changes] == [words]
    [found] = compare_closures(view_drv(world, "f0"), view_drv(world, "f4"), world)
    assert found.changes[0].lines == ("-/usr/bin/gcc-12", "-/usr/bin/sed", "+/usr/bin/cc")


def test_host_views_that_nobody_knows() -> None:
    world = World()
    [found] = compare_closures(view_drv(world, "f0"), view_drv(world, "f1"), world)
    assert [change.what for change in found.changes] == [
        "the host view 'base' differs, and what it held is not known here"
    ]
    [found] = compare_closures(view_drv(world, "f0"), view_drv(world, "f1", "other"), world)
    assert [change.what for change in found.changes] == [
        "the variable fruixHostView differs",
        "the variable fruixHostViewHash differs",
    ]


def test_deep_and_wide_graphs_take_linear_time() -> None:
    """Each pair once: fifty layers of three that all need the three below would be 3**50 ways."""
    world = World()
    tops = []
    for flag in "ab":
        layer = [world.drv(f"l{n}-0", flag=flag) for n in range(3)]
        for depth in range(1, 50):
            layer = [world.drv(f"l{n}-{depth}", layer) for n in range(3)]
        tops.append(world.drv("top-1", layer))
    found = compared(world, tops)
    assert len(found) == 151
    assert [pair.new.name for pair in found if pair.changes] == ["l0-0.drv", "l1-0.drv", "l2-0.drv"]


def test_the_same_derivation_differs_in_nothing() -> None:
    world = World()
    path = world.drv("top-1")
    assert list(compare_closures(path, path, world)) == []
