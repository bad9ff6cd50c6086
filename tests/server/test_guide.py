"""The guided path's files: which are served, to whom, and that no request and no guide names another."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from tests.server.live_rig import REMOTE, live_rig
from twinproof.errors import Corrupt
from twinproof.node.config import Access
from twinproof.server.console import policy
from twinproof.server.guide import MAX_BYTES, MAX_FILES, MAX_GUIDE, Guide, named_files

SECRET: Final = b"nothing for the world"
TOLD: Final[dict[str, Any]] = {
    "policy": "policy.txt",
    "sound": {"file": "story.twinproof", "told": "all"},
    "lies": [
        {"id": "altered", "file": "altered.twinproof", "policy": "other.txt"},
        {"id": "counterfeit", "link": "#/part/7"},
    ],
}
NAMED: Final = {"policy.txt", "story.twinproof", "altered.twinproof", "other.txt"}


def write(folder: Path, guide: Any = TOLD) -> None:
    folder.mkdir(exist_ok=True)
    for name in NAMED:
        (folder / name).write_bytes(name.encode())
    (folder / "guide.json").write_text(json.dumps(guide))


@dataclass(frozen=True)
class Laid:
    """A guide with secrets beside it."""

    folder: Path
    client: TestClient

    def get(self, name: str) -> Any:
        return self.client.get(f"/console/guide/{name}")


@pytest.fixture
def laid(tmp_path: Path) -> Iterator[Laid]:
    folder = tmp_path / "guide"
    write(folder)
    (tmp_path / "secret.txt").write_bytes(SECRET)
    (folder / "unnamed.txt").write_bytes(SECRET)
    with TestClient(Starlette(routes=Guide(folder, {"x-content-type-options": "nosniff"}).routes())) as client:
        yield Laid(folder, client)


def test_the_guide_and_what_it_names(laid: Laid) -> None:
    for name in ("guide.json", *NAMED):
        answer = laid.get(name)
        assert (answer.status_code, answer.content) == (200, (laid.folder / name).read_bytes())
        assert answer.headers["content-type"] == "application/octet-stream"
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["x-content-type-options"] == "nosniff"
    assert laid.client.post("/console/guide/guide.json").status_code == 405


@pytest.mark.parametrize(
    "name",
    [
        "unnamed.txt",
        "secret.txt",
        "..%2fsecret.txt",
        "%2e%2e%2fsecret.txt",
        "..",
        "%2e%2e",
        "POLICY.TXT",
        "policy.txt%00",
        "policy.txt%0a",
        "%252e%252e%252fsecret.txt",
        "x" * 5000,
    ],
)
def test_no_other_name_is_a_file(laid: Laid, name: str) -> None:
    answer = laid.get(name)
    assert answer.status_code == 404
    assert SECRET not in answer.content


def test_a_name_that_is_not_there_is_a_problem(laid: Laid) -> None:
    answer = laid.get("unnamed.txt")
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["code"] == "not-found"
    assert answer.headers["cache-control"] == "no-store"


def test_a_guide_that_comes_changes_and_goes_is_noticed(tmp_path: Path) -> None:
    folder = tmp_path / "guide"
    with TestClient(Starlette(routes=Guide(folder, {}).routes())) as client:
        assert client.get("/console/guide/guide.json").status_code == 204
        assert client.get("/console/guide/policy.txt").status_code == 404
        write(folder)
        assert client.get("/console/guide/policy.txt").status_code == 200
        write(folder, {**TOLD, "policy": "unnamed.txt"})
        assert client.get("/console/guide/policy.txt").status_code == 404
        (folder / "guide.json").unlink()
        assert client.get("/console/guide/guide.json").status_code == 204
        assert client.get("/console/guide/story.twinproof").status_code == 404


@pytest.mark.parametrize("name", ["story.twinproof", "guide.json"])
def test_links_folders_and_pipes_are_no_files(laid: Laid, name: str) -> None:
    path, copy = laid.folder / name, laid.folder.parent / "copy"
    path.rename(copy)
    missing = 204 if name == "guide.json" else 404
    path.symlink_to(copy)
    assert laid.get(name).status_code == missing
    path.unlink()
    path.mkdir()
    assert laid.get(name).status_code == missing
    path.rmdir()
    os.mkfifo(path)
    assert laid.get(name).status_code == missing
    path.unlink()
    os.link(copy, path)
    assert laid.get(name).status_code == 200


def test_a_folder_that_is_a_link_is_none(laid: Laid) -> None:
    moved = laid.folder.parent / "moved"
    laid.folder.rename(moved)
    laid.folder.symlink_to(moved)
    assert laid.get("guide.json").status_code == 204
    assert laid.get("story.twinproof").status_code == 404


def test_large_files_are_refused(laid: Laid) -> None:
    with (laid.folder / "story.twinproof").open("wb") as file:
        file.truncate(MAX_BYTES)
    assert laid.get("story.twinproof").status_code == 200
    with (laid.folder / "story.twinproof").open("ab") as file:
        file.write(b"x")
    assert laid.get("story.twinproof").status_code == 413
    with (laid.folder / "guide.json").open("wb") as file:
        file.truncate(MAX_GUIDE + 1)
    assert laid.get("guide.json").status_code == 413


WRONG: Final[dict[str, Any]] = {
    "no object": [],
    "no lies": {**TOLD, "lies": None},
    "a lie that is text": {**TOLD, "lies": ["x"]},
    "no sound": {**TOLD, "sound": "story.twinproof"},
    "no policy": {key: value for key, value in TOLD.items() if key != "policy"},
    "a way up": {**TOLD, "policy": "../secret.txt"},
    "a folder": {**TOLD, "policy": "a/b"},
    "from the root": {**TOLD, "policy": "/etc/passwd"},
    "hidden": {**TOLD, "policy": ".secret"},
    "a line feed": {**TOLD, "policy": "policy.txt\n"},
    "a number": {**TOLD, "lies": [{"file": 7}]},
    "itself": {**TOLD, "policy": "guide.json"},
    "too many": {**TOLD, "lies": [{"file": f"f{number}"} for number in range(MAX_FILES - 1)]},
}


@pytest.mark.parametrize("wrong", WRONG)
def test_a_guide_that_is_none_serves_nothing(laid: Laid, wrong: str) -> None:
    (laid.folder / "guide.json").write_text(json.dumps(WRONG[wrong]))
    for name in ("guide.json", "policy.txt"):
        answer = laid.get(name)
        assert (answer.status_code, answer.json()["code"]) == (500, "corrupt")


def test_as_many_files_as_may_be_and_no_json() -> None:
    most = {**TOLD, "lies": [{"file": f"f{number}"} for number in range(MAX_FILES - 2)]}
    assert len(named_files(json.dumps(most).encode())) == MAX_FILES
    for data in (b"", b"\xff", b"[" * 100_000, b"{"):
        with pytest.raises(Corrupt):
            named_files(data)


def test_on_a_node_it_takes_the_scope_all(tmp_path: Path) -> None:
    with live_rig(tmp_path / "node", Access(open=False)) as rig:
        write(tmp_path / "node" / "guide")
        path = "/console/guide/story.twinproof"
        refused = rig.client(REMOTE).get(path)
        assert (refused.status_code, refused.headers["content-type"]) == (401, "application/problem+json")
        assert rig.client(REMOTE, rig.token("prefix:https://")).get(path).status_code == 403
        answer = rig.client(REMOTE, rig.token("all")).get(path)
        assert (answer.status_code, answer.content) == (200, b"story.twinproof")
        assert answer.headers["content-security-policy"] == policy()
        assert rig.client(REMOTE, rig.token("all")).get("/console/guide/a/b").status_code in (404, 503)
