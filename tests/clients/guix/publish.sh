# publish.sh GUIX PATH DERIVATION, in a network namespace of its own: what `guix publish` serves of the
# store that is there, and what `guix challenge` says of it and of a server whose archive is another.
guix=$1 path=$2 drv=$3
here=http://localhost:8080
other=http://localhost:8081
hash=$(basename "$path" | cut -c1-32)
say() {
    echo "\$ guix $*"
    "$guix" "$@" 2>&1 </dev/null
    echo "status $?"
}
fetch() {
    echo "GET $1"
    busybox wget -q -O - "$here$1" 2>&1
    echo "status $?"
}
busybox ip link set lo up
mkdir -p /frx/cache/nar/gzip
"$guix" publish --listen=localhost --port=8080 \
    --public-key=/frx/etc/signing-key.pub --private-key=/frx/etc/signing-key.sec >/frx/publish.log 2>&1 &
publishing=$!
trap 'kill $publishing $serving' EXIT
tries=0
until busybox wget -q -O /dev/null $here/nix-cache-info 2>/dev/null; do
    tries=$((tries + 1))
    [ $tries -lt 1200 ] || { cat /frx/publish.log; exit 1; }
    busybox sleep 0.1
done
mkdir /frx/other
busybox wget -q -O /frx/other/nix-cache-info $here/nix-cache-info
busybox wget -q -O - "$here/$hash.narinfo" |
    sed 's/^NarHash: .*/NarHash: sha256:0000000000000000000000000000000000000000000000000000/' \
        >"/frx/other/$hash.narinfo"
busybox httpd -f -p 8081 -h /frx/other &
serving=$!
tries=0
until busybox wget -q -O /dev/null $other/nix-cache-info 2>/dev/null; do
    tries=$((tries + 1))
    [ $tries -lt 1200 ] || exit 1
    busybox sleep 0.1
done
for file in nix-cache-info "$hash.narinfo" "nar/gzip/$(basename "$path")"; do
    busybox wget -q -O "/frx/cache/$file" "$here/$file"
done
fetch /nix-cache-info
fetch "/$hash.narinfo"
busybox wget -q -O - "$here/nar/gzip/$(basename "$path")" | busybox gunzip | busybox sha256sum
busybox wget -q -O /frx/log "$here/log/$(basename "$path")"
busybox gunzip -c </frx/log 2>/dev/null || busybox bunzip2 -c /frx/log
fetch "/file/name/sha256/0000000000000000000000000000000000000000000000000000"
fetch /aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.narinfo
say challenge --substitute-urls=$here "$path"
say challenge --substitute-urls=$other --diff=none "$path"
say challenge --substitute-urls="$here $other" --diff=none --verbose "$path"
sed -n 's/^guix publish: .*http/http/p' /frx/publish.log
