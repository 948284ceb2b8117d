# shellcheck shell=bash
# Builds that fail, differ and take too much. The machine is the README's, so GNU Hello may be built already.

# shellcheck source=tests/docs/scenes/README.sh
. "$ROOT/tests/docs/scenes/README.sh"

plan_of_a_first_build() { # on an empty store, of a daemon of the command's own, which it says
    in_fresh_store fruix build --dry-run -e 'hello.inherit(host_view="base")' 2>&1 | sed 1d
}

cat > half.py <<'.'
package = Package(
    name="half", version="1", build_system="trivial", arguments={"script": "mkdir obj; echo object > obj/main.o; exit 1"}
)
.

fail_half_once() {
    restart_daemon 'cache-failures = true'
    fruix build -f half.py
    [ $? = 100 ]
}

forget_failures() {
    fruix store failures --clear /frx/store/*-half-1 > /dev/null 2>&1
    restart_daemon
}

wait_less_than_others() {
    local others
    long='Package(name="long", version="1", build_system="trivial", arguments={"script": "sleep 1000"})'
    : > others
    fruix build -e "$long" > others 2>&1 &
    others=$!
    until grep -q phase others; do kill -0 "$others" || return; sleep 0.1; done
    fruix build --timeout 3 -e "$long" 2>&1 | sed -n 's/^  //p'
    kill "$others"
    wait "$others"
}

cat > greeting.py <<'.'
package = Package(
    name="greeting", version="1", build_system="trivial",
    arguments={"script": """
        mkdir -p $out/bin
        printf '#!/bin/sh\\necho hello from %s\\n' "$(date +%s%N)" > $out/bin/greeting
        ln -s "build-$(date +%N)" $out/last
    """},
)
.

build_greeting() { # where nobody else tells of differences
    fruix build -f greeting.py
    ! command -v diffoscope || mount --bind /dev/null "$(command -v diffoscope)"
}

cat > hungry.py <<'.'
def hungry(name, script):
    return Package(name=name, version="1", build_system="trivial", arguments={"script": "set +x; " + script})


packages = [
    hungry("bomb", "while echo more; do sleep 1000 & sleep 0.01; done"),
    hungry("writer", "while echo more; do head -c 10000000 /dev/zero >> big; sleep 0.2; done"),
    hungry("silent", "sleep 1000"),
]
.

take_a_small_disk() {
    stop_daemon
    mount -t tmpfs -o size=256m,mode=700 tmpfs /frx/var/fruix/builds
    restart_daemon 'max-processes = 200' 'min-free = 134217728'
}

notes() {
    restart_daemon 'max-processes = 20' 'min-free = 0'
    cat > quick.py <<'.'
packages = [
    Package(name="bomb", version="2", build_system="trivial", arguments={"script": "for i in $(seq 1000); do sleep 1000 & done"}),
    Package(name="writer", version="2", build_system="trivial", arguments={"script": "head -c 500000000 /dev/zero > big"}),
]
.
    fruix build -k -j 1 -f quick.py > notes.log 2>&1
    grep '^note:' notes.log || cat notes.log
    stop_daemon
    umount /frx/var/fruix/builds
    start_daemon
}
