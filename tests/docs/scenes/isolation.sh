# shellcheck shell=bash
# A view with a tool that changes, and machines without networks or user namespaces.

build_late_after_a_change() { # a derivation that was made before
    mkdir /frx/tools && printf '#!/bin/sh\necho hello\n' > /frx/tools/greet && chmod +x /frx/tools/greet
    restart_daemon '[views.greeting]' 'extends = "base"' 'tools = ["greet"]' 'path = ["/frx/tools", "/usr/bin", "/bin"]'
    fruix build -n -e 'Package(name="late", version="1", build_system="trivial", host_view="greeting", arguments={"script": "greet > $out"})' > planned 2>&1 || cat planned
    printf '#!/bin/sh\necho good evening\n' > /frx/tools/greet
    fruix build /frx/store/*-late-1.drv 2>&1 | sed -n 's/^  //p'
}

choose_a_network_where_there_is_none() {
    "$PYTHON" - <<'.'
import shutil

from fruix.errors import IsolationUnavailableError
from fruix.sandbox import network_choice, networks
from fruix.sandbox.linux import landlock

shutil.which = lambda *_, **__: None
landlock.abi = lambda: 4
try:
    network_choice.choose(networks.AUTO)
except IsolationUnavailableError as error:
    print(f"{error}\nhint: {error.hint}")
.
}

build_where_namespaces_are_forbidden() { # by the namespace of a user called ann, which is a host to her
    chmod 755 "$bin" && mkdir "$bin/ann" && chown 12345:12347 "$bin/ann"
    (cd "$bin/ann" && HOME="$bin/ann" "$PYTHON" "$ROOT/tests/ordinary_user.py" --home "$bin/ann" \
        unshare --user --map-user=1000 --keep-caps sh -c 'echo 0 > /proc/sys/user/max_user_namespaces; exec fruix build hello') 2>&1 |
        sed '/^no daemon at the socket/d'
}
