# Builder of a profile: links to what the trees of its packages have, as few as can be, the manifest, and etc/profile.
# The client shows those of its lines that begin with `profile: ` when it fails.
set -eu

# TREE PLACE: the files of TREE are there too. A directory that several trees have is a directory of links.
join() (
    for file in "$1"/* "$1"/.[!.]* "$1"/..?*; do
        [ -e "$file" ] || [ -L "$file" ] || continue
        place=$2/${file##*/}
        if [ ! -e "$place" ] && [ ! -L "$place" ]; then
            ln -s "$file" "$place"
        elif [ -d "$file" ] && [ -d "$place" ]; then
            make_directory "$place"
            join "$file" "$place"
        elif ! cmp -s "$file" "$place"; then
            collide "$file" "$place"
        fi
    done
)

# PLACE: is a directory of links from now on if it is a link to a directory.
make_directory() {
    [ -L "$1" ] || return 0
    linked=$(readlink "$1")
    rm "$1"
    mkdir "$1"
    join "$linked" "$1"
}

# FILE PLACE: both differ. What is in the place stays if collisions are allowed.
collide() {
    other=$2
    [ ! -L "$2" ] || other=$(readlink "$2")
    echo "profile: $1 and $other are different files for ${2#"$out"/} of the profile"
    [ -z "$allowCollisions" ] || return 0
    echo "profile: remove one of the packages, or take the first one's file by --allow-collisions"
    exit 1
}

# VARIABLE SEPARATOR TYPE PATTERN PLACE...: a line that puts what the profile has of the places before the variable's value.
search_path() {
    variable=$1 separator=$2 type=$3 pattern=$4 value=''
    shift 4
    found=$(for place; do
        case $type$pattern in
        d) [ ! -d "$out/$place" ] || echo "$place" ;;
        f) [ ! -f "$out/$place" ] || echo "$place" ;;
        *) if [ -d "$out/$place" ]; then
               (cd "$out" && find -L "$place" -type "$type" | LC_ALL=C sort) |
                   while IFS= read -r file; do
                       ! echo "${file##*/}" | grep -q -E -e "$pattern" || echo "$file"
                   done
           fi ;;
        esac
    done)
    [ -n "$found" ] || return 0
    while IFS= read -r place; do
        value=$value${value:+$separator}\${GUIX_PROFILE:-$out}/$place
        [ -n "$separator" ] || break
    done <<END
$found
END
    if [ -n "$separator" ]; then
        echo "export $variable=\"$value\${$variable:+$separator}\$$variable\""
    else
        echo "export $variable=\"$value\""
    fi
}

mkdir "$out"
while IFS= read -r tree; do
    [ -d "$tree" ] || { echo "profile: $tree is no directory; a profile can't have it"; exit 1; }
    join "$tree" "$out"
done < "$treesPath"
rm -f "$out/manifest"                   # an input that is a profile has its own
cp "$manifestPath" "$out/manifest"
[ -d "$out/etc" ] || mkdir "$out/etc"
make_directory "$out/etc"
rm -f "$out/etc/profile"
{
    echo "# Read by a shell: its variables find what is in this profile, or where GUIX_PROFILE says that it is."
    . "$searchPathsPath"
} > "$out/etc/profile.new"
mv "$out/etc/profile.new" "$out/etc/profile"
