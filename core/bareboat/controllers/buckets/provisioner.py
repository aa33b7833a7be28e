"""BucketClaims get buckets, BucketAccesses get Secrets, and what is deleted goes from the store.

What comes in: claims and accesses of classes of the driver, looked through every few seconds by the agent that holds the Lease. What goes
out: calls of the driver, Buckets, Secrets, statuses, and Events with the driver's own reason.
"""

from __future__ import annotations

import asyncio
import base64
import logging
from typing import Any

import msgspec

from bareboat.base.clock import Clock
from bareboat.client.client import Client
from bareboat.contracts import cosi
from bareboat.contracts.errors import DriverError
from bareboat.controllers.buckets.objects import Objects, Tree, going, protected
from bareboat.models import core_v1, meta_v1
from bareboat.models.status import AlreadyExists, ApiError, NotFound
from bareboat.reconcile.election import Election
from bareboat.reconcile.events import EventRecorder

log = logging.getLogger("bareboat.buckets")
EVERY = 2.0


class BucketProvisioner:
    """For one driver. ``run`` until cancelled."""

    def __init__(self, driver: cosi.BucketDriver, client: Client, clock: Clock, events: EventRecorder, election: Election) -> None:
        self._driver = driver
        self._client = client
        self._objects = Objects(client)
        self._clock = clock
        self._events = events
        self._election = election

    async def run(self) -> None:
        await asyncio.gather(self._events.run(), self._election.run(self._lead))

    async def _lead(self) -> None:
        while True:
            try:
                await self.look()
            except ApiError as error:
                log.warning("buckets of %s: %s", self._driver.driver_name, error)
            await self._clock.sleep(EVERY)

    async def look(self) -> None:
        """Once through everything. Raises ApiError."""
        for claim in await self._objects.list("bucketclaims"):
            await self._try(self._claim, claim)
        for access in await self._objects.list("bucketaccesses"):
            await self._try(self._access, access)

    async def _try(self, step: Any, found: Tree) -> None:
        try:
            await step(found)
        except DriverError as error:
            self._events.event(_reference(found), "Warning", error.reason, error.message)
        except ApiError as error:
            log.info("%s %s: %s", found["kind"], found["metadata"]["name"], error)
        except Exception:
            log.exception("%s %s failed", found["kind"], found["metadata"]["name"])

    async def _claim(self, claim: Tree) -> None:
        name = claim.get("status", {}).get("bucketName", "")
        if going(claim):
            await self._release(claim, name)
            return
        if claim.get("status", {}).get("bucketReady"):
            return
        found = await self._class("bucketclasses", claim["spec"].get("bucketClassName", ""))
        if found is None:
            return
        if not protected(claim):
            await self._objects.protect("bucketclaims", claim, on=True)
        meta = claim["metadata"]
        name = f"{found['metadata']['name']}-{meta['uid']}"
        made = await self._driver.create_bucket(name, found.get("parameters"))
        spec = {
            "driverName": self._driver.driver_name,
            "bucketClassName": found["metadata"]["name"],
            "bucketClaim": {"name": meta["name"], "namespace": meta["namespace"], "uid": meta["uid"]},
            "protocols": claim["spec"].get("protocols") or [made.protocol],
            "parameters": found.get("parameters") or {},
            "deletionPolicy": found["deletionPolicy"],
        }
        try:
            bucket = await self._objects.create("buckets", "Bucket", name, spec)
        except AlreadyExists:
            bucket = await self._objects.get("buckets", name)
        await self._objects.status("buckets", bucket, bucketReady=True, bucketID=made.bucket_id)
        await self._objects.status("bucketclaims", claim, bucketReady=True, bucketName=name)

    async def _release(self, claim: Tree, name: str) -> None:
        """The bucket goes with its claim where its class says so."""
        if not protected(claim):
            return
        meta, accesses = claim["metadata"], await self._objects.list("bucketaccesses")
        if any((a["metadata"]["namespace"], a["spec"].get("bucketClaimName")) == (meta["namespace"], meta["name"]) for a in accesses):
            return  # while somebody has access
        if name:
            await self._remove(name)
        await self._objects.protect("bucketclaims", claim, on=False)

    async def _remove(self, name: str) -> None:
        try:
            bucket = await self._objects.get("buckets", name)
        except NotFound:
            return
        if bucket["spec"].get("driverName") != self._driver.driver_name or bucket["spec"].get("deletionPolicy") != "Delete":
            return
        await self._driver.delete_bucket(bucket.get("status", {}).get("bucketID", ""))
        await self._objects.protect("buckets", bucket, on=False)
        await self._objects.delete("buckets", name)

    async def _access(self, access: Tree) -> None:
        status, spec, meta = access.get("status", {}), access["spec"], access["metadata"]
        if not going(access) and status.get("accessGranted"):
            return
        if await self._class("bucketaccessclasses", spec.get("bucketAccessClassName", "")) is None:
            return
        claim = await self._found("bucketclaims", spec.get("bucketClaimName", ""), meta["namespace"])
        bucket = await self._found("buckets", (claim or {}).get("status", {}).get("bucketName", ""))
        bucket_id = (bucket or {}).get("status", {}).get("bucketID", "")
        if going(access):
            if protected(access):
                if bucket_id and status.get("accountID"):
                    await self._driver.revoke_access(bucket_id, status["accountID"])
                await self._drop_secret(spec.get("credentialsSecretName", ""), meta["namespace"])
                await self._objects.protect("bucketaccesses", access, on=False)
            return
        if not bucket_id:
            return
        if not protected(access):
            await self._objects.protect("bucketaccesses", access, on=True)
        granted = await self._driver.grant_access(bucket_id, f"ba-{meta['uid']}")
        await self._put_secret(access, await self._described(bucket_id), granted)
        await self._objects.status("bucketaccesses", access, accessGranted=True, accountID=granted.account_id)

    async def _described(self, bucket_id: str) -> cosi.Bucket:
        found = {b.bucket_id: b for b in await self._driver.list_buckets()}
        return found.get(bucket_id) or cosi.Bucket(bucket_id=bucket_id, name=bucket_id)

    async def _put_secret(self, access: Tree, bucket: cosi.Bucket, granted: cosi.Access) -> None:
        meta = access["metadata"]
        secret_s3 = {"endpoint": bucket.endpoint, "region": bucket.region, **granted.credentials}
        spec = {"bucketName": bucket.bucket_id, "authenticationType": "KEY", "secretS3": secret_s3, "protocols": ["s3"]}
        info = msgspec.json.encode({"metadata": {"name": f"bc-{meta['uid']}"}, "spec": spec})
        name = access["spec"]["credentialsSecretName"]
        data = {"BucketInfo": base64.b64encode(info).decode()}
        try:
            await self._client.create(core_v1.Secret(metadata=meta_v1.ObjectMeta(name=name, namespace=meta["namespace"]), data=data))
        except AlreadyExists:
            await self._client.patch(core_v1.Secret, name, {"data": data}, meta["namespace"])

    async def _drop_secret(self, name: str, namespace: str) -> None:
        try:
            await self._client.delete(core_v1.Secret, name, namespace)
        except NotFound:
            return

    async def _class(self, plural: str, name: str) -> Tree | None:
        """If it is of this driver."""
        found = await self._found(plural, name)
        return found if found is not None and found.get("driverName") == self._driver.driver_name else None

    async def _found(self, plural: str, name: str, namespace: str = "") -> Tree | None:
        if not name:
            return None
        try:
            return await self._objects.get(plural, name, namespace)
        except NotFound:
            return None


def _reference(found: Tree) -> core_v1.ObjectReference:
    meta = found["metadata"]
    return core_v1.ObjectReference(
        kind=found["kind"], apiVersion=found["apiVersion"], name=meta["name"], namespace=meta.get("namespace", ""), uid=meta["uid"]
    )
