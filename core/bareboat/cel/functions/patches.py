"""What JSON patches need: keys in their paths."""

from __future__ import annotations

from bareboat.cel.functions.function import Function

FUNCTIONS = (Function("jsonpatch.escapeKey", lambda key: key.replace("~", "~0").replace("/", "~1"), "string", "string"),)
