"""The class that the entry point names."""

from __future__ import annotations

from bareboat.contracts.cosi import GROUP
from bareboat.contracts.driver import PluginInfo
from bareboat_csi_s3.driver import S3Driver
from bareboat_csi_s3.options import S3Options


class S3Buckets(S3Driver):
    info = PluginInfo(name="s3", summary="Buckets of an S3 object store", contract=GROUP)
    Options = S3Options
    driver_name = "s3.cosi.bareboat.io"
