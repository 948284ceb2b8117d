"""`builtin:git-download`: commits, for clients of Guix and as sources of packages.

Variables read: `url` (Scheme text: a string, or a list of them that are tried in turn), `commit` (or
the name of a tag), `recursive?` (`#t`: with submodules). The output is the tree without any `.git`;
its hash is checked as that of every fixed output.

The host's `git` does it (`git_script`), as the view `base+git` shows it, in a sandbox with a network.
Repositories in the operator's `sources` directories come first, shown read-only: those that are called
as a URL ends, for a commit's hash, and those that a `file://` URL names. Last come the operator's
`mirrors` of the beginnings of the URLs, and behind them, where the setting says so, an archive of
source code (`source_archive`).
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from urllib.parse import SplitResult, unquote, urlsplit
from urllib.request import getproxies

from fruix.building.builders import scheme
from fruix.building.builders.fetch import chosen_network
from fruix.building.builders.git_script import SCHEMES, SCRIPT, VARIABLES
from fruix.building.builders.loopback import refusal
from fruix.building.builders.mirrors import elsewhere
from fruix.building.builders.platforms import check_features
from fruix.building.builders.prepared_builder import PreparedBuilder, contract_of, outputs_in_store
from fruix.building.resources import Resources
from fruix.building.settings import PROXY_VARIABLES, BuildSettings
from fruix.errors import BadDerivationError, UsageError
from fruix.late import late_pattern
from fruix.model.attributes import read as read_attributes
from fruix.model.build_options import BuildOptions
from fruix.model.contentaddress import Method
from fruix.model.derivation import Derivation
from fruix.model.secrets import secret_values, without_user
from fruix.model.storepath import StorePath
from fruix.model.text import printable
from fruix.sandbox import Bind, Entry, Exec
from fruix.sandbox.contracts import CONTRACTS
from fruix.sandbox.network_files import CERTIFICATES, host_files
from fruix.sandbox.networks import NONE

BUILDER = "builtin:git-download"
VIEW = "base+git"
_COMMIT = late_pattern(r"[A-Za-z0-9_][A-Za-z0-9_.+/@~-]{0,254}")
_HASH = late_pattern(r"[0-9a-f]{40}|[0-9a-f]{64}")
_SHELL = "/bin/sh"
_SHOWN = "/repositories"  # inside
_BLOCK = 512  # bytes; what `ulimit -f` counts


def prepare_git_download(
    path: StorePath, derivation: Derivation, options: BuildOptions, resources: Resources
) -> PreparedBuilder:
    """Check what is asked for and declared.

    Raises:
        FruixError: it is not declared as it should be, no URL of it may be asked, there is no network
            for it, or no git on this machine.
    """
    settings = resources.settings
    attributes = read_attributes(derivation, guix=contract_of(derivation, options.contract).guix_attributes)
    check_features(path, attributes, settings)
    urls, commit = _asked(derivation)
    shown = _at_hand(urls, commit, settings.sources)
    network = chosen_network(settings, "repository", needed=not shown)
    usable = [f"file://{bind.target}" for bind in shown]
    usable += _usable(urls, settings, network, needed=not shown, name=derivation.name)
    view, contract = resources.views.resolve(VIEW), CONTRACTS["fruix"]
    directory = contract.build_directory(derivation.name + ".drv")
    own = {"PATH": ":".join(view.view.path), "HOME": directory, "commit": commit}
    variables = {**_variables(derivation, settings, network), **own}
    git = Exec(_SHELL, ("sh", "-c", SCRIPT, "sh", *usable), variables, directory)
    return PreparedBuilder(
        path=path,
        derivation=derivation,
        attributes=attributes,
        contract=contract,
        program=_program(derivation, settings, network, git),
        areas=(("store", resources.store.directory), ("tmp", "/tmp"), ("build", directory)),  # noqa: S108 - the name inside
        outputs=outputs_in_store(derivation),
        view=view,
        network=network,
        loopback_ports=settings.loopback_ports,
        secrets=_secrets([*variables.values(), *usable]),
        shown=tuple(shown),
    )


def _program(derivation: Derivation, settings: BuildSettings, network: str, git: Exec) -> Exec | Entry:
    """`git`, and behind it the operator's archive of source code, if there is one and a network."""
    archive = settings.source_archive
    if not archive or network == NONE:
        return git
    if why := refusal(urlsplit(archive), settings.loopback_ports, network):
        raise UsageError(f"the archive {archive} {why}", where="setting 'source-archive'")
    address = derivation.outputs["out"].content_address
    declared = address.hash if address else None
    return Entry(
        "fruix.building.builders.source_archive:main",
        {
            "git": [git.path, git.argv, git.environment],
            "archive": archive,
            "urls": scheme.strings(derivation.env["url"]),
            "commit": derivation.env["commit"],
            "nar_sha256": declared.base16 if declared and declared.algorithm == "sha256" else "",
            "directory": git.directory,
            "out": git.environment["out"],
            "max_size": settings.max_download_size,
            "ca_file": git.environment.get("GIT_SSL_CAINFO", ""),
            "proxies": getproxies(),
        },
    )


