"""The fetcher: a download in a sandbox of its own.

The sandbox has the network, nothing of the store and one writable directory.

A file of the operator's source directories that has the right contents is taken instead; then there
is no sandbox.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from urllib.request import getproxies

from fruix.building.builders import fetchurl
from fruix.building.builders.loopback import judged
from fruix.building.builders.mirrors import Candidate, check_usable
from fruix.building.builders.platforms import check_features
from fruix.building.builders.prepared_builder import PreparedBuilder, contract_of
from fruix.building.builders.whole_host import whole_host
from fruix.building.failures import FailedError, mismatch
from fruix.building.resources import Resources
from fruix.building.settings import BuildSettings
from fruix.building.workspace import Workspace
from fruix.dataclass import replace
from fruix.downloads.undelivered import others, read_report, wrong_contents
from fruix.model.attributes import read as read_attributes
from fruix.model.build_options import BuildOptions
from fruix.model.derivation import Derivation
from fruix.model.reasons import reason
from fruix.model.secrets import secrets_in
from fruix.model.storepath import StorePath
from fruix.sandbox import Entry
from fruix.sandbox.contracts import CONTRACTS
from fruix.sandbox.network_choice import choose_some
from fruix.sandbox.network_files import CERTIFICATES, host_files
from fruix.sandbox.networks import NONE
from fruix.store.tree.interruption import check_interrupt

_DIRECTORY = "/build"  # inside


def prepare_fetch(
    path: StorePath, derivation: Derivation, options: BuildOptions, resources: Resources
) -> PreparedBuilder:
    """Check what is asked for and declared; resolve mirrors; look among the files at hand.

    Raises:
        FruixError: it is not declared as it should be, no URL of it can be asked, or there is no
            network for it.
    """
    settings = resources.settings
    attributes = read_attributes(derivation, guix=contract_of(derivation, options.contract).guix_attributes)
    check_features(path, attributes, settings)
    download = fetchurl.read_request(derivation, settings.mirrors, resources.store.real)
    at_hand = fetchurl.local_copy(download, settings) or ""
    network = NONE if at_hand else chosen_network(settings)
    if not at_hand:
        urls = with_files(judged(download.urls, settings.loopback_ports, network), derivation, settings)
        download = replace(download, urls=urls)
        check_usable(download.urls, settings.mirrors)
    ca_file = f"/etc/{CERTIFICATES}" if CERTIFICATES in host_files(network) else ""
    host = whole_host(_DIRECTORY) if any(map(_is_file, download.urls)) and not at_hand else ()
    return PreparedBuilder(
        path=path,
        derivation=derivation,
        attributes=attributes,
        contract=CONTRACTS["fruix"],
        program=Entry(
            "fruix.building.builders.download:main",
            fetchurl.entry_arguments(download, _DIRECTORY, settings, ca_file),
        ),
        areas=(("build", _DIRECTORY),),
        outputs={"out": f"build/{fetchurl.OUTPUT_NAME}"},
        network=network,
        host=host,
        loopback_ports=settings.loopback_ports,
        secrets=secrets_in(getproxies().values()),
        download=download,
        at_hand=at_hand,
    )


def with_files(
    urls: Iterable[Candidate], derivation: Derivation, settings: BuildSettings
) -> tuple[Candidate, ...]:
    """Let `builtin:fetchurl` have `file://` URLs where builders see the whole machine, as in Nix."""
    if settings.sandbox or derivation.builder != "builtin:fetchurl":
        return tuple(urls)
    return tuple(Candidate(tried.url) if _has_file(tried.url) else tried for tried in urls)


def _has_file(url: str) -> bool:
    return url.startswith("file:///")


def _is_file(tried: Candidate) -> bool:
    return _has_file(tried.url) and not tried.refusal


def chosen_network(settings: BuildSettings, what: str = "file", *, needed: bool = True) -> str:
    """How fetchers are connected, `NONE` where that isn't `needed` and they may not be.

    Raises:
        IsolationUnavailableError: they may not be; `what` could be at hand instead.
    """
    if not needed and settings.fixed_output_network == NONE:
        return NONE
    return choose_some(
        settings.fixed_output_network,
        "downloads are switched off",
        f"put the {what} into one of the 'sources' directories",
    )


def copy_at_hand(builder: PreparedBuilder, area: Workspace, uid: int) -> None:
    """Put the file at hand where the fetcher would have put it.

    The copy belongs to the build user, as if it had been fetched.
    """
    destination = f"{area.build}/{fetchurl.OUTPUT_NAME}"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(destination, flags, 0o644)
    with open(builder.at_hand, "rb") as file, os.fdopen(descriptor, "wb") as copy:
        while chunk := file.read(1 << 20):
            check_interrupt()
            copy.write(chunk)
        os.fchown(copy.fileno(), uid, uid)


def why_not_fetched(builder: PreparedBuilder, area: Workspace) -> FailedError | None:
    """Which URLs did not deliver, and why.

    Other contents than declared go before a server that has none.

    None for other builders than the fetcher, and if it left no report.
    """
    found = read_report(f"{area.build}/{fetchurl.REPORT_NAME}") if builder.download else None
    if not found or builder.download is None:
        return None
    expected = builder.download.hash
    if expected is not None and (wrong := wrong_contents(found, expected)):
        url, got = wrong
        return mismatch(builder.path, builder.derivation, "out", expected, got, url)
    first = found[0]
    why = reason("download", url=first.url, text=first.why, others=others(found, first.url))
    return FailedError(builder.path, why)
