"""What derivations declare, in real builds: what builders find, and what becomes of their outputs."""

from __future__ import annotations

import json
import os

import pytest

from asking import failed
from building import declaring
from building.declaring import GUIX, NIX, both, guix_text
from fruix.building.record.log_reading import read_log
from fruix.building.record.record_file import read_record
from fruix.model.buildresult import BuildStatus
from fruix.model.derivation import DerivationOutput
from fruix.model.events import LogLine
from fruix.model.makepath import placeholder
from fruix.model.storepath import StorePath
from machine import Machine, one_machine

low = declaring.low

pytestmark = pytest.mark.usefixtures("each_back_end")
here, shell = one_machine()


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
    assert "more than the system can give to a program." in result.message
    assert "Hint: name big variables in passAsFile" in result.hint
    drv = here.derivation("filed", 'wc -c < "$bigPath" > $out', shell, env={"big": big, "passAsFile": "big"})
    assert here.build(drv)[0].success
    assert here.output(drv).read_text() == "200000\n"
