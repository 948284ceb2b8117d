# options.sh PROGRAMS DIRECTORY VERSION: what a daemon's configuration changes, and what clients may set who aren't trusted.
. "${0%/*}/common.sh"

mkdir given shown; echo given > given/word; echo shown > shown/word
printf '#!/bin/sh\necho extra-sandbox-paths\necho /shown=/frx/work/shown\n' > before
printf '#!/bin/sh\necho "after ${DRV_PATH##*-}: ${OUT_PATHS##*-}"\n' > after
chmod +x before after
install -d -o 65534 /frx/others
cp nix-test-1.secret /frx/others/key; chmod 444 /frx/others/key
as() { # USER COMMAND...
    user=$1; shift
    HOME=/frx/others setpriv --reuid "$user" --regid "$user" --clear-groups -- "$@"
}
nobody() { as 65534 "$@"; }
path() { nix-store --query --outputs "$(nix-instantiate same.nix --arg tools ./tools "$@" 2>/dev/null)"; }

build -A given
build -A other -A special
say cat $(path -A given)
build -A impure
build -A talkative
build -A endless
build -A others -A twin
say stat -c %h "$(path -A twin)"
build -A cores --cores 3
build -A cores --argstr seed 2 --option cores 2
low=$(nix-build same.nix --arg tools ./tools -A low -o /frx/home/low 2>/dev/null)
say nix path-info --sigs "$low"
say nix-store --delete "$(nix-store --query --deriver "$low")"
nix-instantiate same.nix --arg tools ./tools -A special --add-root /frx/home/special --indirect >/dev/null 2>&1
say nix-store --delete "$(path -A special)"
say nix-store --delete "$(path -A special)" --option keep-outputs false

say nobody nix store info
say nobody nix-build --no-out-link same.nix --arg tools ./tools -A given --argstr seed 2
say nobody nix-build --no-out-link same.nix --arg tools ./tools -A low --option sandbox false --option timeout 5 \
    --option system-features more --option keep-outputs false --option substituters https://cache.invalid
say nobody nix-build --no-out-link same.nix --arg tools ./tools -A low --check
say nobody nix-build --no-out-link same.nix --arg tools ./tools -A low --repair
say nobody nix-store --repair-path "$low"
say nobody nix-store --verify --check-contents
say nobody nix-store --verify --repair
say nobody nix-store --add same.nix
say nobody nix-store --realise "$low" --add-root /frx/others/low --indirect
say nobody nix store sign --key-file /frx/others/key "$low"
say nobody nix-store --gc --print-roots
nix store copy-log --to file:///frx/home/cache "$(nix-store --query --deriver "$low")"
say nobody nix store copy-log --from file:///frx/home/cache "$(nix-store --query --deriver "$low")"
say nobody nix-store --delete --ignore-liveness "$low"
say nobody nix-store --optimise
say as 1 nix store info
say as 1 nix-store --query --references "$low"
