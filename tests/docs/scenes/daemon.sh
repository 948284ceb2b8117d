# shellcheck shell=bash
# A user called ann, daemons that die at a step or while they build, and a disk that becomes full.

greeting='Package(name="greeting", version="1", build_system="trivial", arguments={"script": "echo hello > $out"})'

cat > it.py <<'.'
package = Package(name="it", version="1", build_system="trivial", arguments={"script": "set +x; id > $out"})
.

become_ann() { # from here on commands are hers, and the system has no daemon
    stop_daemon
    mkdir "$bin/ann" && cp it.py "$bin/ann" && chown 12345:12347 "$bin/ann" && chmod 755 "$bin" "$bin/ann"
    as_ann() {
        (cd "$bin/ann" && env HOME="$bin/ann" "$PYTHON" "$ROOT/tests/ordinary_user.py" --home "$bin/ann" "$@") 2>&1 | sed "s,$bin/ann,/home/ann,g"
    }
    fruix() { as_ann "$bin/fruix" "$@"; }
    cat() { as_ann cat "$@"; }
}

become_root() {
    unset -f fruix cat
    chmod -R u+rwX "$bin/ann"
    fruix() { if [ "$*" = daemon ]; then show_start; else command fruix "$@"; fi; }
}

show_start() { # of a daemon: until it is ready
    : > "$daemon_log"
    start_daemon
    cat "$daemon_log"
}

start_one_that_dies() {
    start_daemon FRUIX_FAULT=register:daemon
}

stop_while_it_builds() {
    fruix build -e 'Package(name="long", version="1", build_system="trivial", arguments={"script": "sleep 1000"})' > long 2>&1 &
    until fruix ps | grep -q running; do kill -0 $! || return; sleep 0.1; done
    stop_daemon
    wait $!
    cat long
}

build_on_a_small_disk() { # the store's alone, so that outputs are copied to it
    mount -t tmpfs -o mode=755 tmpfs /frx
    mkdir /frx/store
    mount -t tmpfs -o size=32m,mode=755 tmpfs /frx/store
    configure 'min-free = 0' 'min-free-files = 0'
    start_daemon
    fruix build -e 'Package(name="big", version="1", build_system="trivial", arguments={"script": "head -c 70000000 /dev/zero > $out"})'
    stop_daemon
    umount /frx/store /frx
}
