# shellcheck shell=bash
# Another daemon with a /frx of its own, whose socket is also to be found as `other`; it trusts the key that the document makes.

echo 'package = Package(name="greeting", version="1", build_system="trivial", arguments={"script": "echo hello > $out"})' > greeting.py
sed 's/greeting/plain/; s/hello/plain/' greeting.py > plain.py

build_unsigned() {
    restart_daemon
    fruix build -f plain.py
}

start_other() {
    other=$(mktemp -d "${TMPDIR:-/tmp}/frx-docs.XXXXXX")
    chmod 755 "$other"
    mkdir "$other/etc"
    printf 'trusted-public-keys = ["%s"]\n' "$(cat /frx/etc/cache.pub)" > "$other/etc/fruix.toml"
    # shellcheck disable=SC2016
    (setsid unshare --mount sh -ec 'mount --bind "$1" /frx; exec fruix daemon' sh "$other" < /dev/null > "$other/log" 2>&1 & echo $! > other.pid)
    until [ -S "$other/var/fruix/daemon-socket/socket" ]; do kill -0 "$(cat other.pid)" || return; sleep 0.1; done
    ln -s "$other/var/fruix/daemon-socket/socket" other
}

stop_other() {
    [ -e other.pid ] || return 0
    kill "$(cat other.pid)"
    tail -s 0.05 --pid="$(cat other.pid)" -f /dev/null
    rm -rf "$other"
}
trap 'stop_other; rm -rf "$bin"' EXIT
