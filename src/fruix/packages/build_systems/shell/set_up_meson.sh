# The Python that runs Meson is the root's or the host view's.
mkdir "$fruix/bin"
{
    echo '#!/bin/sh'
    echo "exec python3 '$(grep -e -meson-without-python- "$nativeInputsPath")/share/meson/meson.py' \"\$@\""
} > "$fruix/bin/meson"
chmod +x "$fruix/bin/meson"
export PATH="$fruix/bin:$PATH"
