"""What sources become: local files, Git work trees, files of this machine by URL, commits."""

from __future__ import annotations

import hashlib
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from fruix.errors import DefinitionError, UsageError
from fruix.model.contentaddress import Method
from fruix.model.hashes import Hash
from fruix.model.makepath import fixed_path
from fruix.packages.local_files import selected
from fruix.packages.lower import Lowered
from fruix.packages.package import Git, Local, Origin
from packages.test_definitions import SHA, FakeStore, lowering, trivial

COMMIT = "c" * 40


class TreeStore(FakeStore):
    """Remembers the names in what it was given."""

    def __init__(self) -> None:
        super().__init__()
        self.trees: dict[str, list[str]] = {}

    def is_valid(self, path: object) -> bool:
        return path in self.files

    def add_path(self, name: str, source: str, method: Method = Method.NAR, algorithm: str = "sha256") -> Any:
        if not os.path.isdir(source):
            return super().add_path(name, source, method, algorithm)
        found = sorted(str(path.relative_to(source)) for path in Path(source).rglob("*"))
        self.trees[name] = found
        path = fixed_path(name, method, Hash.of("sha256", repr(found).encode()))
        self.files[path] = b""
        return path


def lower(source: Any, store: FakeStore | None = None) -> Lowered:
    return lowering(store or TreeStore()).lowered(trivial("a", source=source))


def names(path: Path, *exclude: str) -> list[str]:
    with selected(str(path), exclude) as top:
        return sorted(str(item.relative_to(top)) for item in Path(top).rglob("*"))


def tree(top: Path, *files: str) -> Path:
    for name in files:
        (top / name).parent.mkdir(parents=True, exist_ok=True)
        (top / name).write_text(name)
    return top


def git(top: Path, *words: str) -> None:
    subprocess.run(
        ["git", "-c", "user.name=a", "-c", "user.email=a@b", "-c", "protocol.file.allow=always", *words],
        cwd=top, check=True, capture_output=True, env={"PATH": os.environ["PATH"], "HOME": "/nonexistent"},
    )  # fmt: skip


def test_a_directory_beside_the_definition(tmp_path: Path) -> None:
    tree(tmp_path / "src", "main.c", "lib/x.c")
    (tmp_path / "x.py").write_text(
        'package = Package(name="x", version="1", source=Local("src"), host_view="base",'
        ' arguments={"tests": False})'
    )
    from fruix.packages.load import from_file

    (package,) = from_file(str(tmp_path / "x.py"))
    store = TreeStore()
    lowered = lowering(store).lowered(package)
    assert store.trees == {"src": ["lib", "lib/x.c", "main.c"]}
    assert lowered.source is not None
    assert lowered.source.drv is None
    assert lowered.source.output in lowered.derivation.input_srcs
    assert lowered.derivation.env["source"] == lowered.source.output.text
    assert lowered.derivation.input_drvs == {}


def test_a_file_and_names(tmp_path: Path) -> None:
    tree(tmp_path, "a (1).tar.gz")
    lowered = lower(Local(str(tmp_path / "a (1).tar.gz")))
    assert lowered.source is not None
    assert lowered.source.output.name == "a-1-.tar.gz"
    named = lower(Local(str(tmp_path), file_name="top-1"))
    assert named.source is not None
    assert named.source.output.name == "top-1"


def test_the_definitions_own_directory(tmp_path: Path) -> None:
    (tmp_path / "here").mkdir()
    assert Local(str(tmp_path / "here" / ".")).store_name == "here"


def test_what_is_excluded(tmp_path: Path) -> None:
    tree(tmp_path, "a.c", "a.o", "sub/b.c", "sub/b.o", "build/x", "sub/build/y", "doc/build.txt")
    assert names(tmp_path, "*.o", "build") == ["a.c", "doc", "doc/build.txt", "sub", "sub/b.c"]
    assert names(tmp_path, "/build", "sub/*.o") == [
        "a.c",
        "a.o",
        "doc",
        "doc/build.txt",
        "sub",
        "sub/b.c",
        "sub/build",
        "sub/build/y",
    ]


def test_without_exclusions_nothing_is_copied(tmp_path: Path) -> None:
    tree(tmp_path, "a.c")
    with selected(str(tmp_path), ()) as top:
        assert top == str(tmp_path)


def test_links_modes_and_empty_directories_are_kept(tmp_path: Path) -> None:
    tree(tmp_path, "program", "left-out")
    (tmp_path / "program").chmod(0o755)
    (tmp_path / "link").symlink_to("nowhere")
    (tmp_path / "empty").mkdir()
    with selected(str(tmp_path), ("left-out",)) as top:
        assert sorted(os.listdir(top)) == ["empty", "link", "program"]
        assert os.readlink(f"{top}/link") == "nowhere"
        assert os.access(f"{top}/program", os.X_OK)


@pytest.fixture
def work_tree(tmp_path: Path) -> Path:
    top = tree(tmp_path / "work", "main.c", "sub/x.c", "größe.txt", ".gitignore")
    git(top, "init", "-q")
    (top / ".gitignore").write_text("*.o\n/build\n")
    git(top, "add", ".")
    git(top, "commit", "-qm", "one")
    return top


def test_of_a_work_tree_what_git_ignores_is_left_out(work_tree: Path) -> None:
    tree(work_tree, "main.o", "build/x", "sub/y.o")
    assert names(work_tree) == [".gitignore", "größe.txt", "main.c", "sub", "sub/x.c"]


