# shellcheck shell=bash
# Pins as they were when the root had another bash.
sed '/name = "bash"/ { s/version = "[^"]*"/version = "5.2.14-1"/; s/sha256 = "......../sha256 = "00000000/ }' \
    "$ROOT/src/fruix/packages/roots/debian-12.toml" > old.toml
