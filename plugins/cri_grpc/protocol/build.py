"""Build hook: puts the package `bareboat_cri_protocol`, made from cri.proto, into every wheel, editable ones too.

In: protocol/cri.proto. Out: message classes in a temporary directory that is removed when the wheel is written. Nothing is written into
the checkout.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

HERE = Path(__file__).parent


class ProtocolHook(BuildHookInterface[Any]):
    """Adds the generated package to what hatchling includes."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        self.generated = tempfile.mkdtemp(prefix="bareboat-cri-protocol-")
        generate(Path(self.generated))
        where = "force_include_editable" if version == "editable" else "force_include"
        build_data.setdefault(where, {})[self.generated] = "bareboat_cri_protocol"

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        shutil.rmtree(self.generated, ignore_errors=True)


def generate(target: Path) -> None:
    from grpc_tools import _proto, protoc

    well_known = Path(_proto.__file__ or "").parent if getattr(_proto, "__file__", None) else Path(next(iter(_proto.__path__)))
    code = protoc.main(["protoc", f"-I{HERE}", f"-I{well_known}", f"--python_out={target}", str(HERE / "cri.proto")])
    if code:
        raise RuntimeError(f"protoc ended with {code}")
    (target / "__init__.py").write_text(
        '"""The messages of the Container Runtime Interface, generated when this distribution was built."""\n'
    )
