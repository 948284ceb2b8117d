"""What derivations declare, in real builds: what builders find, and what becomes of their outputs."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from asking import failed
from fruix.building.record.log import read_log
from fruix.building.record.record_file import read_record
from fruix.model.build_options import BuildOptions
from fruix.model.buildresult import BuildStatus
from fruix.model.derivation import DerivationOutput
from fruix.model.events import BuildFailed, LogLine
from fruix.model.makepath import placeholder
from fruix.model.reasons import text_of
from fruix.model.storepath import StorePath
from machine import Machine, one_machine

pytestmark = pytest.mark.usefixtures("each_back_end")

NIX, GUIX = BuildOptions("nix"), BuildOptions("guix")
here, shell = one_machine()


@pytest.fixture(scope="module")
def low(here: Machine, shell: StorePath) -> tuple[StorePath, StorePath]:
    """A derivation and its output, which refers to a text."""
    text = here.store.add_text("dep.txt", b"hello")
    drv = here.derivation("low", f"echo {text} > $out", shell, sources=[text])
    assert here.build(drv)[0].success
    return drv, here.store.derivation_outputs(drv)["out"]


def both(*names: str) -> dict[str, DerivationOutput]:
    return dict.fromkeys(names, DerivationOutput(None))


def guix_text(here: Machine, drv: StorePath) -> str:
    """What a client of the Guix world reads when the build fails."""
    failed(here, drv, GUIX)
    event = here.events[-1]
    assert isinstance(event, BuildFailed)
    return text_of(event.reason, drv, guix=True)


# What a builder finds


def test_structured_attributes(here: Machine, shell: StorePath, low: tuple[StorePath, StorePath]) -> None:
    attributes = {
        "text": "it's",
        "list": [1, "two"],
        "self": placeholder("out"),
        "exportReferencesGraph": {"closure": [str(low[1])]},
    }
    out, dev = placeholder("out"), placeholder("dev")
    script = f"""mkdir {out}; cp $NIX_ATTRS_JSON_FILE {out}/json; cp "$NIX_ATTRS_SH_FILE" {out}/sh
