"""The mode without root, as an ordinary user lives it.

Root becomes one (`ordinary_user`), with subordinate ids and without.

The tests of the sandbox, of builds and of networks are those that root passes, run again; the
command line is tried from nothing.
"""

from __future__ import annotations

import pytest

import ordinary_user
from fruix.sandbox.linux import userns
from fruix.sandbox.linux.cgroup import CgroupParent

pytestmark = pytest.mark.skipif(userns.confined(), reason="machine: this is an ordinary user already")
KINDS = pytest.mark.parametrize("subordinate_ids", [False, True], ids=["one-id", "subordinate-ids"])

SAME = [
    "tests/sandbox/test_what_is_seen.py",
    "tests/sandbox/test_escapes.py",
    "tests/sandbox/test_attacks_in_roots.py",
    "tests/sandbox/test_old_sockets.py",
    "tests/sandbox/test_userns.py",
    "tests/building/run/test_build.py",
    "tests/building/test_declared.py",
    "tests/building/test_kept_points.py",
    "tests/building/test_output_rules.py",
    "tests/building/test_root_view.py",
    "tests/building/outputs/test_unfit_outputs.py",
    "tests/building/run/test_steps_that_fail.py",
]
# Once, since it takes a minute: with the identity that differs more from root's.
NETWORKED = [
    "tests/building/builders/test_fetching.py",
    "tests/building/builders/test_networked_builds.py",
    "tests/building/builders/test_network_helpers.py",
]

WHOLE = """
set -e
cd "$HOME"
cat > it.py <<'END'
package = Package(
    name='it', version='1', build_system='trivial',
    arguments={'script': 'echo "made by $(id -u)" > $out'},
)
END
cat > slow.py <<'END'
package = Package(
    name='slow', version='1', build_system='trivial',
    arguments={'script': 'echo waits; sleep 1000; echo > $out'},
)
END
data=$HOME/.local/share/fruix
say() { echo "== $*"; }

say embedded
out=$(fruix build -f it.py 2>err); cat err
test ! -e "$out"                            # nothing of it on the host itself
fruix shell -- cat "$out"
fruix shell -- sh -c 'exit 7' || echo "status $?"
SHELL=/bin/pwd fruix shell
sed 's/it/in-the-view/; s/echo/true; echo/' it.py > view.py
fruix shell -- sh -c 'cat $(fruix build -f view.py 2>/dev/null)'

say packages
cat > tool.py <<'END'
package = Package(name='tool', version='1', build_system='trivial', arguments={'script': '''mkdir -p $out/bin
{ echo "#!/bin/sh"; echo "echo ran \\\\$1; exit 5"; } > $out/bin/tool; chmod +x $out/bin/tool'''})
END
fruix run ./tool.py embedded 2>/dev/null || echo "status $?"
fruix shell --pure ./tool.py -- tool pure 2>/dev/null || echo "status $?"

say seen
fruix build -f slow.py >/dev/null 2>&1 & client=$!
until fruix ps 2>/dev/null | grep '^slow-1'; do kill -0 $client; sleep 0.05; done
kill $client; wait $client || :

say daemon
fruix daemon 2>log & daemon=$!
fruix daemon --ping --wait 60
test "$(fruix build -f it.py 2>/dev/null)" = "$out"
fruix store info "$out" | grep 'built here'
fruix shell -- fruix store cat "$out"           # a client in the view finds it too
sed "s/'it'/'told'/; s/echo/echo told; echo/" it.py > told.py
drv=$(fruix build --json -f told.py | grep -o '"drv": "[^"]*"' | head -1 | cut -d'"' -f4)
python3 -X importtime -m fruix log "$drv" 2>times | grep -qx told
grep -E '[|] +argparse' times && exit 1         # answered at once, as with root
test "$(python3 -X importtime -m fruix ps 2>times)" = 'nothing is being built'
grep -E '[|] +argparse' times && exit 1
fruix daemon 2>second && exit 1; grep 'another daemon' second

say killed
fruix build -f slow.py >/dev/null 2>&1 & client=$!
while ! ls "$data"/var/fruix/builds/ | grep -q '^frx-'; do sleep 0.05; done
kill -9 $daemon; wait $daemon || :
wait $client || :
fruix daemon 2>log & daemon=$!
fruix daemon --ping --wait 60
ls "$data"/var/fruix/builds/ | grep '^frx-' && exit 1
test "$(fruix build -f it.py 2>/dev/null)" = "$out"
kill $daemon; wait $daemon
test ! -e "$data"/var/fruix/daemon-socket/socket

say owners
find "$data" ! -user $(id -u) | head
find "$data/store" -perm /222 ! -type l ! -path "$data/store" | head
echo done
"""


def check(done: object) -> str:
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"  # type: ignore[attr-defined]
    return str(done.stdout)  # type: ignore[attr-defined]


@KINDS
def test_the_user_has_the_ids_that_are_meant(subordinate_ids: bool) -> None:
    """Without `newuidmap` both kinds of users would be one, and nothing would tell."""
    words = "from fruix.sandbox.linux import userns; print(userns.find_subordinates() is not None)"
    done = ordinary_user.run(["python", "-c", words], subordinate_ids=subordinate_ids)
    assert check(done) == f"{subordinate_ids}\n"


@KINDS
def test_the_same_tests(subordinate_ids: bool) -> None:
    tests = " ".join(SAME if subordinate_ids else [*SAME, *NETWORKED])
    done = ordinary_user.run(
        ["sh", "-c", f'cd "$PROJECT" && python -m pytest -q -x -p no:cacheprovider {tests}'],
        subordinate_ids=subordinate_ids,
        PROJECT=str(ordinary_user.PROJECT),
    )
    assert " passed" in check(done)


