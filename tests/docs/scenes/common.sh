# What every document takes for granted: `fruix` on PATH, and a daemon whose number of jobs is not the machine's.

bin=$(mktemp -d "${TMPDIR:-/tmp}/frx-docs.XXXXXX")
printf '#!/bin/sh\nexec "%s" -P -m fruix "$@"\n' "$PYTHON" > "$bin/fruix"
chmod +x "$bin/fruix"
trap 'rm -rf "$bin"' EXIT
export PATH="$bin:$(dirname "$PYTHON"):$PATH" PYTHONPATH="$ROOT/src" LC_ALL=C.UTF-8 PYTHONUNBUFFERED=1
daemon_log=/frx/daemon.log

configure() { # KEY=VALUE…: the daemon's settings, beside those of all documents
    mkdir -p /frx/etc
    printf '%s\n' 'max-jobs = 2' 'cores = 2' "$@" > /frx/etc/fruix.toml
}

start_daemon() { # [VARIABLE=VALUE…]
    [ -e /frx/etc/fruix.toml ] || configure
    # No job of this shell, which would speak of its end.
    (env "$@" setsid fruix daemon < /dev/null >> "$daemon_log" 2>&1 & echo $! > /frx/daemon.pid)
    fruix daemon --ping --wait 60 > /dev/null || cat "$daemon_log"
}

stop_daemon() {
    [ -e /frx/daemon.pid ] || return 0
    kill "$(cat /frx/daemon.pid)"
    tail -s 0.05 --pid="$(cat /frx/daemon.pid)" -f /dev/null
    rm /frx/daemon.pid
}

restart_daemon() { # KEY=VALUE…
    stop_daemon
    configure "$@"
    start_daemon
}

in_fresh_store() { # COMMAND…: on an empty /frx, which nobody else sees
    local place
    place=$(mktemp -d "${TMPDIR:-/tmp}/frx-docs.XXXXXX")
    chmod 755 "$place"
    unshare --mount sh -ec 'mount --bind "$1" /frx; shift; "$@"' sh "$place" "$@"
    rm -rf "$place"
}
