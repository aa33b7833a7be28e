"""The conformance suite of the object storage contract: subclass, return a factory, say how the store is reached.

What comes in: a subclass of ``BucketSuite``. What goes out: one test per rule of ``contracts.cosi``.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
import pytest_asyncio

from bareboat.contracts import cosi
from bareboat.contracts.errors import InProgress, InvalidConfig, NotFound
from bareboat.plugins.checks import driver_faults
from bareboat.testing.cri_suite_subject import settled
from bareboat.testing.host import FakeHost


class BucketSuite:
    """``opens`` says whether credentials can write to and read from a bucket; ``separate`` whether every access has its own."""

    separate = True

    def make_driver(self, host: FakeHost) -> cosi.BucketDriver:
        raise NotImplementedError("name your driver: return MyBuckets(MyBuckets.Options(), host)")

    async def opens(self, bucket: cosi.Bucket, credentials: dict[str, str]) -> bool:
        raise NotImplementedError("write an object with the credentials and read it back")

    @pytest_asyncio.fixture
    async def buckets(self, tmp_path: Path) -> AsyncIterator[Any]:
        driver = self.make_driver(FakeHost(tmp_path))
        await driver.open()
        yield driver
        for bucket in await driver.list_buckets():
            await driver.delete_bucket(bucket.bucket_id)
        await driver.close()

    async def test_the_class_is_sound(self, buckets: Any) -> None:
        assert driver_faults(cosi.GROUP, type(buckets)) == []
        assert buckets.driver_name
        assert (await buckets.status()).ready

    async def test_a_bucket_three_times_is_one(self, buckets: Any) -> None:
        made = [await buckets.create_bucket("one") for _ in range(3)]
        assert made[0] == made[1] == made[2]
        assert [b.bucket_id for b in await buckets.list_buckets()] == [made[0].bucket_id]
        assert (await buckets.create_bucket("two")).bucket_id != made[0].bucket_id
        assert msgspec.json.decode(msgspec.json.encode(made[0]), type=cosi.Bucket) == made[0]

    async def test_names_are_any_text(self, buckets: Any) -> None:
        names = ["A b", "x" * 200, "dots.and_lines", "ümlaut"]
        assert len({(await buckets.create_bucket(name)).bucket_id for name in names}) == len(names)

    async def test_deleting_three_times_takes_what_is_in_it_along(self, buckets: Any) -> None:
        made = await buckets.create_bucket("full")
        access = await buckets.grant_access(made.bucket_id, "writer")
        assert await self.opens(made, access.credentials)
        for _ in range(3):
            await buckets.delete_bucket(made.bucket_id)
        assert await buckets.list_buckets() == ()
        await buckets.revoke_access(made.bucket_id, access.account_id)

    async def test_access_opens_its_bucket_until_it_is_revoked(self, buckets: Any) -> None:
        first, second = await buckets.create_bucket("first"), await buckets.create_bucket("second")
        granted = [await buckets.grant_access(first.bucket_id, "app") for _ in range(3)]
        assert len({a.account_id for a in granted}) == 1
        assert await self.opens(first, granted[-1].credentials)
        if self.separate:
            assert not await self.opens(second, granted[-1].credentials)
        for _ in range(3):
            await buckets.revoke_access(first.bucket_id, granted[-1].account_id)
        if self.separate:
            assert not await self.opens(first, granted[-1].credentials)

    async def test_what_is_missing_or_unknown_is_told(self, buckets: Any) -> None:
        calls: tuple[Callable[[], Any], ...] = (
            lambda: buckets.create_bucket(""),
            lambda: buckets.create_bucket("x", {"no-such-parameter": "1"}),
            lambda: buckets.delete_bucket(""),
            lambda: buckets.grant_access("", "x"),
            lambda: buckets.revoke_access("x", ""),
        )
        for call in calls:
            with pytest.raises(InvalidConfig):
                await call()
        with pytest.raises(NotFound):
            await buckets.grant_access("no-such-bucket", "x")
        await buckets.revoke_access("no-such-bucket", "nobody")

    async def test_buckets_outlive_the_process(self, buckets: Any, tmp_path: Path) -> None:
        made = await buckets.create_bucket("kept")
        again = self.make_driver(FakeHost(tmp_path))
        await again.open()
        assert [b.bucket_id for b in await again.list_buckets()] == [made.bucket_id]
        assert await again.create_bucket("kept") == made
        await again.close()

    async def test_calls_at_once_make_one_bucket(self, buckets: Any) -> None:
        results = await asyncio.gather(*(buckets.create_bucket("same") for _ in range(4)), return_exceptions=True)
        assert all(isinstance(r, cosi.Bucket | InProgress) for r in results), results
        await settled(lambda: buckets.create_bucket("same"))
        assert len(await buckets.list_buckets()) == 1
