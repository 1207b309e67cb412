"""The console as a process of the mesh: it is there when the mesh is, and asks the orchestrator as the operator."""

from __future__ import annotations

import httpx

from meshwright.testing import RunningMesh


async def test_its_pages_are_there_when_the_mesh_is(mesh: RunningMesh) -> None:
    async with httpx.AsyncClient(base_url=mesh.urls["console"], follow_redirects=True) as browser:
        page = await browser.get("/reviews")
        assert page.status_code == 200
        assert "<h1>Reviews</h1>" in page.text
        assert (await browser.get("/")).status_code == 200
        assert (await browser.get("/readyz")).json()["ready"] is True
        rebound = await browser.get("/reviews", headers={"host": "rebound.example"})
        assert rebound.status_code == 421
