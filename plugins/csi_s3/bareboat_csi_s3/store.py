"""A client of the store: buckets by S3, users by IAM. Blocking; knows nothing of Bareboat's objects.

What comes in: names. What goes out: boto3's answers, its errors as the contract's.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bareboat.contracts import errors
from bareboat_csi_s3.options import S3Options

GONE = frozenset({"NoSuchBucket", "NoSuchEntity", "404", "NoSuchKey"})
TAKEN = frozenset({"BucketAlreadyExists", "EntityAlreadyExists"})
OWNED = "BucketAlreadyOwnedByYou"


@contextmanager
def translated() -> Iterator[None]:
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except ClientError as error:
        code, message = str(error.response["Error"].get("Code", "")), str(error)
        if code in GONE:
            raise errors.NotFound(message) from error
        if code in TAKEN:
            raise errors.Conflict(message) from error
        if code in ("InvalidBucketName", "InvalidArgument", "MalformedPolicyDocument", "AccessDenied", "InvalidAccessKeyId"):
            raise errors.InvalidConfig(message, reason=code) from error
        if code in ("LimitExceeded", "TooManyBuckets"):
            raise errors.Exhausted(message) from error
        raise errors.DriverError(message, reason=code if code.isalpha() else "Unknown") from error
    except (BotoCoreError, OSError) as error:
        raise errors.Unavailable(str(error)) from error


class Store:
    def __init__(self, options: S3Options) -> None:
        self._options = options
        self._clients: dict[str, Any] = {}

    def keys(self) -> tuple[str, str]:
        """Raises InvalidConfig."""
        try:
            words = Path(self._options.credentials).read_text().split()
        except OSError as error:
            raise errors.InvalidConfig(f"credentials: {error}") from error
        if len(words) != 2:
            raise errors.InvalidConfig(f"credentials: {self._options.credentials} must have two lines: access key and secret key")
        return words[0], words[1]

    def _client(self, service: str) -> Any:
        if service not in self._clients:
            import boto3

            access, secret = self.keys()
            self._clients[service] = boto3.client(
                service,
                endpoint_url=self._options.endpoint,
                region_name=self._options.region,
                aws_access_key_id=access,
                aws_secret_access_key=secret,
            )
        return self._clients[service]

    def reach(self) -> None:
        with translated():
            self._client("s3").list_buckets()

    def buckets(self) -> list[str]:
        with translated():
            return [b["Name"] for b in self._client("s3").list_buckets().get("Buckets", [])]

    def make_bucket(self, name: str) -> None:
        region = self._options.region
        place = {} if region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": region}}
        try:
            with translated():
                self._client("s3").create_bucket(Bucket=name, **place)
        except errors.DriverError as error:
            if error.reason != OWNED:
                raise

    def remove_bucket(self, name: str) -> None:
        """With all objects and their versions. Unknown: success."""
        client = self._client("s3")
        try:
            with translated():
                for page in client.get_paginator("list_object_versions").paginate(Bucket=name):
                    found = [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
                    if found:
                        keys = [{"Key": o["Key"], "VersionId": o["VersionId"]} for o in found]
                        client.delete_objects(Bucket=name, Delete={"Objects": keys, "Quiet": True})
                client.delete_bucket(Bucket=name)
        except errors.NotFound:
            return

    def make_user(self, name: str, bucket: str) -> tuple[str, str]:
        """One that may use the bucket and nothing else, and a fresh key of it; keys that it had do not open anything any more."""
        client = self._client("iam")
        try:
            with translated():
                client.create_user(UserName=name)
        except errors.Conflict:
            self._remove_keys(name)
        statement = {"Effect": "Allow", "Action": "s3:*", "Resource": [f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"]}
        policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        with translated():
            client.put_user_policy(UserName=name, PolicyName="bucket", PolicyDocument=policy)
            key = client.create_access_key(UserName=name)["AccessKey"]
        return key["AccessKeyId"], key["SecretAccessKey"]

    def remove_user(self, name: str) -> None:
        """Unknown: success."""
        client = self._client("iam")
        try:
            self._remove_keys(name)
            with translated():
                for policy in client.list_user_policies(UserName=name)["PolicyNames"]:
                    client.delete_user_policy(UserName=name, PolicyName=policy)
                client.delete_user(UserName=name)
        except errors.NotFound:
            return

    def _remove_keys(self, name: str) -> None:
        client = self._client("iam")
        with translated():
            for key in client.list_access_keys(UserName=name)["AccessKeyMetadata"]:
                client.delete_access_key(UserName=name, AccessKeyId=key["AccessKeyId"])
