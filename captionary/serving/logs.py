"""Logs as JSON, a line an event, with the id of the request they belong to."""

import json
import logging
import sys
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import IO

request_id: ContextVar[str] = ContextVar("request_id", default="")

USUAL = frozenset((*vars(logging.makeLogRecord({})), "message", "asctime", "taskName"))


class JsonLines(logging.Formatter):
    """A record as one JSON object: time (UTC), level, event, request_id, what else was given."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        said: dict[str, object] = {
            "time": _stamp(record.created),
            "level": record.levelname.lower(),
            "event": record.getMessage(),
        }
        if known := request_id.get():
            said["request_id"] = known
        said |= {name: value for name, value in vars(record).items() if name not in USUAL}
        if record.exc_info:
            said["trace"] = self.formatException(record.exc_info)
        return json.dumps(said, ensure_ascii=False, default=str)


def _stamp(seconds: float) -> str:
    when = datetime.fromtimestamp(seconds, UTC)
    return when.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def log_json(stream: IO[str] = sys.stderr) -> None:
    """Have everything logged as JSON lines: ours from `info` on, others' from `warning` on."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonLines())
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    logging.getLogger("captionary").setLevel(logging.INFO)
