"""A build gives the same bits whatever runs beside it.

What it sees of itself does not depend on the build user that it got.
"""

from __future__ import annotations

import threading
from pathlib import Path

from fruix.model.activity import State
from fruix.model.build_options import BuildOptions
from fruix.model.buildresult import BuildMode
from fruix.model.derivedpath import ALL, DerivedPath
from machine import SEVERAL_IDS, machine
from waiting import until

# Everything that writes ids down: `id`, listings (with set times), archives. Of `/` without the
# numbers of links: Linux counts the processes of the whole machine as links of /proc.
LOOK = """
: > mine; touch -d @1 mine; mkdir -p $out
{ id; id -un; touch -d @1 $out; ls -ln /build /tmp /frx/store; stat -c '%u:%g %A %n' /*
  stat -c '%u:%g %U:%G %n' mine /build $out; } > $out/seen
tar cf $out/archive mine
cat /etc/passwd /etc/group > $out/names
"""


@SEVERAL_IDS
def test_the_same_bits_in_every_slot(tmp_path: Path) -> None:
    with machine() as here:
        shell = here.shell(tmp_path)
        blocker = here.derivation("blocker", "echo up; sleep 1000", shell)
        probe = here.derivation("probe", f"shell={shell}\n{LOOK}", shell)
        gone = threading.Event()
        request = [DerivedPath(blocker, ALL)]
        beside = threading.Thread(
            target=lambda: here.builder.realise(request, BuildOptions("fruix"), lambda _event: None, gone)
        )
        beside.start()
        until(lambda: any(row.state is State.RUNNING for row in here.builder.active()), "the build beside")
        (result,) = here.build(probe)
        assert result.success, result.message
        gone.set()
        beside.join()
        until(lambda: not here.builder.active(), "the end of the build beside")
        assert "uid=35001(frxbld) gid=35001(frxbld)" in (here.output(probe) / "seen").read_text()
        (result,) = here.build(probe, options=BuildOptions("fruix", mode=BuildMode.CHECK))
        assert result.success, result.message
