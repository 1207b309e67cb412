"""The console's own files, held in memory under names that change with what is in them, so that browsers may keep them for ever."""

from __future__ import annotations

import gzip
import hashlib
from dataclasses import dataclass
from pathlib import Path

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

FOLDER = Path(__file__).parent / "static"
_KINDS = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}
_FOR_EVER = "public, max-age=31536000, immutable"


@dataclass(frozen=True, slots=True)
class Asset:
    """One file, also packed."""

    path: str
    kind: str
    content: bytes
    packed: bytes


class Assets:
    """The files of a folder. `url("app.css")` is where one is found, as it is now."""

    def __init__(self, folder: Path = FOLDER) -> None:
        self._files = {file.name: _read(file) for file in folder.iterdir() if file.suffix in _KINDS}
        self._served = {asset.path: asset for asset in self._files.values()}

    def url(self, name: str) -> str:
        return self._files[name].path

    def routes(self) -> list[Route]:
        return [Route("/static/{name}", self._serve)]

    async def _serve(self, request: Request) -> Response:
        asset = self._served.get(request.url.path)
        if asset is None:
            raise HTTPException(404)
        headers = {"cache-control": _FOR_EVER, "vary": "accept-encoding"}
        if "gzip" not in request.headers.get("accept-encoding", ""):
            return Response(asset.content, headers=headers, media_type=asset.kind)
        return Response(asset.packed, headers={**headers, "content-encoding": "gzip"}, media_type=asset.kind)


def _read(file: Path) -> Asset:
    content = file.read_bytes()
    name = f"{file.stem}.{hashlib.sha256(content).hexdigest()[:12]}{file.suffix}"
    return Asset(f"/static/{name}", _KINDS[file.suffix], content, gzip.compress(content, mtime=0))
