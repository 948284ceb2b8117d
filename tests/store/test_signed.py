"""What is built here is signed when it is registered; what others add isn't."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from fruix.daemon.keyring import Keyring
from fruix.daemon.settings import Settings
from fruix.model.hashes import Hash
from fruix.model.nar import write
from fruix.model.pathinfo import PathInfo
from fruix.model.storepath import StorePath
from fruix.signing.path_signatures import sign
from fruix.store import Layout, LocalStore
from golden_data import GOLDEN


def test_results_of_builds_are_signed_and_additions_are_not(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes((GOLDEN / "keys/nix-test-1.secret").read_bytes())
    secret.chmod(0o400)
    keyring = Keyring.open(Settings(secret_key_files=(str(secret),)))
    archive = b"".join((write.MAGIC, write.file_head(3, False), b"one", write.file_tail(3)))
    layout = Layout(store=f"{tmp_path}/store", state=f"{tmp_path}/state", log=f"{tmp_path}/log")
    with LocalStore(layout, sign=keyring.signed) as store:
        added = PathInfo(
            StorePath.of(store.directory, f"{'a' * 32}-added"), Hash.of("sha256", archive), len(archive)
        )
        store.add_nar(added, [archive])
        built = replace(added, path=StorePath.of(store.directory, f"{'b' * 32}-built"), ultimate=True)
        Path(store.real(built.path)).write_text("one")
        store.register([built])
        infos = [store.path_info(info.path) for info in (added, built)]
    assert infos[0] is not None
    assert infos[1] is not None
    assert infos[0].signatures == ()
    assert infos[1].signatures == (sign(built, keyring.secret_keys[0]),)
    assert keyring.trust.accepts(infos[1])
