# shellcheck shell=bash
# `fruix` is the one of FreeBSD: on the double of its system, without a daemon that would build as on Linux.

stop_daemon

fruix() {
    case "$*" in
    *--selftest) shorter_selftest ;;
    *) "$PYTHON" -P -m fruix.testing.freebsd "$@" ;;
    esac
}

what_jails_need() { # of the kernel: the rest is the host's
    fruix doctor | sed '/^ok  *systems/,$d'
}

shorter_selftest() { # no crashes at every step, which take minutes, and fewer inputs
    "$PYTHON" -P -c '
import sys

from fruix.testing import crashes, machines
from fruix.testing.freebsd.__main__ import main

crashes.all_steps = tuple
machines.MANY = 30
sys.argv[1:] = ["doctor", "--selftest"]
main()'
}
