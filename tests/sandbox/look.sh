# What a builder can see, in a form that is the same on every run: for the golden listings.
section() { echo "== $1"; }
# Type and mode, owner and group (ours by name, since the uid may differ), device numbers or link target; no sizes, no dates.
list() {
    for name in $(ls -A "$1" | sort); do
        path=${1%/}/$name
        case $path in "$out"*) name='$out' ;; "$shell") name='$shell' ;; esac
        set -- "$1" $(stat -c '%A %u:%g' "$path")
        owner=$3
        [ "$owner" = "$(id -u):$(id -g)" ] && owner=builder
        extra=
        [ -L "$path" ] && extra=" -> $(readlink "$path")"
        [ ! -L "$path" ] && [ -c "$path" ] && extra=" $(stat -c '%t,%T' "$path")"
        echo "$2 $owner $name$extra"
    done
}
section ids
echo "uid $1 gid $2 groups $(sed -n 's/^Groups:[[:space:]]*//p' /proc/self/status)"
section capabilities
grep -E '^(Cap|NoNewPrivs|Seccomp:)' /proc/self/status | tr '\t' ' '
section names
hostname
cat /proc/sys/kernel/domainname
section environment
env | grep -vE '^(shell|out|builder|NIX_BUILD_CORES|SHLVL|_|OLDPWD)=' | sort
section directory
[ "$(pwd)" = "$NIX_BUILD_TOP" ] && echo 'the build directory'
stat -c '%A' .
umask
for directory in / /dev /dev/pts /dev/shm /etc /tmp "$NIX_STORE" "$NIX_BUILD_TOP"; do
    section "$directory"
    list "$directory"
done
for file in passwd group hosts; do
    section "/etc/$file"
    sed "s/:$(id -u):/:UID:/; s/:$(id -g):\$/:GID:/; s/:UID:$(id -g):/:UID:GID:/" "/etc/$file"
done
section 'processes'
for pid in /proc/[0-9]*; do [ -r "$pid/cmdline" ] && echo x; done | wc -l | { read -r n; [ "$n" -le 6 ] && echo 'only its own'; }
section 'descriptors'
for fd in 0 1 2 3 4 5 6 7 8 9; do
    [ -e "/proc/$$/fd/$fd" ] && [ "$fd" -lt 3 ] && readlink "/proc/$$/fd/$fd" | sed "s/:\[.*//; s/^/$fd /"
    [ "$fd" -gt 2 ] && [ -e "/proc/$$/fd/$fd" ] && echo "left open: $fd $(readlink /proc/$$/fd/$fd)"
done
section 'interfaces'
sed -n 's/^ *\([a-z0-9]*\):.*/\1/p' /proc/net/dev
section 'mounts'
while read -r source target type options rest; do
    case $target in "$shell") target='$shell' ;; esac
    flags=
    for flag in ro rw nosuid nodev noexec; do
        case ",$options," in *",$flag,"*) flags="$flags $flag" ;; esac
    done
    echo "$target$flags"
done < /proc/mounts
section 'writable'
for directory in / /dev /dev/pts /dev/shm /etc /tmp /proc "$NIX_STORE" "$NIX_BUILD_TOP" "$shell" "$shell/bin"; do
    if (: > "$directory/.probe") 2>/dev/null; then
        rm "$directory/.probe"
        case $directory in "$shell"*) directory="\$shell${directory#"$shell"}" ;; esac
        echo "$directory"
    fi
done