def test_the_present_state_counts(work_tree: Path) -> None:
    """What was changed, added or deleted since the last commit; commits alone change nothing."""
    before = lower(Local(str(work_tree))).drv
    git(work_tree, "commit", "-qm", "two", "--allow-empty")
    assert lower(Local(str(work_tree))).drv == before
    tree(work_tree, "new.c")
    (work_tree / "main.c").unlink()
    assert names(work_tree) == [".gitignore", "größe.txt", "new.c", "sub", "sub/x.c"]


def test_a_directory_in_a_work_tree(work_tree: Path) -> None:
    tree(work_tree, "sub/y.o", "sub/z.c")
    assert names(work_tree / "sub") == ["x.c", "z.c"]
    assert names(work_tree / "sub", "z*") == ["x.c"]


def test_submodules_are_part_of_a_work_tree(work_tree: Path, tmp_path: Path) -> None:
    other = tree(tmp_path / "other", "inner.c")
    git(other, "init", "-q")
    git(other, "add", ".")
    git(other, "commit", "-qm", "one")
    git(work_tree, "submodule", "--quiet", "add", str(other), "deep/other")
    tree(work_tree, "deep/other/inner.o")
    found = names(work_tree)
    assert {"deep/other/inner.c", "deep/other/inner.o"} <= set(found)  # *.o is not ignored there
    assert not any(".git" in name.split("/") for name in found)


def test_a_work_tree_of_which_nothing_is_left(work_tree: Path) -> None:
    tree(work_tree, "build/x")
    with pytest.raises(UsageError, match="nothing is left of"), selected(str(work_tree / "build"), ()):
        pass


def test_a_work_tree_without_git(work_tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(UsageError, match="git can't be run") as caught, selected(str(work_tree), ()):
        pass
    assert "install git" in caught.value.hint


def test_no_program_of_a_repository_is_run(work_tree: Path) -> None:
    git(work_tree, "config", "core.fsmonitor", f"touch {work_tree}/was-run")
    names(work_tree)
    assert not (work_tree / "was-run").exists()


def test_files_of_this_machine(tmp_path: Path) -> None:
    """Are added by the client, under the path that a download would have."""
    file = tree(tmp_path, "a b.tar.gz") / "a b.tar.gz"
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    store = TreeStore()
    url = f"file://{str(file).replace(' ', '%20')}"
    lowered = lower(Origin((url, "https://x/y"), digest), store)
    assert lowered.source is not None
    assert store.is_valid(lowered.source.output)
    assert lowered.source.output.name == "a-b.tar.gz"
    elsewhere = lower(Origin(("https://x/y",), digest, file_name="a-b.tar.gz"))
    assert elsewhere.source is not None
    assert lowered.source == elsewhere.source
    with pytest.raises(DefinitionError, match=rf"has the SHA-256 {digest}, not {'0' * 64}") as caught:
        lower(Origin((url,), SHA))
    assert caught.value.place.startswith(__file__)
    with pytest.raises(DefinitionError, match="can't read /nonexistent: No such file"):
        lower(Origin(("file:///nonexistent",), SHA))
    lower(Origin(("file:///nonexistent", "https://x/y"), SHA))


@pytest.mark.parametrize(
    "sha256", [SHA, "sha256-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", f"sha256:{'0' * 52}", "0" * 52]
)
def test_hashes_in_all_forms(sha256: str) -> None:
    one, other = lower(Origin(("https://x/y",), sha256)), lower(Origin(("https://x/y",), SHA))
    assert one.drv == other.drv
    assert lower(Git("https://x/y", COMMIT, sha256)).drv == lower(Git("https://x/y", COMMIT, SHA)).drv


def test_commits() -> None:
    store = TreeStore()
    lowered = lower(Git("git+https://host/some/thing.git", COMMIT, SHA), store)
    assert lowered.source is not None
    assert lowered.source.output == fixed_path(f"thing-{'c' * 10}", Method.NAR, Hash.parse(SHA, "sha256"))
    assert lowered.source.drv is not None
    text = store.files[lowered.source.drv].decode()
    for part in (
        '"builtin:git-download"',
        r'("url","\"https://host/some/thing.git\"")',
        f'("commit","{COMMIT}")',
        '"r:sha256"',
    ):
        assert part in text
    assert lowered.source.drv in lowered.derivation.input_drvs


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"commit": "main"}, "field 'commit' should be a commit, not 'main'"),
        ({"commit": "c" * 39}, "field 'commit' should be a commit"),
        ({"url": "ftp://x/y"}, "field 'url' should be the URL of a repository"),
        ({"url": "https://x"}, "field 'url' should be the URL of a repository"),
        ({"url": "ext::sh -c x"}, "field 'url' should be"),
        ({"sha256": "x"}, "field 'sha256' should be a SHA-256"),
        ({"branch": "x"}, "Git has no field 'branch'"),
        ({"patches": ["no.patch"]}, "item 1 of field 'patches' should be a file"),
    ],
)
def test_wrong_commits(fields: dict[str, Any], why: str) -> None:
    with pytest.raises(DefinitionError) as caught:
        Git(**{"url": "https://x/y", "commit": COMMIT, "sha256": SHA, **fields})
    assert why in caught.value.message
    assert caught.value.place.startswith(__file__)


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"path": "nowhere"}, "field 'path' should be a file or directory, not 'nowhere'"),
        ({"path": ".", "exclude": "*.o"}, "field 'exclude' should be a list of texts, not '*.o'"),
        ({"path": "/"}, "field 'file_name' should be a name for the store, not ''"),
        ({"path": 5}, "field 'path' should be a text, not 5"),
    ],
)
def test_wrong_local_files(fields: dict[str, Any], why: str) -> None:
    with pytest.raises(DefinitionError) as caught:
        Local(**fields)
    assert why in caught.value.message
    assert caught.value.place.startswith(__file__)
