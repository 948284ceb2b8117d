"""Whether all that a store holds may be believed, by the settings of this machine."""

from __future__ import annotations

import os
import sys

from fruix.cli.output.amounts import plural
from fruix.client import RemoteStore
from fruix.daemon.settings import load
from fruix.errors import StoreError
from fruix.signing.path_signatures import PathTrust


def check_signatures(store: RemoteStore) -> None:
    """Look at every valid path: built here, named by its contents, or signed by a trusted key.

    Costs a question for each path; nothing is held. The others are named.

    Raises:
        StoreError: there are others.
    """
    trust = PathTrust.of(load(os.environ).trusted_public_keys)
    count = 0
    for path in store.all_valid_paths():
        info = store.path_info(path)
        if info is None or info.ultimate or info.content_address or trust.vouched(info):
            continue
        count += 1
        print(f"path '{path}' is untrusted", file=sys.stderr)
    if count:
        raise StoreError(
            f"{plural(count, 'path')} neither built here nor signed by a trusted key",
            hint="the setting 'trusted-public-keys' says whose signatures count; "
            "'fruix store sign' makes one",
        )
