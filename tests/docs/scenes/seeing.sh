# shellcheck shell=bash
# Six small packages that need each other, and a build that goes on until it is ended.

make_packages() { # FILE VERSION GAMMA'S-END
    cat > "$1" <<.
def small(name, seconds, *inputs, end="echo > \$out"):
    steps = [f"echo step {number} of {name}; sleep {seconds / 4}" for number in range(4)]
    phases = Phases((("one", "; ".join(["set +x", f"echo start {name}", *steps])), ("two", f"set +x; : $1; {end}")))
    return Package(name=name, version="$2", inputs=inputs, arguments={"phases": lambda _: phases})


alpha = small("alpha", 0.4)
beta = small("beta", 0.1)
gamma = small("gamma", 0.4, alpha, end="$3")
delta = small("delta", 0.1, beta, gamma)
packages = [small("omega", 0.1, delta), small("solo", 0.2)]
.
}

# The first version is built already, so that it is known how long they take.
make_packages packages.py 0 'echo > $out'
fruix build -f packages.py
make_packages packages.py 1 'echo > $out'
make_packages broken.py 1 'echo oops; exit 3'

build_what_goes_on() { # in the background
    mkdir -p sed
    cat > sed.py <<'.'
package = Package(
    name="sed", version="4.9", source=Local("sed"),
    arguments={"phases": lambda phases: phases.replace("configure", "sleep 1000")},
)
.
    fruix build -f sed.py > sed.log 2>&1 &
    going_on=$!
    until fruix ps | grep -q configure; do kill -0 "$going_on" || return; sleep 0.1; done
}

status_of_daemon() {
    kill -USR1 "$(cat /frx/daemon.pid)"
    until grep -q 'is running' "$daemon_log"; do kill -0 "$going_on" || return; sleep 0.1; done
    grep status: "$daemon_log"
}

end_what_goes_on() {
    kill "$going_on"
    tail -s 0.05 --pid="$going_on" -f /dev/null
}
