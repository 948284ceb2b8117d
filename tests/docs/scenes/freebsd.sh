# shellcheck shell=bash
# `fruix` is the one of FreeBSD: on the double of its system, without a daemon that would build as on Linux.

stop_daemon

export PYTHONPATH=$ROOT/src:$ROOT/tests

fruix() {
    case "$*" in
    *--selftest) shorter_selftest ;;
    *) "$PYTHON" -P -m freebsd_double "$@" ;;
    esac
}

what_jails_need() { # of the kernel: the rest is the host's
    fruix doctor | sed '/^ok  *systems/,$d'
}

shorter_selftest() { # no crashes at every step, which take minutes, and fewer inputs
    "$PYTHON" -P -c '
import sys

from fruix.testing import crashes, machines
from freebsd_double.__main__ import main

crashes.all_steps = tuple
machines.MANY = 30
sys.argv[1:] = ["doctor", "--selftest"]
main()'
}
