"""Pulling: from a reference to an image in the store.

What comes in: references and credentials. What goes out: ImageRecords, or the contract's errors. Layers are fetched several at a time and
unpacked in their order while the next ones arrive; those that are here already are not fetched, and two pulls of one layer share it. A
connection that breaks is taken up where it broke. An image appears when all of it is on disk, so a pull that ends anywhere leaves nothing
but the beginnings of downloads, which the next one continues.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TypeVar
from weakref import WeakValueDictionary

import msgspec

from bareboat.contracts.cri import Credentials, Progress
from bareboat.contracts.driver import Host
from bareboat.contracts.errors import DriverError, InvalidConfig
from bareboat_cri_process import translate
from bareboat_cri_process.content import Corrupt, Writing
from bareboat_cri_process.failures import RegistryFailure, contract_error
from bareboat_cri_process.images import ImageRecord, ImageStore
from bareboat_cri_process.layers import Part
from bareboat_cri_process.manifests import Configuration, Descriptor, Manifest, for_this_machine, read_configuration, read_manifest
from bareboat_cri_process.options import ProcessOptions
from bareboat_cri_process.references import Reference, parse
from bareboat_cri_process.registry import Registries

T = TypeVar("T")
_FIRST_WAIT, _LONGEST_WAIT = 0.25, 8.0


class Source(msgspec.Struct, frozen=True):
    """One image of a registry, resolved; ``documents`` are its manifests by digest."""

    reference: Reference
    credentials: Credentials | None
    manifest: Manifest
    digest: str
    documents: dict[str, bytes]


class Puller:
    """``progress`` shows what is being pulled, by the image's name."""

    def __init__(self, store: ImageStore, options: ProcessOptions, host: Host) -> None:
        self._store, self._options, self._host = store, options, host
        self._registries = Registries(options.registries)
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._slots = asyncio.Semaphore(max(1, options.parallel_layers))
        self.progress: dict[str, Progress] = {}

    async def close(self) -> None:
        await self._registries.close()

    async def pull(self, image: str, credentials: Credentials | None) -> ImageRecord:
        reference = parse(image)
        self.progress[image] = Progress(stage="resolving")
        try:
            found = await self._pull(image, reference, credentials or self._own(reference))
        except RegistryFailure as failure:  # what has arrived stays for the next try
            raise contract_error(failure, reference, image) from failure
        except (DriverError, OSError) as error:
            await self._host.blocking(self._store.sweep)
            raise (translate.machine_failure(error) if isinstance(error, OSError) else error) from error
        else:
            await self._host.blocking(self._store.sweep)
            return found
        finally:
            self.progress.pop(image, None)

    def _own(self, reference: Reference) -> Credentials | None:
        options = self._options.registries.get(reference.domain)
        return Credentials(username=options.username, password=options.password) if options and options.username else None

    async def _pull(self, image: str, reference: Reference, credentials: Credentials | None) -> ImageRecord:
        source = await self._resolve(reference, credentials)
        assert source.manifest.config is not None
        config_digest = source.manifest.config.digest
        with self._store.pinned([config_digest, *source.documents, *(layer.digest for layer in source.manifest.layers)]):
            config = await self._configuration(source, config_digest)
            parts = self._store.layers.parts(config.diff_ids)
            names = [part.name for part in parts]
            with self._store.layers.pinned(names):
                await self._layers(image, source, parts, config)
                for digest, content in source.documents.items():
                    await self._host.blocking(self._store.blobs.put, content, digest)
                tags = (reference.listed,) if not reference.digest else ()
                digests = (f"{reference.name}@{source.digest}",)
                record = ImageRecord(id=config_digest, tags=tags, digests=digests, layers=tuple(names), blobs=tuple(source.documents))
                return await self._host.blocking(self._store.commit, config_digest, config, record)

    async def _resolve(self, reference: Reference, credentials: Credentials | None) -> Source:
        documents: dict[str, bytes] = {}
        digest, content = await self._document(reference, "manifests", reference.wanted, credentials)
        documents[digest] = content
        top = digest
        manifest = read_manifest(content)
        for _ in range(3):
            if manifest.manifests is None:
                break
            entry = for_this_machine(manifest, reference.full)
            digest, content = await self._document(reference, "manifests", entry.digest, credentials)
            documents[digest] = content
            manifest = read_manifest(content)
        if manifest.config is None:
            raise InvalidConfig(f"{reference.full} is no image: its manifest names no configuration", reason="InvalidImage")
        return Source(reference, credentials, manifest, top, documents)

    async def _document(self, reference: Reference, kind: str, wanted: str, credentials: Credentials | None) -> tuple[str, bytes]:
        """Its digest, which must be the one that was asked for, and its content."""
        content, _ = await self._tried(lambda: self._registries.document(reference, kind, wanted, credentials))
        digest = "sha256:" + hashlib.sha256(content).hexdigest()
        if wanted.startswith("sha256:") and digest != wanted:
            raise Corrupt(f"{reference.full}: unexpected content: the digest of {wanted} is {digest}")
        return digest, content

    async def _configuration(self, source: Source, digest: str) -> Configuration:
        if self._store.blobs.has(digest):
            content = self._store.blobs.read(digest)
        else:
            _, content = await self._document(source.reference, "blobs", digest, source.credentials)
            await self._host.blocking(self._store.blobs.put, content, digest)
        config = read_configuration(content)
        if len(config.diff_ids) != len(source.manifest.layers):
            message = f"{source.reference.full} has {len(source.manifest.layers)} layers and describes {len(config.diff_ids)}"
            raise InvalidConfig(message, reason="InvalidImage")
        return config

    async def _layers(self, image: str, source: Source, parts: tuple[Part, ...], config: Configuration) -> None:
        """Fetch and unpack what is not here."""
        missing = [number for number, part in enumerate(parts) if not self._store.layers.has(part.name)]
        wanted = {n: source.manifest.layers[n] for number in missing for n in parts[number].layers}
        meter = Meter(self.progress, image, sum(d.size for d in {d.digest: d for d in wanted.values()}.values()))
        try:
            async with asyncio.TaskGroup() as group:
                fetched = {n: group.create_task(self._fetch(source, layer, meter)) for n, layer in wanted.items()}
                for number in missing:
                    part = parts[number]
                    await asyncio.gather(*(fetched[n] for n in part.layers))
                    blobs = [self._store.blobs.path(source.manifest.layers[n].digest) for n in part.layers]
                    below = [p.name for p in parts[:number]]
                    diff_ids = [config.diff_ids[n] for n in part.layers]
                    await self._host.blocking(self._store.layers.unpack, part, below, blobs, diff_ids)
        except BaseExceptionGroup as errors:
            raise errors.exceptions[0] from None

    async def _fetch(self, source: Source, layer: Descriptor, meter: Meter) -> None:
        """One layer's blob into the store, by whoever comes first."""
        lock = self._locks.setdefault(layer.digest, asyncio.Lock())
        async with self._slots, lock:
            if self._store.blobs.has(layer.digest):
                meter.add(layer.size)
                return
            try:
                await self._tried(lambda: self._download(source, layer, meter))
            except Corrupt as error:
                message = f"failed to pull {source.reference.full}: layer {layer.digest}: {error.message}"
                raise Corrupt(message, reason=error.reason) from error

    async def _download(self, source: Source, layer: Descriptor, meter: Meter) -> None:
        writing = await self._host.blocking(self._store.blobs.write, layer.digest)
        resumed = writing.size > 0
        try:
            with writing:
                if writing.size > layer.size:
                    writing.restart()
                if writing.size < layer.size or not layer.size:
                    await self._receive(source, layer, writing, meter)
                await self._written(writing, writing.commit)
        except Corrupt:
            if not resumed:
                raise
            raise RegistryFailure("what was there of a layer was damaged", again=True) from None

    async def _receive(self, source: Source, layer: Descriptor, writing: Writing, meter: Meter) -> None:
        async with self._registries.blob(source.reference, layer.digest, writing.size, source.credentials) as (stream, start):
            if start != writing.size:
                writing.restart()
            meter.add(writing.size)
            before = writing.size
            async for piece in stream.iter_chunked(1 << 18):
                await self._written(writing, partial(writing.add, piece))
                meter.add(len(piece))
                if writing.size > layer.size:
                    writing.discard()
                    raise Corrupt(f"the registry sends more than the {layer.size} bytes of {layer.digest}")
        if writing.size < layer.size:
            progressed = writing.size > before
            raise RegistryFailure(f"the answer ended at {writing.size} of {layer.size} bytes of {layer.digest}", again=progressed or None)

    async def _written(self, writing: Writing, call: Callable[[], None]) -> None:
        """What the disk has to say is no failure of the registry; a disk that is full should not also keep a useless beginning.
        Cancelled, it waits for the thread: the file is closed after this."""
        work = asyncio.ensure_future(self._host.blocking(call))
        try:
            await asyncio.shield(work)
        except asyncio.CancelledError:
            await asyncio.wait([work])
            raise
        except OSError as error:
            writing.discard()
            raise translate.machine_failure(error) from error

    async def _tried(self, call: Callable[[], Awaitable[T]]) -> T:
        """Again, with growing pauses, while it may help."""
        for attempt in range(self._options.pull_attempts):
            try:
                return await call()
            except RegistryFailure as failure:
                if not failure.again or attempt + 1 >= self._options.pull_attempts:
                    raise
                wait = failure.retry_after if failure.retry_after is not None else _FIRST_WAIT * 2**attempt
                self._host.log.info("%s; again in %.2f s", failure.message, min(wait, _LONGEST_WAIT))
                await self._host.clock.sleep(min(wait, _LONGEST_WAIT))
        raise AssertionError("unreachable")


class Meter:
    """Counts the bytes of one pull."""

    def __init__(self, shown: dict[str, Progress], image: str, total: int) -> None:
        self._shown, self._image, self._total, self._done = shown, image, total, 0
        self.add(0)

    def add(self, count: int) -> None:
        self._done = min(self._total, self._done + count)
        self._shown[self._image] = Progress(stage="downloading", done=self._done, total=self._total)
