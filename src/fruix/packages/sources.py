"""Where the sources of packages come from.

That is: a file with a known hash (`Origin`), files beside the definition (`Local`), or a commit of a
Git repository (`Git`).

All are immutable records with the patches that are applied to them. `lower_sources`
makes paths of a store or derivations of them.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from typing import Annotated

from fruix.dataclass import dataclass, field
from fruix.late import late_pattern
from fruix.model.hashes import Hash
from fruix.model.storepath import legal_name
from fruix.overriding import override
from fruix.packages import check
from fruix.packages.check import Rule
from fruix.packages.fields import FileName, Sha256, Url, definition, is_store_name
from fruix.packages.place import Place, definition_place
from fruix.packages.wording import shown

_COMMIT = late_pattern(r"[0-9a-f]{40}|[0-9a-f]{64}")
_GIT_URL = late_pattern(r"(git\+)?https?://[^/]+/.+")
GitUrl = Annotated[
    Url, Rule("the URL of a repository, such as https://…", lambda url: _GIT_URL.fullmatch(url) is not None)
]
Commit = Annotated[
    str,
    Rule(
        "a commit", lambda text: _COMMIT.fullmatch(text) is not None, hint="all 40 (or 64) hexadecimal digits"
    ),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Fields of all kinds of sources.

    Attributes:
        patches: local files, applied in order with `patch -p1`; relative to the file with the
            definition, kept as absolute names.
        fuzz: how many lines at the ends of a patch's context may differ from the source's.
        file_name: name in the store; default: the end of its URL or path, without characters that
            no name may have.
        location: file and line of the definition; no part of the value.
    """

    patches: tuple[FileName, ...] = ()
    fuzz: Annotated[int, Rule("a number of lines from 0 to 9", range(10).__contains__)] = 0
    file_name: str = ""
    location: Place = field(default=Place("", 0), init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "location", definition_place())
        check.read_fields(self)
        if not is_store_name(self.store_name):
            hint = f"nothing can be left of {shown(self.end)}; such as file_name='hello-1.0.tar.gz'"
            raise check.wrong("field 'file_name'", "a name for the store", self.file_name, hint)
        object.__setattr__(self, "patches", tuple(_local_files(self.patches, self.location)))

    @property
    def end(self) -> str:
        """What its name in the store is made of.

        The end of its path or of its first URL's path, with `%20` and the like put in, without query
        and fragment; or a repository's name and the first digits of the commit.
        """
        raise NotImplementedError

    @property
    def store_name(self) -> str:
        """The name of its path in the store: `file_name`, or made of `end`."""
        return self.file_name or legal_name(self.end)


@definition
@dataclass(frozen=True, slots=True)
class Origin(Source):
    """A file with a known hash.

    Attributes:
        urls: tried in order; `mirror://gnu/…` and `mirror://debian/…` stand for lists of mirrors,
            `file:///…` for a file of this machine.
        sha256: of the file's bytes, in any text form.
    """

    urls: Annotated[tuple[Url, ...], Rule("a list of at least one URL", bool)]
    sha256: Sha256

    @property
    def hash(self) -> Hash:
        """`sha256`, parsed."""
        return Hash.parse(self.sha256, "sha256")

    @property
    @override
    def end(self) -> str:
        return _end_of(self.urls[0])

    @property
    def file_names(self) -> tuple[str, ...]:
        """Names under which somebody may have downloaded it already."""
        ends = [end for url in self.urls for end in (url.rpartition("/")[2], _end_of(url))]
        return tuple(dict.fromkeys((self.store_name, *ends)))

    @property
    def files(self) -> tuple[str, ...]:
        """The names of files of this machine among its URLs."""
        return tuple(_path_of(url) for url in self.urls if url[:5].lower() == "file:")


@definition
@dataclass(frozen=True, slots=True)
class Local(Source):
    """A file or directory of this machine as it is now.

    Of a Git work tree it is what Git does not ignore, committed or not.

    Attributes:
        path: relative to the file with the definition, kept as an absolute name.
        exclude: patterns (`*`, `?`, `[…]`) of what is left out: of names anywhere in the directory,
            or, with a slash, of paths below it.
    """

    path: FileName
    exclude: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        path = os.path.normpath(os.path.join(self.location.directory, self.path))
        if not os.path.exists(path):
            hint = f"there is no {path}: names are relative to the file with the definition"
            raise check.wrong("field 'path'", "a file or directory", self.path, hint)
        object.__setattr__(self, "path", path)

    @property
    @override
    def end(self) -> str:
        return os.path.basename(os.path.normpath(os.path.join(self.location.directory, self.path)))


@definition
@dataclass(frozen=True, slots=True)
class Git(Source):
    """A commit of a Git repository, fetched over HTTP.

    Attributes:
        url: `https://…` or `git+https://…`.
        commit: its whole hash.
        sha256: of the files as an archive (NAR), without Git's own; in any text form. `fruix
            prefetch` and a build with a wrong one say it.
        submodules: whether those are part of it.
    """

    url: GitUrl
    commit: Commit
    sha256: Sha256
    submodules: bool = False

    @property
    def hash(self) -> Hash:
        """`sha256`, parsed."""
        return Hash.parse(self.sha256, "sha256")

    @property
    def plain_url(self) -> str:
        """The URL as Git takes it, without `git+`."""
        return self.url.removeprefix("git+")

    @property
    @override
    def end(self) -> str:
        name = _end_of(self.url.rstrip("/")).removesuffix(".git")
        return f"{name}-{self.commit[:10]}" if name else ""


def _end_of(url: str) -> str:
    return _path_of(url).rpartition("/")[2]


_PLAIN_URL = late_pattern(r"[a-z+]+://[A-Za-z0-9.:-]*(/[A-Za-z0-9/._~+,@=-]*)")


def _path_of(url: str) -> str:
    """A URL's path, with `%20` and the like put in; nearly all are read without loading `urllib`."""
    if plain := _PLAIN_URL.fullmatch(url):
        return plain[1]
    from urllib.parse import unquote, urlsplit  # noqa: PLC0415

    return unquote(urlsplit(url).path)


def _local_files(names: Iterable[str], place: Place) -> Iterator[str]:
    """Absolute names of files that are named beside a definition."""
    for number, name in enumerate(names, 1):
        path = os.path.join(place.directory, name)
        if not os.path.isfile(path):
            hint = f"there is no file {path}: names are relative to the file with the definition"
            raise check.wrong(f"item {number} of field 'patches'", "a file", name, hint)
        yield path
