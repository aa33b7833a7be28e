"""Keys that seal values at rest, from a file in the shape of upstream's EncryptionConfiguration.

apiVersion: apiserver.config.k8s.io/v1
kind: EncryptionConfiguration
resources:
  - resources: [secrets]                     # also "configmaps", "deployments.apps", "*.apps", "*." (core), "*.*"
    providers:
      - aesgcm: {keys: [{name: key1, secret: BASE64 of 16, 24 or 32 bytes}]}
      - identity: {}

The first entry that names a resource holds for it; its first provider (and that one's first key) writes, all of them read.
What comes in: the file. What goes out: ``seal`` and ``unseal`` of one value. A sealed value is
``k8s:enc:aesgcm:v1:KEYNAME:`` + a random nonce + AES-GCM's answer, bound to the object's key as additional data, so that a
sealed value put under another name does not open.
"""

from __future__ import annotations

import base64
import binascii
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from bareboat.contracts.errors import InvalidConfig

MARK = b"k8s:enc:"
PREFIX = b"k8s:enc:aesgcm:v1:"
NONCE = 12


class Key(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``secret`` is the base64 of 16, 24 or 32 random bytes."""

    name: str
    secret: str


class Keys(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    keys: list[Key]


class Provider(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Exactly one of them."""

    aesgcm: Keys | None = None
    identity: dict[str, Any] | None = None


class Rule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    resources: list[str]
    providers: list[Provider]


class Configuration(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The file."""

    resources: list[Rule]
    apiVersion: str = "apiserver.config.k8s.io/v1"
    kind: str = "EncryptionConfiguration"


class Keyring:
    """``source`` names the file in messages; ``nonce`` gives 12 random bytes."""

    def __init__(self, configuration: Configuration, source: str, nonce: Callable[[], bytes] = lambda: os.urandom(NONCE)) -> None:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        self.source = source
        self._nonce = nonce
        self._rules = configuration.resources
        self._ciphers: dict[bytes, AESGCM] = {}
        self._writers: dict[str, bytes] = {}
        for rule in configuration.resources:
            for key in (k for p in rule.providers if p.aesgcm for k in p.aesgcm.keys):
                self._ciphers[key.name.encode()] = AESGCM(_secret(key, source))

    def writer(self, resource: str) -> bytes:
        """The name of the key that seals ``core/secrets``; b"" for none. Looked up once per resource."""
        found = self._writers.get(resource)
        if found is None:
            found = self._writers[resource] = self._first_key(resource)
        return found

    def _first_key(self, resource: str) -> bytes:
        group, _, plural = resource.partition("/")
        group = "" if group == "core" else group
        names = {f"{plural}.{group}" if group else plural, f"*.{group}", "*.*"}
        for rule in self._rules:
            if names & set(rule.resources):
                first = rule.providers[0]
                return first.aesgcm.keys[0].name.encode() if first.aesgcm else b""
        return b""

    def seal(self, key: str, resource: str, value: bytes) -> bytes:
        name = self.writer(resource)
        if not name:
            return value
        nonce = self._nonce()
        return b"%b%b:%b%b" % (PREFIX, name, nonce, self._ciphers[name].encrypt(nonce, value, key.encode()))

    def unseal(self, key: str, value: bytes) -> bytes:
        """The value in the clear; one that is not sealed as it is. Raises InvalidConfig with the remedy."""
        if not value.startswith(MARK):
            return value
        name, _, rest = value.removeprefix(PREFIX).partition(b":")
        cipher = self._ciphers.get(name) if value.startswith(PREFIX) else None
        if cipher is None:
            raise missing(key, name.decode(errors="replace"), self.source)
        from cryptography.exceptions import InvalidTag

        try:
            return cipher.decrypt(rest[:NONCE], rest[NONCE:], key.encode())
        except InvalidTag as error:
            raise InvalidConfig(
                f"{key} does not open with key {name.decode()!r} of {self.source}: the key is another one of that name, or the row was "
                "changed; put the right key into the file. Nothing was changed",
                reason="WrongKey",
            ) from error

    def fresh(self, resource: str, value: bytes) -> bool:
        """It is stored as a write of now would store it."""
        name = self.writer(resource)
        return value.startswith(PREFIX + name + b":") if name else not value.startswith(MARK)


def missing(key: str, name: str, source: str) -> InvalidConfig:
    where = f"which {source} does not have: add it there" if source else "and no keys are configured: set encryption.file"
    return InvalidConfig(f"{key} is sealed with key {name!r}, {where}. Nothing was changed", reason="MissingKey")


def read(path: Path) -> Keyring:
    """Read and check the file. Raises InvalidConfig that names file and remedy."""
    import yaml

    try:
        if path.stat().st_mode & 0o077:
            raise InvalidConfig(f"{path} holds keys and others may open it: chmod 600 {path}", reason="KeysNotPrivate")
        tree = yaml.safe_load(path.read_text(encoding="utf-8"))
        configuration = msgspec.convert(tree, Configuration)
    except OSError as error:
        raise InvalidConfig(
            f"{path}: {error.strerror}: the keys that seal values at rest are read from there", reason="MissingKey"
        ) from error
    except (yaml.YAMLError, msgspec.ValidationError, UnicodeDecodeError) as error:
        raise InvalidConfig(f"{path} is no EncryptionConfiguration with providers aesgcm and identity: {error}") from error
    _check(configuration, str(path))
    return Keyring(configuration, str(path))


def generate(secret: Callable[[], bytes] = lambda: os.urandom(32)) -> bytes:
    """A file that seals Secrets with one new key and reads what is not sealed yet."""
    import yaml

    key = {"name": "key1", "secret": base64.b64encode(secret()).decode()}
    rule = {"resources": ["secrets"], "providers": [{"aesgcm": {"keys": [key]}}, {"identity": {}}]}
    tree = {"apiVersion": "apiserver.config.k8s.io/v1", "kind": "EncryptionConfiguration", "resources": [rule]}
    return yaml.safe_dump(tree, sort_keys=False).encode()


def _check(configuration: Configuration, source: str) -> None:
    seen: dict[str, str] = {}
    for i, rule in enumerate(configuration.resources):
        if not rule.resources or not rule.providers:
            raise InvalidConfig(f"{source}: resources[{i}]: both resources and providers must have an entry")
        for provider in rule.providers:
            if (provider.aesgcm is None) == (provider.identity is None):
                raise InvalidConfig(f"{source}: resources[{i}].providers: each is either aesgcm or identity")
            for key in provider.aesgcm.keys if provider.aesgcm else []:
                if not key.name or ":" in key.name or seen.setdefault(key.name, key.secret) != key.secret:
                    raise InvalidConfig(f"{source}: key name {key.name!r}: it must not be empty, have a colon, or stand for two keys")
            if provider.aesgcm is not None and not provider.aesgcm.keys:
                raise InvalidConfig(f"{source}: resources[{i}].providers: aesgcm without keys")


def _secret(key: Key, source: str) -> bytes:
    try:
        found = base64.b64decode(key.secret, validate=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidConfig(f"{source}: key {key.name!r}: the secret is no base64") from error
    if len(found) not in (16, 24, 32):
        raise InvalidConfig(f"{source}: key {key.name!r}: the secret has {len(found)} bytes; 16, 24 or 32 are possible")
    return found
