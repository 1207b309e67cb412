"""A list of tasks as JSON: each task as it is told alone, and what A2A wants to be there also when it is empty.

The SDK's own way of writing it names every field that is not set, also the history of who asked for none (A2A 1.0, 3.2.4).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from meshwright.protojson import to_dict

if TYPE_CHECKING:
    from a2a.types import ListTasksResponse


def listed(page: ListTasksResponse, *, artifacts: bool) -> dict[str, Any]:
    """The JSON of `page`. `artifacts` says that they were asked for: then they are there, and may be none (A2A 1.0, 3.1.4)."""
    tasks = [to_dict(task) for task in page.tasks]
    if artifacts:
        tasks = [{**task, "artifacts": task.get("artifacts", [])} for task in tasks]
    return {
        "tasks": tasks,
        "nextPageToken": page.next_page_token,
        "pageSize": page.page_size,
        "totalSize": page.total_size,
    }
