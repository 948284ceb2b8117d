# verbs.sh GUIX PATH DERIVATION: commands of Guix's client, each with what it prints and its status.
# The store has been filled by store.scm.
guix=$1 path=$2 drv=$3
say() {
    echo "\$ guix $*"
    "$guix" "$@" 2>&1 </dev/null
    echo "status $?"
}
say gc --references "$path"
say gc --requisites "$drv"
say gc --referrers "$path"
say gc --derivers "$path"
say gc --references /frx/store/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-absent
say gc --references /tmp/elsewhere
say gc --verify
say gc --verify=contents
say gc --optimize
say gc --list-failures
say gc --clear-failures "$path"
say gc --list-roots
say build "$drv"
say build --check --no-grafts "$drv"
say build --log-file "$drv"
say build --log-file /frx/store/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-absent
say build --rounds=2 --check --no-grafts "$drv"
say build -K "$path"
say build -n "$path"
say build -n /frx/store/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-absent
say hash "$path"
say hash -r "$path"
say hash -f hex -H sha1 -r "$path"
say challenge --substitute-urls= "$path"
say package -p /frx/home/profile --list-installed
say package -p /frx/home/profile --list-generations
say package -p /frx/home/profile --roll-back
say gc --verify=repair
say gc --verify=contents,repair
say gc --list-busy
say build --root=/frx/root "$drv"
say gc -D "$path"
say gc --list-live
say size "$path"
say graph -t references "$path"
say archive --missing </dev/null
"$guix" archive --authorize < /frx/etc/signing-key.pub
"$guix" archive --export --recursive "$path" > /frx/archive
echo "export: status $?, $(wc -c < /frx/archive) bytes"
"$guix" archive --list < /frx/archive | sort
rm /frx/root
say gc -D "$path"
"$guix" archive --import < /frx/archive
echo "import: status $?"
say gc --references "$path"
say gc -C 1
say gc -F 1
say gc --free-space=1KiB
say gc
say gc --list-dead
say gc --list-live
say gc --delete-generations
