"""Logs for machines: one JSON object per record."""

import argparse
import json
import logging
import sys

from bareboat.cli.logs import JsonFormatter, passed_on


def record(message, *arguments, error=None):
    return logging.LogRecord("bareboat.node", logging.WARNING, "f.py", 1, message, arguments, error)


def test_a_record_is_one_line_of_json():
    text = JsonFormatter().format(record("pod %s\nis „late“", "web"))
    assert "\n" not in text
    found = json.loads(text)
    assert (found["level"], found["logger"], found["message"]) == ("warning", "bareboat.node", "pod web\nis „late“")
    assert found["time"].endswith("Z")


def test_an_exception_comes_with_its_traceback():
    try:
        raise ValueError("no")
    except ValueError:
        found = json.loads(JsonFormatter().format(record("failed", error=sys.exc_info())))
    assert found["error"].endswith("ValueError: no")


def test_children_log_as_their_parent_was_told():
    def said(level, form):
        return passed_on(argparse.Namespace(log_level=level, log_format=form))

    assert said("warning", "text") == []
    assert said("debug", "json") == ["--log-level", "debug", "--log-format", "json"]
