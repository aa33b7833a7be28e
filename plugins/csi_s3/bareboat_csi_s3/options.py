"""Options in the cluster file."""

from __future__ import annotations

from typing import Literal

import msgspec


class S3Options(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``endpoint`` URL of the store; ``credentials`` a file of two lines, access key and secret key, of somebody who may make buckets.

    ``access`` "iam": every application gets a user of its own, limited to its bucket; "shared": the driver's own credentials, for stores
    without IAM. ``prefix`` starts the name of every bucket and user that is made.
    """

    endpoint: str
    credentials: str
    region: str = "us-east-1"
    access: Literal["iam", "shared"] = "iam"
    prefix: str = "bareboat"
