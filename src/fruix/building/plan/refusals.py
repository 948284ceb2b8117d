"""Why a derivation can't even be tried, as far as the store and the settings tell."""

from __future__ import annotations

from fruix.building.plan.goal import Plan
from fruix.building.plan.offers import Offers
from fruix.building.plan.seen import Seen
from fruix.building.plan.unresolved import CONTENT_ADDRESSED, DYNAMIC_DERIVATIONS, IMPURE_DERIVATIONS
from fruix.model.buildresult import BuildResult, BuildStatus
from fruix.model.derivation import Derivation
from fruix.model.derivedpath import ALL
from fruix.model.reasons import Reason, reason, text_of
from fruix.model.storepath import StorePath


def rejected(found: Plan, path: StorePath, why: Reason) -> BuildResult:
    """The result of what isn't even tried; the reason is noted."""
    found.reasons[path] = why
    return BuildResult(BuildStatus.INPUT_REJECTED, text_of(why, path))


def check_names(path: StorePath, derivation: Derivation, names: set[str]) -> BuildResult | None:
    """Refuse a request for outputs that there aren't."""
    unknown = sorted(names - set(derivation.outputs) - set(ALL))
    if not unknown:
        return None
    text = (
        f"derivation '{path}' has no output '{unknown[0]}'; it has: {', '.join(sorted(derivation.outputs))}"
    )
    return BuildResult(BuildStatus.MISC_FAILURE, text)


def check_features(found: Plan, path: StorePath) -> BuildResult | None:
    """Refuse what is built in ways that are not switched on."""
    derivation = found.derivations[path]
    needed = {
        CONTENT_ADDRESSED: derivation.is_unresolved,
        IMPURE_DERIVATIONS: derivation.is_impure,
        DYNAMIC_DERIVATIONS: derivation.is_dynamic,
    }
    for feature, is_needed in needed.items():
        if is_needed and feature not in found.features:
            return rejected(found, path, reason("experimental", feature=feature))
    return None


def check_purity(found: Plan, store: Seen, path: StorePath) -> BuildResult | None:
    """Refuse what is to be the same each time and needs what isn't."""
    derivation = found.derivations[path]
    if IMPURE_DERIVATIONS not in found.features or derivation.is_open:
        return None
    for drv in derivation.input_drvs:
        if store.is_there(drv) and store.read_derivation(drv).is_impure:
            return rejected(found, path, reason("impure-input", path=str(drv)))
    return None


def check_sources(store: Seen, path: StorePath, derivation: Derivation, offers: Offers) -> BuildResult | None:
    """Refuse what needs a source that nobody has."""
    for source in store.absent(derivation.input_srcs):
        if offers.get(source) is None:
            state = "is gone" if store.is_valid(source) else "is not valid"
            text = f"derivation '{path}' needs source '{source}', which {state} and can't be obtained"
            return BuildResult(BuildStatus.MISC_FAILURE, text)
    return None
