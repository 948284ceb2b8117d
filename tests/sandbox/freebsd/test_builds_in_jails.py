"""Whole builds in jails of the double: what is the platform's own affair.

What all platforms share is tested on both elsewhere.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from freebsd_double.kernel_state import Machine as FreeBSD
from fruix.building.record.record_file import read_record
from fruix.model.storepath import StorePath
from machine import Machine, jails, machine


def isolation(here: Machine, drv: StorePath) -> dict[str, Any]:
    record = read_record(here.store.layout.log_file(drv))
    assert record is not None
    found = record["isolation"]
    assert isinstance(found, dict)
    return found


@pytest.mark.parametrize("vimage", [True, False])
def test_a_loopback_of_its_own_or_no_addresses(tmp_path: Path, vimage: bool) -> None:
    """And the record says which."""
    with jails(FreeBSD(vimage=vimage)), machine() as here:
        listen = "(echo hello | nc -l -p 4711 2>/dev/null) & sleep 0.2"
        script = (
            f"{listen}; nc -w 1 127.0.0.1 4711 > $out 2>/dev/null < /dev/null || echo nobody > $out; cat $out"
        )
        drv = here.derivation("talks", script, here.shell(tmp_path))
        (result,) = here.build(drv)
        assert result.success, result.message
        assert here.output(drv).read_text() == ("hello\n" if vimage else "nobody\n")
        found = isolation(here, drv)
        assert (found["kind"], found["vnet"]) == ("freebsd-jail", vimage)
        assert found["moved"] == ["/tmp", "/build"]
        assert found["name"].startswith("frx-")
        assert (found["hostname"], found["uid"], found["insideUid"]) == ("localhost", 35001, 35001)


def test_two_builds_at_once_can_not_meet(tmp_path: Path) -> None:
    """No port, no file and no input of one is the other's; each waits until both have had their chance."""
    with jails(), machine() as here:
        shell = here.shell(tmp_path)
        script = """
        (while :; do echo "$name" | nc -l -p 4712; done) 2>/dev/null &
        echo "$name" > /tmp/met; echo "$name" > /build/met; echo "$name" > $NIX_STORE/met
        sleep 2
        {
            nc -w 1 127.0.0.1 4712 < /dev/null
            cat /tmp/met /build/met $NIX_STORE/met
            ls $NIX_STORE | grep -c other
        } > $out 2>&1
        true
        """
        drvs = [
            here.derivation(name, script, shell, env={"name": name}) for name in ("one-other", "two-other")
        ]
        results = here.build(*drvs)
        assert [result.success for result in results] == [True, True]
        for drv, name in zip(drvs, ("one-other", "two-other"), strict=True):
            assert here.output(drv).read_text() == f"{name}\n" * 4 + "1\n"


def test_a_single_file_is_copied_and_can_not_be_replaced(tmp_path: Path) -> None:
    with jails(), machine() as here:
        shell = here.shell(tmp_path)
        source = here.store.add_text("source", b"as it was")
        script = f"""
        for way in 'echo x > {source}' 'rm -f {source}' 'mv {source} /tmp/x' 'chmod 777 {source}' \\
            'ln -sf /etc/passwd {source}'; do
            if (eval "$way") 2>/dev/null; then echo "$way worked"; exit 1; fi
        done
        ls -l {source} | cut -d ' ' -f 1 > $out; cat {source} >> $out
        """
        drv = here.derivation("vandal", script, shell, sources=[source])
        (result,) = here.build(drv)
        assert result.success, result.message
        assert here.output(drv).read_text() == "-r--r--r--\nas it was"
        assert Path(here.store.real(source)).stat().st_nlink == 1


def test_an_output_that_links_to_an_input_is_refused(tmp_path: Path) -> None:
    with jails(), machine() as here:
        source = here.store.add_text("source", b"x")
        drv = here.derivation(
            "links", f"mkdir $out; ln {source} $out/x", here.shell(tmp_path), sources=[source]
        )
        (result,) = here.build(drv)
        assert not result.success
        # Linux may forbid the link itself (fs.protected_hardlinks), FreeBSD by default doesn't.
        assert any(text in result.message for text in ("invalid ownership", "Operation not permitted"))
