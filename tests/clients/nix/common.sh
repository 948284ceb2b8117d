# common.sh, read by the lists of commands with their own arguments: PROGRAMS DIRECTORY VERSION of Nix's clients, where they work.
# DIRECTORY has same.nix, and Busybox in tools.
PATH=$1:$PATH
cd "$2" || exit
version=$3
profile=/frx/home/profile
absent=/frx/store/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-absent
say() { # a command with what it prints, and its status
    echo "\$ $*"
    "$@" </dev/null 2>&1
    echo "status $?"
}
build() { say nix-build --no-out-link same.nix --arg tools ./tools "$@"; }
new() { # nix COMMAND on attributes of the file, as `build`
    command=$1; shift
    say nix "$command" -f same.nix --arg tools ./tools "$@"
}
sorted() { "$@" 2>&1 | sort; }

# Commands of `nix` as they were called before: of what isn't there nothing is said.
nix() {
    case $version:$1-$2 in
    2.8:store-add) shift 2; set -- store add-path "$@" ;;
    2.8:store-info) set -- store ping ;;
    2.8:derivation-show) shift 2; set -- show-derivation "$@" ;;
    2.8:profile-add) shift 2; set -- profile install "$@" ;;
    2.8:path-info---json) shift 4; set -- path-info --json "$@" ;;
    2.3:store-add) shift 2; set -- add-to-store "$@" ;;
    2.3:store-info) set -- ping-store ;;
    2.3:store-ls | 2.3:store-cat) command=$2-store; shift 2; set -- "$command" "$@" ;;
    2.3:store-verify | 2.3:store-dump-path | 2.3:store-copy-sigs) shift ;;
    2.3:store-sign) shift 2; set -- sign-paths "$@" ;;
    2.3:store-make-content-addressed) shift 2; set -- make-content-addressable "$@" ;;
    2.3:store-optimise) set -- optimise-store ;;
    2.3:derivation-show) shift 2; set -- show-derivation "$@" ;;
    2.3:path-info---json) shift 4; set -- path-info --json "$@" ;;
    2.3:shell-*) shift; set -- run "$@" ;;
    2.3:store-* | 2.3:profile-* | 2.3:develop-* | 2.3:run-*) return ;;
    esac
    command nix "$@"
}
