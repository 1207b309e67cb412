"""The data parts' JSON Schemas, published beside the cards: `python -m meshwright.schemas FOLDER` writes them."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from meshwright.findings import (
    Answers,
    Asks,
    Finding,
    Part,
    Proposal,
    Question,
    Resolution,
    Settled,
    Split,
    Subtask,
    Verdict,
)

PUBLISHED: tuple[type[Part], ...] = (
    *(Split, Subtask, Finding, Proposal, Resolution, Verdict),
    *(Asks, Question, Answers, Settled),
)


def schemas() -> dict[str, str]:
    """File name to content, for each published part."""
    return {
        f"{part.__name__.lower()}.schema.json": json.dumps(part.model_json_schema(), indent=2, sort_keys=True)
        + "\n"
        for part in PUBLISHED
    }


def main() -> None:
    folder = Path(sys.argv[1])
    for name, content in schemas().items():
        (folder / name).write_text(content)


if __name__ == "__main__":
    main()
