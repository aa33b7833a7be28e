"""COSI: the object storage contract, after the Container Object Storage Interface (Identity and Provisioner services).

Vocabulary. A *bucket* is a named place for objects at an object store; its id is the driver's. An *account* is somebody at the store who
was granted access to buckets; its id is the driver's too. *Credentials* are what an application signs its requests with.

Life cycle::

    create_bucket ─▶ BUCKET ─ grant_access ─▶ ACCOUNT with credentials ─ revoke_access ─▶ BUCKET ─ delete_bucket ─▶ gone

Rules for every mutating verb
* Idempotency: ``create_bucket`` and ``grant_access`` are keyed by name: the same call again answers the same, with credentials that work;
  the same name with other parameters raises Conflict. Revoking and deleting something unknown is success.
* Granting access to an unknown bucket raises NotFound. An empty name or id, or an unknown parameter, raises InvalidConfig.
* ``delete_bucket`` deletes what is in the bucket too; the kernel calls it only where the BucketClass says ``deletionPolicy: Delete``.
* ``list_buckets`` is the truth and shows what an earlier process made, of this driver's instance only.
* Cancelling a verb may leave its work running; the same verb called again joins it or raises InProgress.
* Credentials are never logged. The kernel stores them in the Secret that the BucketAccess names, and nowhere else.

Worked scenario: a BucketClaim of a BucketClass of the driver → create_bucket(name "<class>-<uid of the claim>") → Bucket, claim ready →
a BucketAccess that names the claim → grant_access(bucket id, name "ba-<uid>") → Secret with ``BucketInfo`` → a pod that mounts the Secret →
the BucketAccess is deleted → revoke_access → the claim is deleted → delete_bucket.
"""

from __future__ import annotations

from abc import abstractmethod

import msgspec

from bareboat.contracts.driver import Driver

GROUP = "bareboat.cosi.v1alpha1"


class Bucket(msgspec.Struct, frozen=True, kw_only=True):
    """``name`` is what ``create_bucket`` was asked for. ``endpoint`` and ``region`` are where an application finds the bucket."""

    bucket_id: str
    name: str
    protocol: str = "S3"
    endpoint: str = ""
    region: str = ""


class Access(msgspec.Struct, frozen=True, kw_only=True):
    """``credentials`` of protocol S3: ``accessKeyID`` and ``accessSecretKey``."""

    account_id: str
    credentials: dict[str, str] = {}


class BucketDriver(Driver):
    """Buckets of one object store. ``driver_name`` is what BucketClasses call it (``s3.cosi.bareboat.io``)."""

    driver_name: str = ""

    @abstractmethod
    async def create_bucket(self, name: str, parameters: dict[str, str] | None = None) -> Bucket:
        """Make a bucket, or return the one that has the name. The name is taken at the store by somebody else: Conflict."""

    @abstractmethod
    async def delete_bucket(self, bucket_id: str) -> None:
        """With all that is in it. Unknown: success."""

    @abstractmethod
    async def grant_access(self, bucket_id: str, name: str, parameters: dict[str, str] | None = None) -> Access:
        """Credentials that may read and write the bucket's objects."""

    @abstractmethod
    async def revoke_access(self, bucket_id: str, account_id: str) -> None:
        """From then on the credentials do not open the bucket. Unknown: success."""

    @abstractmethod
    async def list_buckets(self) -> tuple[Bucket, ...]:
        """Every bucket that this driver made, in an order that does not change."""
