"""What comes back for one request: an A2A task, folded from the events of its stream or from a look at it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

RESTING = {"COMPLETED", "FAILED", "CANCELED", "REJECTED", "INPUT_REQUIRED", "AUTH_REQUIRED"}


@dataclass(slots=True)
class Answer:
    """What came back for one request.

    The A2A task's state, the reply, and the run's report if the mesh sent one.
    """

    task: str = ""
    state: str = ""
    text: str = ""
    notice: str = ""
    report: dict[str, Any] = field(default_factory=dict)

    @property
    def rests(self) -> bool:
        """Whether nothing more will come without somebody doing something."""
        return self.state in RESTING


def take_event(answer: Answer, event: dict[str, Any]) -> list[str]:
    """Fold one event of the stream into the answer.

    What the mesh said of its progress comes back as lines.
    """
    if "task" in event:
        take_task(answer, event["task"])
    elif "message" in event:
        answer.state = "COMPLETED"
        _take_parts(answer, event["message"].get("parts", []))
    elif "artifactUpdate" in event:
        _take_parts(answer, event["artifactUpdate"].get("artifact", {}).get("parts", []))
    elif "statusUpdate" in event:
        answer.task = answer.task or str(event["statusUpdate"].get("taskId", ""))
        said = _take_status(answer, event["statusUpdate"].get("status", {}))
        if said and not answer.rests:
            return [said]
    return []


def take_task(answer: Answer, task: dict[str, Any]) -> None:
    answer.task = str(task.get("id", "")) or answer.task
    for artifact in task.get("artifacts", []):
        _take_parts(answer, artifact.get("parts", []))
    _take_status(answer, task.get("status", {}))


def _take_status(answer: Answer, status: dict[str, Any]) -> str:
    answer.state = str(status.get("state", "")).removeprefix("TASK_STATE_")
    said = "\n".join(part["text"] for part in status.get("message", {}).get("parts", []) if "text" in part)
    if answer.rests:
        answer.notice = said or answer.notice
    return said


def _take_parts(answer: Answer, parts: list[dict[str, Any]]) -> None:
    text = "\n".join(str(part["text"]) for part in parts if "text" in part)
    answer.text = text or answer.text
    for part in parts:
        if isinstance(part.get("data"), dict) and "outcome" in part["data"]:
            answer.report = part["data"]
