"""The guided path of a demonstration: evidence and lies to check in the browser, from NODE/guide.

| request                   | answer                                                                            |
|---------------------------|-----------------------------------------------------------------------------------|
| GET /console/guide/{name} | `guide.json`, or a file that it names; 204 for `guide.json` where there is none   |

`guide.json` is looked up at each request: whoever writes it does so while the node serves. It takes the scope `all`:
the files are whole bundles, of twins that a token may not cover, and no file says which without being verified.
"""

from __future__ import annotations

import json
import os
import re
import stat
from pathlib import Path
from typing import Any, Final

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from twinproof.errors import Corrupt, NotFound, TooLarge
from twinproof.server.access import Rule
from twinproof.server.problems import problem_json
from twinproof.twin.statement import shown

GUIDE: Final = "guide.json"
RULES: Final = {"/console/guide/{name}": Rule.ALL}
MAX_FILES: Final = 32
"""Files that a guide may name."""
MAX_BYTES: Final = 32 * 1024 * 1024
"""Of one of them."""
MAX_GUIDE: Final = 256 * 1024
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


class Guide:
    """Serves a folder that may come, change and go; `headers` stand on each answer."""

    def __init__(self, folder: Path, headers: dict[str, str]) -> None:
        self.folder = folder
        self._headers = {**headers, "cache-control": "no-store"}
        self._read: tuple[tuple[int, ...], bytes, frozenset[str]] | None = None

    def routes(self) -> list[Route]:
        """The route; it goes before the console's own."""
        return [Route("/console/guide/{name}", self.file)]

    async def file(self, request: Request) -> Response:
        """`guide.json`, or a file that it names."""
        name = request.path_params["name"]
        try:
            data = await run_in_threadpool(self._find, name)
        except NotFound as problem:
            if name == GUIDE:
                # Most nodes tell no story. That is no failure, as which a browser would report a 404.
                return Response(status_code=204, headers=self._headers)
            return problem_json(problem, headers=self._headers)
        except Corrupt as problem:
            # Asking again does not help, as it may with a log.
            return problem_json(problem, status=500, headers=self._headers)
        except TooLarge as problem:
            return problem_json(problem, headers=self._headers)
        response = Response(data, headers=self._headers)
        response.headers["content-type"] = "application/octet-stream"
        return response

    def _find(self, name: str) -> bytes:
        """Raises `NotFound`, `TooLarge`, or `Corrupt` for a guide that is none."""
        try:
            folder = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        except OSError:
            raise NotFound("this node has no guide") from None
        try:
            data, named = self._guide(folder)
            if name == GUIDE:
                return data
            if name not in named:
                raise NotFound(f"the guide names no file {shown(name)}")
            with os.fdopen(_open(folder, name), "rb") as file:
                return _read(file, name, MAX_BYTES)
        finally:
            os.close(folder)

    def _guide(self, folder: int) -> tuple[bytes, frozenset[str]]:
        with os.fdopen(_open(folder, GUIDE), "rb") as file:
            now = os.fstat(file.fileno())
            version = (now.st_ino, now.st_size, now.st_mtime_ns)
            if self._read is None or self._read[0] != version:
                data = _read(file, GUIDE, MAX_GUIDE)
                self._read = (version, data, named_files(data))
            return self._read[1:]


def _open(folder: int, name: str) -> int:
    """A regular file of the folder, no link and nothing that blocks."""
    try:
        file = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder)
    except OSError:
        raise NotFound(f"the guide has no file {shown(name)}") from None
    if stat.S_ISREG(os.fstat(file).st_mode):
        return file
    os.close(file)
    raise NotFound(f"the guide has no file {shown(name)}")


def _read(file: Any, name: str, most: int) -> bytes:
    data: bytes = file.read(most + 1)
    if len(data) > most:
        raise TooLarge(name, f"has more than {most} bytes")
    return data


def named_files(data: bytes) -> frozenset[str]:
    """The files that a guide names: its policy, the sound bundle, and the lies with policies of their own.

    Raises `Corrupt` for what is no guide, or names what is no plain file name or too many.
    """
    try:
        guide = json.loads(data)
    except (ValueError, RecursionError):
        raise Corrupt(f"{GUIDE} is no JSON") from None
    lies = guide.get("lies") if isinstance(guide, dict) else None
    if not isinstance(lies, list) or not isinstance(sound := guide.get("sound"), dict):
        raise Corrupt(f"{GUIDE} has no sound bundle and list of lies")
    if not all(isinstance(lie, dict) for lie in lies):
        raise Corrupt(f"{GUIDE}: a lie is no object")
    names = [guide.get("policy"), sound.get("file")]
    names += [lie[key] for lie in lies for key in ("file", "policy") if key in lie]
    for name in names:
        if not isinstance(name, str) or not _NAME.fullmatch(name) or name == GUIDE:
            raise Corrupt(f"{GUIDE} names {shown(str(name))}, which is no file of the folder")
    found = frozenset(names)
    if len(found) > MAX_FILES:
        raise Corrupt(f"{GUIDE} names {len(found)} files, {MAX_FILES} at most")
    return found