env > {out}/env
ls -la . > {out}/list; echo x > {dev}"""
    drv = here.derivation(
        "structured",
        script,
        shell,
        inputs=[low[0]],
        env={"__json": json.dumps(attributes), "other": "x"},
        outputs=both("out", "dev"),
    )
    (result,) = here.build(drv, options=NIX)
    assert result.success, result.message
    output = here.output(drv)
    seen = json.loads((output / "json").read_text())
    outputs = {name: str(path) for name, path in here.store.derivation_outputs(drv).items()}
    assert seen["self"] == outputs["out"]
    assert seen["outputs"] == outputs
    assert [entry["path"] for entry in seen["closure"]] == [
        str(path) for path in sorted(here.store.closure([low[1]]))
    ]
    total = sum(entry["narSize"] for entry in seen["closure"])
    assert next(entry for entry in seen["closure"] if entry["path"] == str(low[1]))["closureSize"] == total
    assert f"declare self='{outputs['out']}'\n" in (output / "sh").read_text()
    variables = dict(line.split("=", 1) for line in (output / "env").read_text().splitlines())
    assert variables["NIX_ATTRS_JSON_FILE"] == "/build/.attrs.json"
    assert not {"__json", "other", "out", "dev", "text"} & set(variables)
    assert "-rw-r--r--" in (output / "list").read_text()


def test_a_guix_builder_gets_them_as_a_variable(here: Machine, shell: StorePath) -> None:
    drv = here.derivation(
        "plain-json", 'echo "$__json" > $out; test ! -e .attrs.json', shell, env={"__json": '{"a":1}'}
    )
    assert here.build(drv, options=GUIX)[0].success
    assert here.output(drv).read_text() == '{"a":1}\n'


def test_values_in_files(here: Machine, shell: StorePath) -> None:
    env = {
        "passAsFile": "big a/b nothing",
        "big": f"to {placeholder('out')}",
        "a/b": "../x",
        "small": placeholder("out"),
    }
    script = (
        'mkdir $out; cp "$bigPath" $out/big; echo "$bigPath ${big-none} $small" > $out/names;'
        " ls -A > $out/list"
    )
    drv = here.derivation("files", script, shell, env=env)
    (result,) = here.build(drv, options=NIX)
    assert result.success, result.message
    out = here.store.derivation_outputs(drv)["out"]
    name = "/build/.attr-1lak0mvllw8rv9i9ygkglvhqsq19qi9ynl4bi7gbf69ab5nzw89a"
    assert (here.output(drv) / "big").read_text() == f"to {out}"
    assert (here.output(drv) / "names").read_text() == f"{name} none {out}\n"
    assert sorted((here.output(drv) / "list").read_text().split()) == [
        ".attr-04gaiz33s5c1cxiab430a5rfc5d0h3r5qrzah3m9sjzn6g0dsk61",
        os.path.basename(name),
    ]


def test_guix_has_no_files_nor_placeholders(here: Machine, shell: StorePath) -> None:
    env = {"passAsFile": "big", "big": placeholder("out")}
    drv = here.derivation("no-files", 'echo "$big ${bigPath-none}" > $out', shell, env=env)
    assert here.build(drv, options=GUIX)[0].success
    assert here.output(drv).read_text() == f"{placeholder('out')} none\n"


def test_exported_graphs(here: Machine, shell: StorePath, low: tuple[StorePath, StorePath]) -> None:
    env = {"exportReferencesGraph": f"graph {low[1]}/below drvs {low[0]}"}
    drv = here.derivation(
        "graphs", "mkdir $out; cp graph drvs $out", shell, inputs=[low[0]], sources=[low[0]], env=env
    )
    (result,) = here.build(drv, options=NIX)
    assert result.success, result.message
    (text,) = here.store.references(low[1])
    assert (here.output(drv) / "graph").read_text().splitlines() == [
        line
        for path, refs in sorted([(low[1], [text]), (text, [])])
        for line in (str(path), "", str(len(refs)), *map(str, refs))
    ]
    listed = set((here.output(drv) / "drvs").read_text().splitlines())
    assert {str(low[0]), str(low[1]), str(text), str(shell)} <= listed


@pytest.mark.parametrize(
    ("value", "nix", "guix"),
    [
        ("graph", "odd number of tokens in 'exportReferencesGraph': 'graph'", "odd number of tokens"),
        ("../graph {low}", "invalid file name '../graph'", "invalid file name `../graph'"),
        (". {low}", "invalid file name '.'", "invalid file name `.'"),
        (
            "graph /etc/passwd",
            "path '/etc/passwd' is not in the store",
            "contains a non-store path `/etc/passwd'",
        ),
        (
            "graph {store}/00000000000000000000000000000000-x",
            "it is not in the input closure of the derivation",
            "contains an invalid path",
        ),
    ],
)
def test_graphs_that_cannot_be(
    here: Machine, shell: StorePath, low: tuple[StorePath, StorePath], value: str, nix: str, guix: str
) -> None:
    env = {"exportReferencesGraph": value.format(low=low[1], store=here.store.directory)}
    drv = here.derivation("bad-graph", "exit 1", shell, inputs=[low[0]], env=env)
    result = failed(here, drv)
    assert result.status == BuildStatus.INPUT_REJECTED
    assert nix in result.message
    assert guix in guix_text(here, drv)


def test_guix_lists_paths_that_are_no_inputs(
    here: Machine, shell: StorePath, low: tuple[StorePath, StorePath]
) -> None:
    env = {"exportReferencesGraph": f"graph {low[1]}"}
    drv = here.derivation("foreign", f"cp graph $out; test ! -e {low[1]}", shell, env=env)
    assert here.build(drv, options=GUIX)[0].success
    assert here.output(drv).read_text().startswith("/frx/store/")


def test_variables_of_the_daemon(here: Machine, shell: StorePath, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://proxy")
    monkeypatch.setenv("SECRET", "leaked")
    env = {"impureEnvVars": "http_proxy UNSET", "http_proxy": "own", "PATH": "/x"}
    script = (
        'test "$http_proxy" = "{0}" && test "${{UNSET-none}}" = "{1}" && test -z "$SECRET" && printf x > $out'
    )
    fixed = {
        "out": DerivationOutput(
            None, "sha256", "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881"
        )
    }
    for options in (NIX, GUIX):
        drv = here.derivation(
            f"leaky-{options.contract}", script.format("http://proxy", ""), shell, env=env, outputs=fixed
        )
        (result,) = here.build(drv, options=options)
        assert result.success, result.message
        sealed = here.derivation(f"sealed-{options.contract}", script.format("own", "none"), shell, env=env)
        assert here.build(sealed, options=options)[0].success


PASSWORD = "correct-horse"


def test_passwords_of_proxies_get_into_no_log(
    here: Machine, shell: StorePath, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The builder has them; log, record and message, which everybody can read, have not."""
    proxy = f"http://me:{PASSWORD}@proxy.example:3128"
    monkeypatch.setenv("https_proxy", proxy)
    env = {"impureEnvVars": "https_proxy HOME"}
    script = f'echo "using $https_proxy"; test "$https_proxy" = {proxy} && exit 7'
    fixed = {"out": DerivationOutput(None, "sha256", "0" * 64)}
    drv = here.derivation("tells", script, shell, env=env, outputs=fixed)
    here.events.clear()
    result = failed(here, drv)
    assert "exit code 7" in result.message
    assert "> using http://***@proxy.example:3128" in result.message
    path = here.store.layout.log_file(drv)
    record = read_record(path)
    log = b"".join(read_log(path)).decode()
    lines = [event.line for event in here.events if isinstance(event, LogLine)]
    for text in (result.message, log, json.dumps(record), *lines):
        assert PASSWORD not in text
    assert log == "using http://***@proxy.example:3128\n"


