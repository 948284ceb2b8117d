{ set +x; } 2>/dev/null
{
    cat <<END
#!/bin/sh
REAL='$(command -v ld)' STORE='$NIX_STORE' TOP='$NIX_BUILD_TOP' OUT='${lib:-$out}'
LOADER='${fruixLoader:-}' LIBRARIES='${fruixLibraryPath:-}'
END
    cat <<'END'
@ld.sh@END
} > "$fruix/ld"
chmod +x "$fruix/ld"
export COMPILER_PATH="$fruix${COMPILER_PATH:+:$COMPILER_PATH}"
