# verbs.sh PROGRAMS DIRECTORY: commands of Nix's clients, each with what it prints and its status.
# DIRECTORY has same.nix, and Busybox in tools.
PATH=$1:$PATH
cd "$2" || exit
profile=/frx/home/profile
say() {
    echo "\$ $*"
    "$@" </dev/null 2>&1
    echo "status $?"
}
build() { say nix-build --no-out-link same.nix --arg tools ./tools "$@"; }

echo hello > hello.txt
mkdir tree; echo one > tree/a; ln -s a tree/b
say nix-store --add hello.txt
say nix-store --add-fixed sha256 hello.txt
say nix-store --add-fixed --recursive sha1 tree
say nix store add --name named tree
say nix-store --add /nowhere
tree=$(nix-store --add tree)
say nix-instantiate same.nix --arg tools ./tools -A top
drv=$(nix-instantiate same.nix --arg tools ./tools -A top 2>/dev/null)
bad=$(nix-instantiate same.nix --arg tools ./tools -A bad 2>/dev/null)
say nix-store --realise --dry-run "$drv"
build -A top
top=$(nix-store --query --outputs "$drv")
low=$(nix-build --no-out-link same.nix --arg tools ./tools -A low)
dev=$(nix-build --no-out-link same.nix --arg tools ./tools -A many.dev)
build -A top
build -A many
build -A bad
build -A above
build -A higher --keep-going
build -A missing
build -A wrong
build -A refers
build -A needs
build -A elsewhere
build -A top --check
build -A unsteady
build -A unsteady --check
build -A top --max-jobs 0 --argstr seed 2
build -A upon
build -A floating --argstr seed 3
build -A upon --argstr seed 3 --max-jobs 0
for what in outputs references referrers requisites referrers-closure deriver hash size tree; do
    say nix-store --query --$what "$top"
done
say nix-store --query --requisites --include-outputs "$drv"
say nix-store --query --binding name "$drv"
say nix-store --query --references /frx/store/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-absent
say nix-store --query --references /tmp/elsewhere
say nix-store --query --outputs "$low"
say nix-store --read-log "$drv"
say nix-store --read-log "$bad"
say nix log "$top"
say nix-store --realise /frx/store/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-absent
say nix-store --check-validity "$top" /frx/store/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-absent
say nix-store --print-env "$drv"
say nix path-info --closure-size "$top"
say nix path-info --json --json-format 1 "$top"
say nix derivation show "$drv"
say nix why-depends "$top" "$low"
say nix store ls -lR "$low"
say nix store cat "$low/file"
say nix store diff-closures "$low" "$top"
say nix store make-content-addressed "$low"
say nix store verify --no-trust "$top"
say nix store sign --key-file golden-key "$top"
say sh -c "nix store verify --trusted-public-keys $(cat golden-key.pub) --recursive $top 2>&1 | sort"  # in parallel
say nix path-info --sigs "$top"
say nix-store --verify
say nix-store --verify --check-contents
say nix-store --verify-path "$top" "$tree"
chmod u+w "$low/file" "$low"; echo damaged > "$low/file"
say nix-store --verify-path "$low"
say nix-store --verify --check-contents
say nix-store --repair-path "$low"
say nix-store --verify-path "$low"
say nix-store --optimise
say sh -c "nix-store --export $top $low | cksum"
nix-store --export $(nix-store --query --requisites "$top") > exported
say nix-env -p $profile -i "$low"
say nix-env -p $profile -i "$dev"
say nix-env -p $profile -q --out-path
say nix-env -p $profile --list-generations
say nix-env -p $profile --rollback
say nix-env -p $profile -q
say nix-env -p $profile --switch-generation 9
say nix-env -p $profile --delete-generations 2
say nix-env -p $profile -e low
say nix-env -p $profile -e absent
say nix-store --realise "$drv" --add-root /frx/home/root --indirect
say nix-store --gc --print-roots
say nix-store --query --roots "$low"
say nix-store --delete "$low"
say nix-store --gc --print-live
say nix-store --gc --print-dead
say nix-store --delete "$tree"
rm /frx/home/root
say nix-collect-garbage -d
say nix-store --gc
say nix-store --gc --print-live
say sh -c 'nix-store --import < exported'
say nix-store --gc --max-freed 1
say nix store gc
say nix store delete "$(nix-store --add hello.txt)"
say nix store info
