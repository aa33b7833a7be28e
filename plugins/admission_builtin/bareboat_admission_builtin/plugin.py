"""The entry point: contributes upstream's admission plugins, those that are on by default and those that the options enable."""

from __future__ import annotations

from typing import Any

from bareboat.contracts.admission import AdmissionHost, AdmissionPlugin
from bareboat.contracts.auth import Reader
from bareboat.contracts.hooks import hookimpl


@hookimpl
def bareboat_admission(reader: Reader, host: AdmissionHost, options: dict[str, Any]) -> list[AdmissionPlugin]:
    """Raises ValueError for options that are none, with their path."""
    from bareboat_admission_builtin.choice import chosen
    from bareboat_admission_builtin.options import parse

    return chosen(reader, host, parse(options))
