"""The audit log on a page: whether it is what was written, and what stands in it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from console.client import segment

if TYPE_CHECKING:
    from console.page import Page

#: Entries of a page.
LIMIT = 50
#: What can be looked for; and the kinds to choose from, by their first part.
FILTERS = ("q", "run", "actor", "action", "kind")
KINDS = {
    "gate": "Verdicts",
    "review": "Reviews",
    "grant": "Grants",
    "effect": "Effects",
    "proposal": "Dropped proposals",
    "conflict": "Conflicts",
    "run": "Runs",
}
#: Tone and sign of a kind; of others those of its first part.
LOOKS = {
    "gate": ("accent", "shield"),
    "review": ("quiet", "person"),
    "review.approved": ("good", "check"),
    "review.rejected": ("bad", "cross"),
    "review.edited": ("accent", "pencil"),
    "review.escalated": ("warn", "bell"),
    "review.expired": ("warn", "clock"),
    "grant": ("quiet", "link"),
    "effect": ("good", "check"),
    "effect.refused": ("bad", "cross"),
    "effect.unknown": ("warn", "warn"),
    "proposal": ("quiet", "minus"),
    "conflict": ("warn", "split"),
    "run": ("quiet", "check"),
}
#: What of a payload tells most, in this order; and what of that is a name.
NAMES = ("tool", "action", "policy")
TELLING = ("tool", "action", "about", "decision", "outcome", "chosen", "policy", "reason", "why")


def routes(page: Page) -> list[Route]:
    room = AuditPage(page)
    return [
        Route("/audit", room.show),
        Route("/audit/verify", room.verify, methods=["POST"]),
        Route("/audit/{seq}/proof", room.proof),
        Route("/parts/audit", room.part),
    ]


class AuditPage:
    """The pages, and the part that lives: how the log stands, and that there is more of it now."""

    def __init__(self, page: Page) -> None:
        self._page = page

    async def show(self, request: Request) -> Response:
        query = {name: request.query_params.get(name, "").strip()[:400] for name in FILTERS}
        if query["kind"] not in KINDS:
            query["kind"] = ""
        before = request.query_params.get("before", "")
        before = before if before.isascii() and before.isdecimal() else ""
        told = await self._page.mesh.get(
            "/audit", self._page.person(request), **query, before=before[:18], limit=LIMIT
        )
        entries = [_entry(row) for row in told.get("entries") or [] if isinstance(row, dict)]
        log = _log(told.get("log"))
        asked = urlencode({name: value for name, value in query.items() if value})
        following = told.get("next")
        older = (
            f"/audit?{asked}{'&' if asked else ''}before={following}"
            if isinstance(following, int) and following
            else ""
        )
        standing = self._standing(log, log["entries"])
        text, seen = self._page.part(request, "_audit_log.html", **standing)
        return self._page.show(
            request,
            "audit.html",
            log=log,
            state=text,
            seen=seen,
            entries=entries,
            query=query,
            kinds=KINDS,
            filtered=any(query.values()),
            older=older,
            newest=f"/audit?{asked}".rstrip("?") if before else "",
            has_runs=any(path == "/runs" for _, path in self._page.navigation),
        )

    async def part(self, request: Request) -> Response:
        told = await self._page.mesh.get("/audit", self._page.person(request), limit=1)
        shown = request.query_params.get("top", "")
        top = int(shown) if shown.isascii() and shown.isdecimal() and len(shown) < 19 else 0
        return self._page.live(request, "_audit_log.html", **self._standing(_log(told.get("log")), top))

    async def verify(self, request: Request) -> Response:
        """Have all of it read anew; the page that comes back says how far that is."""
        await self._page.mesh.post("/audit/verify", self._page.person(request), {})
        return RedirectResponse("/audit", 303)

    async def proof(self, request: Request) -> Response:
        seq = request.path_params["seq"]
        proof = await self._page.mesh.get(f"/audit/{segment(seq)}/proof", self._page.person(request))
        name = f"entry-{seq}.proof.json" if seq.isascii() and seq.isdecimal() else "proof.json"
        return JSONResponse(proof, headers={"content-disposition": f'attachment; filename="{name}"'})

    def _standing(self, log: Mapping[str, Any], top: int) -> dict[str, Any]:
        return {"log": log, "top": top, "newer": max(0, log["entries"] - top)}


def _log(told: Any) -> dict[str, Any]:
    """How the log stands, with everything a page may ask for."""
    found = told if isinstance(told, Mapping) else {}
    verified = found.get("verified")
    return {
        "entries": _number(found.get("entries")),
        "signed": _number(found.get("signed")),
        "signs": found.get("signs") is not False,
        "checkpoint_age": found.get("checkpoint_age"),
        "broken": found.get("broken") is True,
        "verifying": found.get("verifying") is True,
        "trouble": str(found.get("trouble") or ""),
        "full_at": found.get("full_at"),
        "verified": {
            "at": verified.get("at"),
            "upto": _number(verified.get("upto")),
            "ok": verified.get("ok") is True,
            "why": str(verified.get("why") or ""),
        }
        if isinstance(verified, Mapping)
        else None,
    }


def _entry(row: Mapping[str, Any]) -> dict[str, Any]:
    kind = str(row.get("kind", ""))
    payload = row.get("payload")
    tone, sign = LOOKS.get(kind) or LOOKS.get(kind.partition(".")[0]) or ("quiet", "dot")
    return {
        "seq": _number(row.get("seq")),
        "at": row.get("at"),
        "actor": str(row.get("actor", "")),
        "kind": kind,
        "tone": tone,
        "sign": sign,
        "run": str(row.get("run", "")),
        "action": str(row.get("action", "")),
        "payload": payload,
        "hash": str(row.get("hash", "")),
        "told": _told(payload),
    }


def _told(payload: Any) -> list[tuple[str, bool]]:
    """What of an entry can be said in a line: texts, and whether each is a name of the mesh's own."""
    if not isinstance(payload, Mapping):
        return []
    said = {
        payload[name]: name in NAMES
        for name in TELLING
        if isinstance(payload.get(name), str) and payload[name]
    }
    return [(text if len(text) <= 120 else f"{text[:119]}…", is_name) for text, is_name in said.items()][:4]


def _number(value: Any) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**62 else 0
