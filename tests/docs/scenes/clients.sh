# shellcheck shell=bash
# Nix's client leaves a directory of its own in a store that it opens.

export NIX_CONFIG='build-users-group ='

nix-store() {
    command nix-store "$@"
    rmdir /frx/store/.links
}