@KINDS
def test_from_nothing(subordinate_ids: bool) -> None:
    said = check(ordinary_user.run(["sh", "-c", WHOLE], subordinate_ids=subordinate_ids))
    parts = {part.partition("\n")[0]: part.partition("\n")[2].splitlines() for part in said.split("== ")[1:]}
    embedded, daemon = parts["embedded"], parts["daemon"]
    assert "working with an embedded one on the store in" in embedded[0]
    assert embedded[-4:-2] == ["made by 35001", "status 7"]
    assert embedded[-2].startswith("/")
    assert embedded[-1] == "made by 35001"
    assert parts["seen"][0].startswith("slow-1")
    assert parts["packages"] == ["ran embedded", "status 5", "ran pure", "status 5"]
    assert daemon[-2:][0] == "made by 35001"
    assert "another daemon is running" in daemon[-1]
    assert parts["owners"] == ["done"]


TWO_STORES = r"""
set -e
cd "$HOME"
for name in slow other; do
    cat > $name.py <<END
package = Package(
    name='$name', version='1', build_system='trivial',
    arguments={'script': 'echo waits; sleep 1000; echo > \$out'},
)
END
done
other() { env XDG_DATA_HOME="$HOME/other" "$@"; }
builds_run() {
    until ls "$1"/fruix/var/fruix/builds/ 2>/dev/null | grep -q '^frx-'; do
        kill -0 $client; sleep 0.05
    done
}

fruix daemon 2>log & daemon=$!
fruix daemon --ping --wait 60 >/dev/null
fruix build -f slow.py >/dev/null 2>said & client=$!; survivor=$client
builds_run .local/share
until fruix ps | grep -q '^slow-1 *running'; do kill -0 $client; sleep 0.05; done

XDG_DATA_HOME="$HOME/other" fruix daemon 2>log & second=$!
other fruix daemon --ping --wait 60 >/dev/null
XDG_DATA_HOME="$HOME/other" fruix build -f other.py >/dev/null 2>&1 & client=$!
builds_run other
until other fruix ps | grep -q '^other-1 *running'; do kill -0 $client; sleep 0.05; done
kill -9 $second; wait $second || :
wait $client || :
XDG_DATA_HOME="$HOME/other" fruix daemon 2>log & second=$!
other fruix daemon --ping --wait 60 >/dev/null
grep -c 'left by a crash, removed: build directory' log
kill $second; wait $second

kill -0 $survivor
fruix ps | grep -c '^slow-1 *running'
kill $daemon; wait $daemon
wait $survivor || grep -c 'shutting down' said
"""


@KINDS
def test_two_stores_of_one_user(subordinate_ids: bool) -> None:
    """The second daemon is killed, started again and ended; what the first builds goes on."""
    said = check(ordinary_user.run(["sh", "-c", TWO_STORES], subordinate_ids=subordinate_ids))
    assert said.split() == ["1", "1", "1"]


LOOKING = """
cd "$HOME"
cat > bad.py <<'END'
package = Package(
    name='bad', version='1', build_system='trivial',
    arguments={'script': 'echo some > file; exit 3'},
)
END
drv=$(fruix build -K -f bad.py 2>&1 | sed -n 's/^hint: fruix log \\([^;]*\\);.*/\\1/p')
fruix log "$drv"
fruix log -f "$drv"
fruix enter "$drv" -- sh -c 'cat file; exit 4' </dev/null || echo "status $?"
fruix daemon 2>log & daemon=$!
fruix daemon --ping --wait 60 >ping
fruix enter --fresh "$drv" -- sh -c 'test -e file || echo fresh' </dev/null
fruix ps
kill $daemon; wait $daemon
"""


@KINDS
def test_looking_around(subordinate_ids: bool) -> None:
    said = check(ordinary_user.run(["sh", "-c", LOOKING], subordinate_ids=subordinate_ids))
    log = ["@ fruix phase build", "$ echo some", "$ exit 3", "phase build failed with status 3"]
    assert said.splitlines() == [*log, *log, "some", "status 4", "fresh", "nothing is being built"]


@pytest.mark.skipif(CgroupParent.find() is None, reason="machine: no writable cgroup v2 hierarchy")
def test_a_delegated_cgroup_is_used() -> None:
    assert "ok      cgroup " in check(ordinary_user.run(["fruix", "doctor"], subordinate_ids=True))
    assert "absent  cgroup " in check(ordinary_user.run(["fruix", "doctor"]))


def test_a_user_without_a_home() -> None:
    done = ordinary_user.run(["env", "-u", "HOME", "fruix", "build", "hello"])
    assert done.returncode == 2
    assert "set HOME or XDG_DATA_HOME" in done.stderr


def test_a_directory_that_others_may_write() -> None:
    script = 'mkdir -p "$HOME/.local/share/fruix"; chmod 777 "$HOME/.local/share/fruix"; fruix build hello'
    done = ordinary_user.run(["sh", "-c", script])
    assert done.returncode == 1
    assert "could be changed by others" in done.stderr


def test_a_host_that_forbids_it() -> None:
    """As seen by a user whose namespace allows no further ones; under another number than root's."""
    script = (
        "unshare --user --map-root-user sh -c 'echo 0 > /proc/sys/user/max_user_namespaces; "
        "exec setpriv --inh-caps=-all --bounding-set=-all unshare --user true' 2>&1; "
        "unshare --user --map-user=1000 --keep-caps sh -c '"
        "echo 0 > /proc/sys/user/max_user_namespaces; fruix build hello; fruix doctor'"
    )
    done = ordinary_user.run(["sh", "-c", script])
    assert "this host allows none (user.max_user_namespaces is 0)" in done.stderr
    assert "user.max_user_namespaces is 0" in done.stdout
    assert "builds can't be isolated here" in done.stderr