def test_variables_that_cannot_be(here: Machine, shell: StorePath) -> None:
    for name in ("A=B", ""):
        result = failed(here, here.derivation("named", "exit 1", shell, env={name: "x"}))
        assert result.status == BuildStatus.INPUT_REJECTED
        assert "can't be the name of a variable" in result.message
    fixed = {"out": DerivationOutput(None, "sha256", "0" * 64)}
    leaky = here.derivation("named", "exit 1", shell, env={"impureEnvVars": "A=B"}, outputs=fixed)
    assert "can't be the name of a variable" in failed(here, leaky).message
    big = "x" * 200_000
    result = failed(here, here.derivation("big", "exit 1", shell, env={"big": big}))
    assert (
        "more than the system can give to a program. Hint: name big variables in passAsFile" in result.message
    )
    drv = here.derivation("filed", 'wc -c < "$bigPath" > $out', shell, env={"big": big, "passAsFile": "big"})
    assert here.build(drv)[0].success
    assert here.output(drv).read_text() == "200000\n"


# Rules about outputs


def test_allowed_references(here: Machine, shell: StorePath, low: tuple[StorePath, StorePath]) -> None:
    drv = here.derivation(
        "strict",
        f"mkdir -p $out/etc; echo {low[1]} > $out/etc/conf; echo $out >> $out/etc/conf",
        shell,
        inputs=[low[0]],
        env={"allowedReferences": "out"},
    )
    out = here.store.derivation_outputs(drv)["out"]
    result = failed(here, drv)
    assert result.status == BuildStatus.OUTPUT_REJECTED
    assert (
        f"output '{out}' is not allowed to refer to the following paths:\n  {low[1]}\n"
        "    mentioned in etc/conf" in result.message
    )
    assert guix_text(here, drv) == (
        f"output (`{out}') is not allowed to refer to path `{low[1]}'\n    mentioned in etc/conf"
    )
    fine = here.derivation(
        "strict", f"echo {low[1]} > $out", shell, inputs=[low[0]], env={"allowedReferences": str(low[1])}
    )
    assert here.build(fine, options=NIX)[0].success


def test_disallowed_requisites_show_the_chain(
    here: Machine, shell: StorePath, low: tuple[StorePath, StorePath]
) -> None:
    (text,) = here.store.references(low[1])
    drv = here.derivation(
        "chain",
        f"mkdir $out; ln -s {low[1]} $out/link",
        shell,
        inputs=[low[0]],
        env={"disallowedRequisites": str(text)},
    )
    assert f"\n  {text}\n    mentioned in link\n    by way of {low[1]}" in failed(here, drv).message


