"""The S3 driver keeps every rule of the object storage contract, over HTTP, against a server that checks keys and policies."""

import asyncio
import json
import os
import socket
import subprocess
import sys
import time

import boto3
import pytest
from botocore.exceptions import ClientError

from bareboat.testing.cosi_suite import BucketSuite
from bareboat.testing.host import FakeHost
from bareboat_csi_s3.options import S3Options
from bareboat_csi_s3.plugin import S3Buckets

pytestmark = [pytest.mark.filterwarnings("ignore::DeprecationWarning"), pytest.mark.filterwarnings("ignore::ResourceWarning")]
EVERYTHING = json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]})


def client(service, endpoint, keys):
    return boto3.client(service, endpoint_url=endpoint, region_name="us-east-1", aws_access_key_id=keys[0], aws_secret_access_key=keys[1])


@pytest.fixture(scope="session")
def store(tmp_path_factory):
    """(endpoint, file with the administrator's keys). Its first three calls are free: they make the administrator."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    environment = {**os.environ, "INITIAL_NO_AUTH_ACTION_COUNT": "3"}
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    server = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        endpoint, deadline = f"http://127.0.0.1:{port}", time.monotonic() + 30
        while True:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            assert time.monotonic() < deadline
            time.sleep(0.1)
        iam = client("iam", endpoint, ("x", "y"))
        iam.create_user(UserName="administrator")
        iam.put_user_policy(UserName="administrator", PolicyName="all", PolicyDocument=EVERYTHING)
        key = iam.create_access_key(UserName="administrator")["AccessKey"]
        keys = tmp_path_factory.mktemp("s3") / "keys"
        keys.write_text(f"{key['AccessKeyId']}\n{key['SecretAccessKey']}\n")
        yield endpoint, keys
    finally:
        server.terminate()
        server.wait(10)


class Rules(BucketSuite):
    @pytest.fixture(autouse=True)
    def at(self, store):
        self.endpoint, self.keys = store

    def make_driver(self, host):
        return S3Buckets(S3Options(endpoint=self.endpoint, credentials=str(self.keys), access=self.access), host)

    async def opens(self, bucket, credentials):
        s3 = client("s3", bucket.endpoint, (credentials["accessKeyID"], credentials["accessSecretKey"]))

        def use():
            try:
                s3.put_object(Bucket=bucket.bucket_id, Key="k", Body=b"v")
                return s3.get_object(Bucket=bucket.bucket_id, Key="k")["Body"].read() == b"v"
            except ClientError as error:
                if error.response["Error"]["Code"] in ("AccessDenied", "InvalidAccessKeyId"):
                    return False
                raise

        return await asyncio.to_thread(use)


class TestWithUsers(Rules):
    access = "iam"


class TestWithSharedKeys(Rules):
    access, separate = "shared", False


async def test_a_store_that_is_away_is_unavailable(tmp_path):
    keys = tmp_path / "keys"
    keys.write_text("a b")
    driver = S3Buckets(S3Options(endpoint="http://127.0.0.1:1", credentials=str(keys)), FakeHost(tmp_path))
    health = await driver.status()
    assert (health.ready, health.reason) == (False, "Unavailable")
    keys.write_text("one")
    assert (
        await S3Buckets(S3Options(endpoint="http://127.0.0.1:1", credentials=str(keys)), FakeHost(tmp_path)).status()
    ).reason == "InvalidConfig"