def _variables(derivation: Derivation, settings: BuildSettings, network: str) -> dict[str, str]:
    """What git and the script are told besides."""
    proxies = {name: os.environ[name] for name in PROXY_VARIABLES if name in os.environ}
    certificates = {"GIT_SSL_CAINFO": f"/etc/{CERTIFICATES}"} if CERTIFICATES in host_files(network) else {}
    return {
        **proxies,
        **VARIABLES,
        **certificates,
        "longest": str(settings.max_download_size // _BLOCK or ""),
        "recursive": "1" if derivation.env.get("recursive?") == "#t" else "",
        "out": str(derivation.output_paths["out"]),
    }


def _asked(derivation: Derivation) -> tuple[list[str], str]:
    """The URLs, and the commit.

    Raises:
        BadDerivationError: there are none, or the output isn't a fixed tree.
    """
    name = derivation.name
    output = derivation.outputs.get("out")
    address = output.content_address if output else None
    if len(derivation.outputs) != 1 or address is None or address.method is not Method.NAR:
        raise BadDerivationError(
            f"'{BUILDER}' makes one output, 'out', with the hash of its tree", where=name
        )
    urls, commit = scheme.strings(derivation.env.get("url", "")), derivation.env.get("commit", "")
    if not urls:
        raise BadDerivationError(
            f"'{BUILDER}' needs a URL in the variable 'url', as a Scheme string", where=name
        )
    if not _COMMIT.fullmatch(commit):
        raise BadDerivationError(f"'{printable(commit)}' is no name of a commit or tag", where=name)
    return urls, commit


def _at_hand(urls: Iterable[str], commit: str, directories: Sequence[str]) -> list[Bind]:
    """Repositories in `directories`: of `file` URLs, and those that are called as others end.

    The latter for a commit's hash only: what has a tag's name there might be something else.
    """
    found: list[str] = []
    named = _HASH.fullmatch(commit) is not None
    for parts in filter(None, map(_parts, urls)):
        parent, _, name = unquote(parts.path).rstrip("/").rpartition("/")
        for directory in map(os.path.normpath, directories):
            if parent == directory if parts.scheme == "file" else named:
                plain = name.removesuffix(".git")
                found += filter(_is_repository, (f"{directory}/{plain}.git", f"{directory}/{plain}"))
    places = enumerate(map(os.path.realpath, dict.fromkeys(found)))
    return [Bind(place, f"{_SHOWN}/{number}") for number, place in places]


def _is_repository(place: str) -> bool:
    """Whether it is one, bare or not; `.` and `..` are none."""
    within = os.path.normpath(place) == place
    return within and any(os.path.isfile(f"{place}/{head}") for head in ("HEAD", ".git/HEAD"))


def _usable(
    urls: Sequence[str], settings: BuildSettings, network: str, *, needed: bool, name: str
) -> list[str]:
    """The URLs that may be asked, and after them the operator's mirrors.

    Raises:
        BadDerivationError: there are none, and they are needed; says why of the first.
    """
    refused = {url: why for url in urls if (why := _refusal(url, settings.loopback_ports, network))}
    if needed and len(refused) == len(urls):
        raise BadDerivationError(next(iter(refused.values())), where=name)
    if network == NONE:
        return []
    asked = [url for url in urls if url not in refused]
    return [*dict.fromkeys([*asked, *(other for url in asked for other in elsewhere(url, settings.mirrors))])]


def _refusal(url: str, ports: Sequence[int], network: str) -> str:
    parts, shown = _parts(url), printable(without_user(url))
    if parts is None or parts.scheme not in SCHEMES or not url.isprintable():
        places = "; of this machine: those in its 'sources' directories" if url.startswith("file:") else ""
        return f"commits are fetched by {', '.join(SCHEMES)}, not from '{shown}'{places}"
    why = refusal(parts, ports, network)
    return f"{shown}: {why}" if why else ""


def _parts(url: str) -> SplitResult | None:
    try:
        return urlsplit(url)
    except ValueError:
        return None


def _secrets(urls: Sequence[str]) -> tuple[str, ...]:
    """What is secret in URLs: passwords, and names that stand alone, as tokens do."""
    users = {f"user of {url}": user for url in urls if (user := url.partition("//")[2].rpartition("@")[0])}
    return secret_values({**users, **{url: url for url in urls}}, urls)