def test_requisites_and_the_output_itself(
    here: Machine, shell: StorePath, low: tuple[StorePath, StorePath]
) -> None:
    (text,) = here.store.references(low[1])
    allowed = [str(low[1]), str(text)]
    out = placeholder("out")
    plain = here.derivation(
        "self",
        f"echo {out} {low[1]} > {out}",
        shell,
        inputs=[low[0]],
        env={"allowedRequisites": " ".join(allowed)},
    )
    assert here.build(plain, options=NIX)[0].success
    for checks, good in (({}, False), ({"ignoreSelfRefs": True}, True)):
        values = {"outputChecks": {"out": {"allowedRequisites": allowed, **checks}}}
        drv = here.derivation(
            "self-structured",
            f"echo {out} {low[1]} > {out}",
            shell,
            inputs=[low[0]],
            env={"__json": json.dumps(values)},
        )
        assert here.build(drv, options=NIX)[0].success is good


@pytest.mark.parametrize(
    ("checks", "why"),
    [
        ({"maxSize": 10}, "is too large at 160 bytes; limit is 10 bytes"),
        ({"maxClosureSize": 200}, "is too large at 448 bytes; limit is 200 bytes"),
        ({"disallowedReferences": ["out"]}, "is not allowed to refer to the following paths"),
    ],
)
def test_output_checks(
    here: Machine, shell: StorePath, low: tuple[StorePath, StorePath], checks: dict[str, object], why: str
) -> None:
    out = placeholder("out")
    env = {"__json": json.dumps({"outputChecks": {"out": checks}})}
    script = f"echo {low[1]} > {out}" if "disallowedReferences" not in checks else f"echo {out} > {out}"
    drv = here.derivation("checked", script, shell, inputs=[low[0]], env=env)
    result = failed(here, drv)
    assert result.status == BuildStatus.OUTPUT_REJECTED
    assert why in result.message


def test_rules_with_unknown_words(here: Machine, shell: StorePath) -> None:
    drv = here.derivation("word", "exit 1", shell, env={"allowedReferences": "nope"})
    assert "contains output name 'nope', but this is not a valid output" in failed(here, drv).message
    assert "invalid reference specifier `nope'" in guix_text(here, drv)


def test_references_that_are_discarded(
    here: Machine, shell: StorePath, low: tuple[StorePath, StorePath]
) -> None:
    out, dev = placeholder("out"), placeholder("dev")
    env = {"__json": json.dumps({"unsafeDiscardReferences": {"out": True}})}
    script = f"echo {low[1]} {out} > {out}; echo {low[1]} > {dev}"
    drv = here.derivation("discard", script, shell, inputs=[low[0]], env=env, outputs=both("out", "dev"))
    assert here.build(drv, options=NIX)[0].success
    outputs = here.store.derivation_outputs(drv)
    assert here.store.references(outputs["out"]) == []
    assert here.store.references(outputs["dev"]) == [low[1]]


# Several outputs


def test_cycles(here: Machine, shell: StorePath) -> None:
    script = "mkdir $out; echo $dev > $out/ref; echo $out > $dev"
    drv = here.derivation("cycle", script, shell, outputs=both("out", "dev"))
    paths = here.store.derivation_outputs(drv)
    result = failed(here, drv)
    assert result.status == BuildStatus.OUTPUT_REJECTED
    assert "in the references of output 'dev' from output 'out'\n  mentioned in ref" in result.message
    assert f"cycle detected in the references of `{min(paths.values())}'" in guix_text(here, drv)


def test_only_some_outputs_are_valid(here: Machine, shell: StorePath, tmp_path: Path) -> None:
    """The missing one is built; what is valid stays, even if this build made something else of it."""
    script = "echo out $(date +%N) > $out; echo $out > $dev; echo $dev $out > $doc"
    drv = here.derivation("partial", script, shell, outputs=both("out", "dev", "doc"))
    assert here.build(drv)[0].success
    outputs = here.store.derivation_outputs(drv)
    before = here.output(drv).read_text()
    here.store.database.remove([outputs["doc"]])
    here.store.delete_unregistered(outputs["doc"])
    (result,) = here.build(drv)
    assert result.status == BuildStatus.BUILT, result.message
    assert here.output(drv).read_text() == before
    assert set(result.outputs) == {"out", "dev", "doc"}
    assert here.store.references(outputs["doc"]) == sorted([outputs["dev"], outputs["out"]])
    assert here.output(drv, "doc").read_text() == f"{outputs['dev']} {outputs['out']}\n"
