"""Operations of the Nix dialect that had another form before minor version 34 (Nix 2.8).

Version 21 is that of Nix 2.3, the oldest that is served. Additions are archives as in Guix's dialect,
which left Nix's before; a path's archive is asked for piece by piece.
"""

from __future__ import annotations

from fruix.model.realisation import Realisation
from fruix.model.storepath import StorePath
from fruix.protocol import guix, nix
from fruix.protocol.common_operations import ASK_MANY
from fruix.protocol.compound import List
from fruix.protocol.model_codecs import BASE_NAME, PATH, SUBSTITUTABLES
from fruix.protocol.records import Body, Field, Operation, Record, row
from fruix.protocol.wire import NAME

# When realisations had a text of their own.
_TEXTS_SINCE = 31


def _found(path: StorePath) -> Realisation:
    """A realisation of which only the path is told."""
    return Realisation("", path)


_REALISED = Record(Realisation, (Field("id", NAME), Field("path", BASE_NAME)))
_FOUND = Record(_found, (Field("path", PATH),))

OLD: tuple[Operation, ...] = (
    row(7, guix.AddToStore, guix.ADD_ARCHIVE, PATH, body=Body.NAR, before=25),
    row(30, guix.QuerySubstitutablePathInfos, ASK_MANY, SUBSTITUTABLES, before=22),
    row(39, nix.AddToStoreNar, nix.ADD_NAR, body=Body.MESSAGES, before=23),
    row(42, nix.RegisterDrvOutput, [Field("realisation", _REALISED)], before=_TEXTS_SINCE),
    row(43, nix.QueryRealisation, [Field("id", NAME)], List(_FOUND), before=_TEXTS_SINCE),
)
