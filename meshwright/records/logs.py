"""What a log line looks like: text for people, or JSON for machines; either with the id of the request that it is about."""

from __future__ import annotations

import json
import logging
import time

from meshwright.records.correlation import in_hand

#: Loggers that say at INFO what our own lines say already.
CHATTY = ("httpx", "mcp", "a2a")


def log_to_stderr(process: str, level: str, form: str) -> None:
    """Set up logging for a process. `form` is text or json."""
    stream = logging.StreamHandler()
    stream.setFormatter(Json(process) if form == "json" else Text(process))
    logging.basicConfig(level=level, handlers=[stream])
    for name in CHATTY:
        logging.getLogger(name).setLevel(max(logging.WARNING, logging.getLevelName(level)))


class Text(logging.Formatter):
    """`time process LEVEL [id] message`."""

    def __init__(self, process: str) -> None:
        super().__init__(f"%(asctime)s {process} %(levelname)s %(correlation)s%(message)s")

    def format(self, record: logging.LogRecord) -> str:
        found = in_hand.get()
        record.correlation = f"[{found}] " if found else ""
        return super().format(record)


class Json(logging.Formatter):
    """One object a line: time (RFC 3339, UTC), level, process, logger, message; correlation and exception where there are any."""

    def __init__(self, process: str) -> None:
        super().__init__()
        self._process = process

    def format(self, record: logging.LogRecord) -> str:
        when = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        line = {
            "time": f"{when}.{int(record.msecs):03d}Z",
            "level": record.levelname,
            "process": self._process,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if found := in_hand.get():
            line["correlation"] = found
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line)
