"""Whether a file system keeps names as they are written.

A store on one that doesn't would lose files, and differ from others.

ZFS datasets and ext4 directories can be made to take `a` and `A`, or two spellings of `é`, for one
name.
"""

from __future__ import annotations

import os

from fruix.errors import StoreError
from fruix.store.tree.descriptors import CREATE_FILE

# Pairs of names that are different bytes: by case, and composed and decomposed.
_PAIRS = (
    (b".name-a", b".name-A", "names that differ only in case"),
    (b".name-\xc3\xa9", b".name-e\xcc\x81", "names that Unicode calls equivalent"),
)


def check_names(directory: int, where: str) -> None:
    """Make names in an open directory and see whether they are kept apart; nothing is left there.

    Raises:
        StoreError: they aren't.
    """
    for one, other, what in _PAIRS:
        os.close(os.open(one, CREATE_FILE, 0o600, dir_fd=directory))
        try:
            os.close(os.open(other, CREATE_FILE, 0o600, dir_fd=directory))
            os.unlink(other, dir_fd=directory)
        except FileExistsError:
            raise StoreError(
                f"the store's file system takes {what} for one",
                where=where,
                hint="use one that is case sensitive and doesn't normalize names "
                "(ZFS: casesensitivity=sensitive, normalization=none)",
            ) from None
        finally:
            os.unlink(one, dir_fd=directory)
