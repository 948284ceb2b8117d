"""`builtin:git-download`, as clients of Guix have commits fetched.

Variables read: `url` (Scheme text: a string, or a list of them that are tried in turn), `commit` (or
the name of a tag), `recursive?` (`#t`: with submodules). The output is the tree without any `.git`;
its hash is checked as that of every fixed output.

The host's `git` does it, as the view `base+git` shows it, in a sandbox with a network, with no
configuration but ours, and with no protocols but those of `SCHEMES`, for submodules too.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from urllib.parse import urlsplit

from fruix.building.builders import scheme
from fruix.building.builders.fetch import chosen_network
from fruix.building.builders.loopback import refusal
from fruix.building.builders.platforms import check_features
from fruix.building.builders.prepared_builder import PreparedBuilder, contract_of, outputs_in_store
from fruix.building.resources import Resources
from fruix.building.settings import PROXY_VARIABLES
from fruix.errors import BadDerivationError
from fruix.model.attributes import read as read_attributes
from fruix.model.build_options import BuildOptions
from fruix.model.contentaddress import Method
from fruix.model.derivation import Derivation
from fruix.model.secrets import secrets_in, without_user
from fruix.model.storepath import StorePath
from fruix.model.text import printable
from fruix.sandbox import Exec
from fruix.sandbox.contracts import CONTRACTS
from fruix.sandbox.network_files import CERTIFICATES, host_files

BUILDER = "builtin:git-download"
VIEW = "base+git"
SCHEMES = ("http", "https", "git")
_COMMIT = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+/@~-]{0,254}")
_SHELL = "/bin/sh"
# A server may refuse to give a commit that no branch ends with, or to give less than everything: then
# all is fetched. Submodules whose addresses are relative follow that of `origin`.
_SCRIPT = r"""set -u
take() {
    rm -rf source
    git init -q --template= source && git -C source remote add origin "$1" || return 1
    if git -C source fetch -q --depth 1 origin "$commit"; then
        found=FETCH_HEAD
    else
        git -C source fetch -q origin '+refs/*:refs/fetched/*' || return 1
        for name in "$commit" "refs/fetched/tags/$commit" "refs/fetched/heads/$commit"; do
            found="$(git -C source rev-parse -q --verify "$name^{commit}")" && break
        done
        if [ -z "$found" ]; then echo "$1: there is no commit $commit"; return 1; fi
    fi
    git -C source -c advice.detachedHead=false checkout -q --detach "$found" || return 1
    [ -z "$recursive" ] || git -C source submodule --quiet update --init --recursive
}
for url in "$@"; do
    echo "fetching $commit from $url"
    if take "$url"; then
        find source -name .git -prune -exec rm -rf {} + && mv source "$out"
        exit
    fi
done
echo "none of $# URL(s) gave the commit $commit"
exit 1
"""


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
    urls, wanted = _asked(derivation)
    network = chosen_network(settings)
    usable = _usable(urls, settings.loopback_ports, network, derivation.name)
    view = resources.views.resolve(VIEW)
    contract = CONTRACTS["fruix"]
    directory = contract.build_directory(derivation.name + ".drv")
    proxies = {name: os.environ[name] for name in PROXY_VARIABLES if name in os.environ}
    variables = {
        **proxies,
        **_of_git(network),
        "PATH": ":".join(view.view.path),
        "HOME": directory,
        **wanted,
        "out": str(derivation.output_paths["out"]),
    }
    return PreparedBuilder(
        path=path,
        derivation=derivation,
        attributes=attributes,
        contract=contract,
        program=Exec(_SHELL, ("sh", "-c", _SCRIPT, "sh", *usable), variables, directory),
        areas=(("store", resources.store.directory), ("tmp", "/tmp"), ("build", directory)),  # noqa: S108 - the name inside
        outputs=outputs_in_store(derivation),
        view=view,
        network=network,
        loopback_ports=settings.loopback_ports,
        secrets=secrets_in(proxies.values()),
    )


def _usable(urls: Sequence[str], ports: Sequence[int], network: str, name: str) -> list[str]:
    """The URLs that may be asked.

    Raises:
        BadDerivationError: none of them; says why of the first.
    """
    refused = {url: why for url in urls if (why := refusal(urlsplit(url), ports, network))}
    if len(refused) == len(urls):
        url, why = next(iter(refused.items()))
        raise BadDerivationError(f"{printable(without_user(url))}: {why}", where=name)
    return [url for url in urls if url not in refused]


def _of_git(network: str) -> dict[str, str]:
    """Variables that let git use nobody's configuration, ask nobody, and speak `SCHEMES` only."""
    found = {
        "LC_ALL": "C",
        "GIT_ALLOW_PROTOCOL": ":".join(SCHEMES),
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": "core.autocrlf",
        "GIT_CONFIG_VALUE_0": "false",
        "GIT_TERMINAL_PROMPT": "0",
    }
    if CERTIFICATES in host_files(network):
        found["GIT_SSL_CAINFO"] = f"/etc/{CERTIFICATES}"
    return found


def _asked(derivation: Derivation) -> tuple[list[str], dict[str, str]]:
    """The URLs, and what the script is told of the commit.

    Raises:
        BadDerivationError: they can't be taken, or the output isn't a fixed tree.
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
    for url in urls:
        if urlsplit(url).scheme not in SCHEMES or not url.isprintable():
            shown, known = printable(without_user(url)), ", ".join(SCHEMES)
            raise BadDerivationError(f"commits are fetched by {known}, not from '{shown}'", where=name)
    if not _COMMIT.fullmatch(commit):
        raise BadDerivationError(f"'{printable(commit)}' is no name of a commit or tag", where=name)
    return urls, {"commit": commit, "recursive": "1" if derivation.env.get("recursive?") == "#t" else ""}
