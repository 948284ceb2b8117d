{ set +x; } 2>/dev/null
name=${source##*/}
name=${name#*-}
archive=$fruix/archive
refuse() {
    echo "unpack: $name $1"
    exit 1
}
# WHAT PACKAGE TOOL...: `tool` is the first of the tools that is there.
choose() {
    what=$1 package=$2
    shift 2
    for tool; do
        if command -v "$tool" >/dev/null; then return 0; fi
    done
    refuse "is $what, and none of the tools here reads that: it takes $1 (native_inputs=[find(\"$package\")], or a host view that has it)"
}
looks_like_tar() {
    case $(bytes "$1" 257 5) in 7573746172) return 0 ;; esac
    # The oldest kind says nothing about itself.
    case $name in *.tar | *.tar.* | *.t[abglxz]z* | *.crate | *.gem) tar -tf - < "$1" >/dev/null 2>&1 ;; *) return 1 ;; esac
}
keep_file() {
    case $name in
    *.tar | *.tar.* | *.t[abglxz]z* | *.zip | *.crate | *.gem | *.jar | *.whl | *.7z | *.rar | *.cpio)
        refuse "is called an archive, but ${1:-its first bytes are those of none that is known}" ;;
    esac
    cp "$source" "unpacked/$name"
}
expand() { # TOOL WORD...: runs it on the source; the result is a tar archive, or the source is a file by itself
    "$@" < "$source" > "$archive"
    if looks_like_tar "$archive"; then tar -xf - -C unpacked < "$archive"; else keep_file "there is no tar archive in it"; fi
    rm -f "$archive"
}
unzip_source() {
    if tar --version 2>/dev/null | grep -q bsdtar; then tool=tar; else choose "a ZIP archive" unzip unzip bsdtar python3; fi
    case $tool in
    unzip) unzip -q "$source" -d unpacked < /dev/null || [ $? = 1 ] ;; # 1: warnings
    python3) python3 -m zipfile -e "$source" unpacked ;;
    *) "$tool" -xf "$source" -C unpacked ;;
    esac
}
# RubyGems: the files are in an archive in the archive.
unpack_gem() {
    mkdir gem
    gzip -dc < unpacked/data.tar.gz > "$archive"
    tar -xf - -C gem < "$archive"
    rm -rf unpacked "$archive"
    mv gem unpacked
}
unpack_file() {
    mkdir unpacked
    case $(bytes "$source" 0 6) in
    1f8b* | 1f9d*) choose "compressed by gzip" gzip gzip; expand gzip -dc ;;
    425a68*) choose "compressed by bzip2" bzip2 bzip2; expand bzip2 -dc ;;
    fd377a585a00) choose "compressed by xz" xz xz; expand xz -dc ;;
    5d0000*) choose "compressed by lzma" xz xz lzma; expand "$tool" -dc ;;
    28b52ffd*) choose "compressed by zstd" zstd zstd; expand zstd -dc ;;
    4c5a4950*) choose "compressed by lzip" lzip lzip; expand lzip -dc ;;
    504b0304* | 504b0506*) unzip_source ;;
    377abcaf271c) choose "a 7z archive" libarchive bsdtar; bsdtar -xf "$source" -C unpacked ;;
    526172211a07) choose "a RAR archive" libarchive bsdtar; bsdtar -xf "$source" -C unpacked ;;
    *) if looks_like_tar "$source"; then tar -xf - -C unpacked < "$source"; else keep_file; fi ;;
    esac
    if [ -e unpacked/data.tar.gz ] && [ -e unpacked/metadata.gz ]; then unpack_gem; fi
    chmod -R u+rwX,go+rX,go-w unpacked
    set -- unpacked/*
    if [ $# = 1 ] && [ -d "$1" ] && [ ! -L "$1" ]; then mv "$1" source; else mv unpacked source; fi
}
touch -t 198001020000 "$fruix/1980"
if [ -d "$source" ]; then
    cp -RP "$source" source
    chmod -R u+rwX,go+rX,go-w source
    find source -exec touch -h -r "$fruix/1980" {} +
else
    unpack_file
    find source ! -newer "$fruix/1980" -exec touch -h -r "$fruix/1980" {} +
fi
cd source
