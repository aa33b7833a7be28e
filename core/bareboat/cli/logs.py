"""How the long-lived processes log: one line of text per record, or one JSON object per line for machines that read."""

from __future__ import annotations

import argparse
import json
import logging
from datetime import UTC, datetime

from bareboat.base.clock import rfc3339_micro

LEVELS = ("debug", "info", "warning", "error")
FORMATS = ("text", "json")


def add_logging_options(parser: argparse.ArgumentParser) -> None:
    """--log-level, --log-format."""
    parser.add_argument("--log-level", default="warning", choices=LEVELS, help="log records of this level and above (default: warning)")
    parser.add_argument("--log-format", default="text", choices=FORMATS, help="how they are written (default: text)")


def configure(arguments: argparse.Namespace) -> None:
    """Of this process, to standard error."""
    handler = logging.StreamHandler()
    text = logging.Formatter("%(asctime)s %(levelname)s %(name)s %(message)s")
    handler.setFormatter(JsonFormatter() if arguments.log_format == "json" else text)
    logging.basicConfig(level=arguments.log_level.upper(), handlers=[handler], force=True)


def passed_on(arguments: argparse.Namespace) -> list[str]:
    """For the processes that this one starts; nothing if they are the defaults."""
    if (arguments.log_level, arguments.log_format) == ("warning", "text"):
        return []
    return ["--log-level", arguments.log_level, "--log-format", arguments.log_format]


class JsonFormatter(logging.Formatter):
    """``time``, ``level``, ``logger``, ``message``, the task it was logged in, and ``error`` with a traceback if there is one."""

    def format(self, record: logging.LogRecord) -> str:
        found = {
            "time": rfc3339_micro(datetime.fromtimestamp(record.created, UTC)),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            found["error"] = self.formatException(record.exc_info)
        return json.dumps(found, ensure_ascii=False)
