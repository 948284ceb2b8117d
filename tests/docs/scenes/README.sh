# shellcheck shell=bash
# `make` without the parts that set up a machine, and the two files that the tour builds.

make() {
    command make --no-print-directory -C "$ROOT" -o .venv/.ready "BIN=$(dirname "$PYTHON")" "$@"
}

# The document begins with a daemon of its own; here one runs already.
fruix() {
    [ "$*" = daemon ] || command fruix "$@"
}

cat > package.py <<'.'
package = Package(name="mine", version="1", build_system="trivial", arguments={"script": "echo made > $out"})
.

cat > broken.py <<'.'
package = find("hello").inherit(
    name="broken",
    arguments={
        "phases": lambda phases: phases
            .remove("configure")
            .replace("build", "echo 'hello.c: too much greeting'; exit 1"),
    },
)
.

cp -r "$ROOT/examples" .
