"""Structured logs: a JSON object per line, with the id of the request it belongs to."""

import json
import logging
import sys
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import IO

request_id: ContextVar[str] = ContextVar("request_id", default="")

STANDARD_FIELDS = frozenset((*vars(logging.makeLogRecord({})), "message", "asctime", "taskName"))
"""What every record has; what else it has came from `extra`."""


class JsonLines(logging.Formatter):
    """A record as one JSON object: time (UTC), level, event, request_id, fields of `extra`."""

    def format(self, record: logging.LogRecord) -> str:
        """The line of a record."""
        fields: dict[str, object] = {
            "time": _timestamp(record.created),
            "level": record.levelname.lower(),
            "event": record.getMessage(),
        }
        if name := request_id.get():
            fields["request_id"] = name
        fields |= {key: value for key, value in vars(record).items() if key not in STANDARD_FIELDS}
        if record.exc_info:
            fields["trace"] = self.formatException(record.exc_info)
        return json.dumps(fields, ensure_ascii=False, default=str)


def _timestamp(seconds: float) -> str:
    when = datetime.fromtimestamp(seconds, UTC)
    return when.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def configure_json_logging(stream: IO[str] = sys.stderr) -> None:
    """Log everything as JSON lines: our own from `info` on, libraries' from `warning` on."""
    # uvicorn and others have set up handlers by now: `force` removes them.
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonLines())
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    logging.getLogger("captionary").setLevel(logging.INFO)
