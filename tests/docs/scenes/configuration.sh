# shellcheck shell=bash
# Nix's own client, as nobody; and daemons with little room.

export NIX_REMOTE=unix:///frx/var/fruix/daemon-socket/socket NIX_STORE_DIR=/frx/store NIX_CONF_DIR=$bin/work HOME=/nonexistent
chmod 755 "$bin" && mkdir "$bin/work" && cd "$bin/work" || return
: > nix.conf

as_nobody() {
    setpriv --reuid 65534 --regid 65534 --clear-groups "$@"
}

nix-store() {
    as_nobody nix-store "$@"
}

nix-instantiate() {
    as_nobody nix-instantiate "$@"
}

on_a_small_disk() { # so that little more is free than has to stay free
    stop_daemon
    mount -t tmpfs -o size=72m,mode=755 tmpfs /frx
    head -c 16M /dev/zero > big
    restart_daemon 'min-free = 67108864'
}

with_sixteen_connections_of_nobody() {
    stop_daemon
    umount /frx
    restart_daemon 'max-connections-per-user = 16'
    mkfifo held
    setpriv --reuid 65534 --regid 65534 --clear-groups "$PYTHON" -c '
import signal, socket
held = [socket.socket(socket.AF_UNIX) for _ in range(16)]
for one in held:
    one.connect("/frx/var/fruix/daemon-socket/socket")
    one.recv(0)
print("held", flush=True)
signal.pause()' > held &
    crowd=$!
    read -r _ < held
}

with_little_memory_for_nobody() {
    kill $crowd
    restart_daemon 'max-client-memory-per-user = 16777216'
    printf 'derivation { name = "x"; system = "x"; builder = "x"; text = "%s"; }\n' "$(head -c 12000000 /dev/zero | tr '\0' x)" > e.nix
}
