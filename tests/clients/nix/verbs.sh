# verbs.sh PROGRAMS DIRECTORY VERSION: commands of Nix's clients, each with what it prints and its status.
. "${0%/*}/common.sh"

echo hello > hello.txt
mkdir tree; echo one > tree/a; ln -s a tree/b
tar cf channel.tar --sort=name --mtime=@1 --owner=0 --group=0 tree
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
build -A slow --timeout 1
build -A slow --max-silent-time 1
build -A bad --keep-failed
build -A bad --no-build-output
build -A unsandboxed
build -A near --max-jobs 0
build -A near
build -A structured
say cat "$(nix-store --query --outputs "$(nix-instantiate same.nix --arg tools ./tools -A structured 2>/dev/null)")"
for rule in big circle far needy; do build -A $rule; done
build -A fixed -A hashed -A texts
build -A channel
say nix-build same.nix --arg tools ./tools -A many -o /frx/home/link
say readlink /frx/home/link /frx/home/link-dev
new build top --no-link --json
new build bad --no-link
new build above many --no-link --keep-going
new build top --no-link --argstr seed 4 --max-jobs 0
new build unsteady --no-link --rebuild
new build many --out-link /frx/home/out
say readlink /frx/home/out
new run low
new shell low --command low
new develop environment --option experimental-features nix-command --command sh -c 'echo $given'
say nix build "$low" --no-link
say nix build "$absent" --no-link
say nix store dump-path "$low/file"
say nix store add --name named --mode flat hello.txt
for what in outputs references referrers requisites referrers-closure deriver hash size tree; do
    say nix-store --query --$what "$top"
done
say nix-store --query --requisites --include-outputs "$drv"
say nix-store --query --binding name "$drv"
say nix-store --query --valid-derivers "$top"
say nix-store --query --graph "$top"
say nix-store --query --graphml "$top"
say nix-store --query --references --use-output "$drv"
say nix-store --query --references "$absent"
say nix-store --query --references /tmp/elsewhere
say nix-store --query --outputs "$low"
say nix-store --read-log "$drv"
say nix-store --read-log "$bad"
say nix log "$top"
say nix-store --realise "$absent"
say nix-store --check-validity "$top" "$absent"
say nix-store --check-validity --print-invalid "$top" "$absent"
say nix-store --dump-db "$low"
say nix-store --print-env "$drv"
say nix path-info --closure-size "$top"
say nix path-info --json --json-format 1 "$top"
say nix path-info --recursive "$top" "$absent"
say sorted nix path-info --all
part=${low#/frx/store/}
say nix store path-from-hash-part "${part%%-*}"
say nix store path-from-hash-part "${part#?????????????????????????????????}"
say nix-env -f same.nix --arg tools ./tools -q --available --status --attr-path
new copy floating --to file:///frx/home/cache --argstr seed 5
say nix derivation show "$drv"
say nix why-depends "$top" "$low"
say nix store ls -lR "$low"
say nix store cat "$low/file"
say nix store diff-closures "$low" "$top"
say nix store make-content-addressed "$low"
build -A self
say nix store make-content-addressed "$(nix-store --query --outputs "$(nix-instantiate same.nix --arg tools ./tools -A self 2>/dev/null)")"
say nix store verify --no-trust "$top"
say nix store sign --key-file nix-test-1.secret "$top"
say sorted nix store verify --trusted-public-keys "$(cat nix-test-1.public)" --recursive "$top"  # in parallel
say nix path-info --sigs "$top"
say nix-store --verify
say nix-store --verify --check-contents
say nix-store --verify-path "$top" "$tree"
damage() { chmod u+w "$low/file" "$low"; echo damaged > "$low/file"; }
damage
say nix-store --verify-path "$low"
say nix-store --verify --check-contents
say nix-store --repair-path "$low"
say nix-store --verify-path "$low"
damage
build -A low --repair
damage
say nix store repair "$low"
say nix-store --verify-path "$low"
damage
say nix-store --verify --check-contents --repair
chmod u+w "$low" "$low/file"; echo same > "$low/file"; chmod a-w "$low" "$low/file"
say nix-store --optimise
say nix store optimise
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
say nix-env -p $profile -f same.nix --arg tools ./tools -iA low many
say nix-env -p $profile -f same.nix --arg tools ./tools -q --available
say nix-env -p $profile -f same.nix --arg tools ./tools --upgrade top
say nix-env -p $profile --set-flag priority 3 low
say nix-env -p $profile --set "$top"
say nix-env -p $profile --list-generations
say nix-env -p $profile --switch-generation 3
say nix-env -p $profile --delete-generations old
say nix profile add --profile /frx/home/other "$low"
say nix profile add --profile /frx/home/other "$top"
say nix profile list --profile /frx/home/other
say nix profile remove --profile /frx/home/other "$low"
say nix profile rollback --profile /frx/home/other
say nix profile history --profile /frx/home/other
say nix profile diff-closures --profile /frx/home/other
say nix profile wipe-history --profile /frx/home/other
say nix-store --realise "$drv" --add-root /frx/home/root --indirect
say nix-store --gc --print-roots
say sorted nix-store --query --roots "$low"
say nix-store --delete "$low"
say nix-store --gc --print-live
say nix-store --gc --print-dead
say nix-store --delete "$tree"
rm /frx/home/root
say nix-collect-garbage --dry-run
say nix-collect-garbage --delete-older-than 10d --dry-run
say nix copy --to file:///frx/home/cache "$top"
say nix copy --from file:///frx/home/cache --no-check-sigs "$top"
say nix copy --from file:///frx/home/cache "$absent"
say nix store copy-sigs --substituter file:///frx/home/cache "$top"
say nix-collect-garbage -d
say nix-store --gc
say nix-store --gc --print-live
say sh -c 'nix-store --import < exported'
say nix-store --gc --max-freed 1
say nix store gc
say nix store delete "$(nix-store --add hello.txt)"
say nix store info
