"""Signatures: making and checking them, and the files that keys lie in.

What lives here: the two libraries, each behind a file (`libcrypto` for Nix's Ed25519, `libgcrypt`
for Guix's s-expressions; `shared_library` finds them); keys' files (`key_files`); signing and
checking in the terms of the store (`path_signatures`, `export_signatures`). Rules: a library is
loaded when it is first needed, and that it is missing is an error that says what to install; a
secret key is read from a file that nobody else can read, and goes nowhere but into the library.
"""

from __future__ import annotations

from fruix.late import late_modules

TYPE_CHECKING = False  # what `typing` has, without loading it
if TYPE_CHECKING:
    from fruix.signing import export_signatures, libcrypto, libgcrypt

__all__ = ["export_signatures", "libcrypto", "libgcrypt"]

# Libraries are loaded by those who sign or check.
__getattr__ = late_modules(__name__, __all__)
