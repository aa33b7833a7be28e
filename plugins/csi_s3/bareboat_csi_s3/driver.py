"""The contract's verbs over a store.

What comes in: names of the kernel. What goes out: buckets and users named after them, so that the same call again finds what the first
one made, also in another process.
"""

from __future__ import annotations

import hashlib
import re

from bareboat.contracts import cosi
from bareboat.contracts.driver import Health, Host
from bareboat.contracts.errors import DriverError, InvalidConfig, NotFound
from bareboat.contracts.one_at_a_time import OneAtATime
from bareboat_csi_s3.options import S3Options
from bareboat_csi_s3.store import Store


class S3Driver(cosi.BucketDriver):
    options: S3Options

    def __init__(self, options: S3Options, host: Host) -> None:
        super().__init__(options, host)
        self._store = Store(options)
        self._one = OneAtATime(host)

    async def status(self) -> Health:
        try:
            await self.host.blocking(self._store.reach)
        except DriverError as error:
            return Health(ready=False, reason=error.reason, message=error.message)
        return Health(ready=True)

    async def create_bucket(self, name: str, parameters: dict[str, str] | None = None) -> cosi.Bucket:
        _given(name=name)
        _no_parameters(parameters)
        bucket = self._bucket(name)
        if bucket.bucket_id not in await self.host.blocking(self._store.buckets):
            await self._one.run(bucket.bucket_id, self._store.make_bucket, bucket.bucket_id)
        return bucket

    async def delete_bucket(self, bucket_id: str) -> None:
        _given(bucket_id=bucket_id)
        await self._one.run(bucket_id, self._store.remove_bucket, bucket_id)

    async def grant_access(self, bucket_id: str, name: str, parameters: dict[str, str] | None = None) -> cosi.Access:
        _given(bucket_id=bucket_id, name=name)
        _no_parameters(parameters)
        if bucket_id not in await self.host.blocking(self._store.buckets):
            raise NotFound(f"bucket {bucket_id!r} is unknown")
        if self.options.access == "shared":
            access, secret = self._store.keys()
            return cosi.Access(account_id=f"shared-{name}", credentials=_credentials(access, secret))
        user = self._named(name)
        access, secret = await self._one.run(user, self._store.make_user, user, bucket_id)
        return cosi.Access(account_id=user, credentials=_credentials(access, secret))

    async def revoke_access(self, bucket_id: str, account_id: str) -> None:
        _given(bucket_id=bucket_id, account_id=account_id)
        if self.options.access == "iam":
            await self._one.run(account_id, self._store.remove_user, account_id)

    async def list_buckets(self) -> tuple[cosi.Bucket, ...]:
        names = await self.host.blocking(self._store.buckets)
        own = sorted(n for n in names if n.startswith(f"{self.options.prefix}-"))
        return tuple(self._described(n, n) for n in own)

    def _named(self, name: str) -> str:
        """A name that a store takes: at most 63 small letters, digits and dashes."""
        plain = f"{self.options.prefix}-{name}"
        if re.fullmatch(r"[a-z0-9]([a-z0-9-]{1,61})[a-z0-9]", plain):
            return plain
        return f"{self.options.prefix}-{hashlib.sha256(name.encode()).hexdigest()[:32]}"

    def _bucket(self, name: str) -> cosi.Bucket:
        return self._described(self._named(name), name)

    def _described(self, bucket_id: str, name: str) -> cosi.Bucket:
        return cosi.Bucket(bucket_id=bucket_id, name=name, endpoint=self.options.endpoint, region=self.options.region)


def _credentials(access: str, secret: str) -> dict[str, str]:
    return {"accessKeyID": access, "accessSecretKey": secret}


def _given(**fields: str) -> None:
    for name, value in fields.items():
        if not value:
            raise InvalidConfig(f"{name} is missing")


def _no_parameters(parameters: dict[str, str] | None) -> None:
    if parameters:
        raise InvalidConfig(f"unknown parameter {min(parameters)!r}; known are: none")
