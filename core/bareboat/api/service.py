"""The one way in: authorize, find the resource, run the verb, turn errors into Status.

What comes in: an ``ApiRequest`` with a user, from the HTTP face or from inside the process. What goes out: an
``ApiResponse``. Verbs live in ``api.verbs``; this module only decides which one runs.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from bareboat.admission.chain import Chain as AdmissionChain
from bareboat.api import answers
from bareboat.api.custom.kinds import CustomKinds
from bareboat.api.decisions import Authority, Decisions
from bareboat.api.documents import Documents
from bareboat.api.indexes import Indexes
from bareboat.api.kinds.registry import deprecations, strategy_for
from bareboat.api.operation import Operation
from bareboat.api.request import ApiRequest, ApiResponse, RequestInfo, parse
from bareboat.api.request_metrics import RequestMetrics
from bareboat.api.strategy import Strategy
from bareboat.api.trail import Recorder
from bareboat.base.clock import Clock
from bareboat.base.ids import Ids
from bareboat.models.scheme import Resource, Scheme
from bareboat.models.status import ApiError, Conflict, Forbidden, InternalError, MethodNotAllowed, NotFound, ServiceUnavailable, Timeout
from bareboat.store.errors import Raced, StoreFailed
from bareboat.store.log import Log
from bareboat.store.shared import StoreUncertain

log = logging.getLogger("bareboat.api")
#: Decisions of one request that may be overtaken by other servers.
TRIES = 20
READS = ("get", "list", "watch")


class Target(NamedTuple):
    """What a path's resource means as long as the scheme stays as it is. ``strategy`` None: a custom resource, see CustomKinds."""

    resource: Resource
    stored: Resource
    strategy: Strategy | None
    warnings: list[str]


Virtual = Callable[[Operation], Awaitable[ApiResponse]]


class Service:
    """The kernel's API. ``virtual`` serves resources and subresources that are not in the store, by (group/plural, subresource)."""

    def __init__(self, store_log: Log, scheme: Scheme, authority: Authority, admission: AdmissionChain, *, clock: Clock, ids: Ids) -> None:
        self.log = store_log
        self.scheme = scheme
        self.authority = authority
        self.admission = admission
        self.clock = clock
        self.ids = ids
        #: how long Events are kept
        self.event_seconds = 3600.0
        self.documents = Documents(scheme)
        self.requests = RequestMetrics()
        self._decisions = Decisions(authority)
        #: answers for the groups of other servers; None from it: it is ours
        self.remote: Callable[[ApiRequest], Awaitable[ApiResponse | None]] | None = None
        self.virtual: dict[tuple[str, str], Virtual] = {}
        #: records what comes from inside the process; the HTTP face begins its records itself
        self.recorder: Recorder | None = None
        from bareboat.api.allocation.services import Allocations
        from bareboat.api.verbs.dispatch import Verbs

        self.allocations = Allocations(store_log)
        self.indexes = Indexes(store_log)
        self.custom = CustomKinds(store_log, scheme, ids)
        self.documents.custom = self.custom
        scheme.subscribe(self.documents.forget)
        self._verbs = Verbs(self)
        self._targets: dict[tuple[str, str, str], Target] = {}
        self._generation = scheme.generation

    async def handle(self, request: ApiRequest) -> ApiResponse:
        """Never raises for what a client can cause."""
        info, own = request.info, None
        if info is None:  # from inside the process
            info = parse(request.method, request.path, request.query)
            if self.recorder is not None:
                own = request.trail = self.recorder.begin(request, info)
        began, kind = self.clock.monotonic(), self.requests.began(info.verb)
        code = 504  # of one that is cancelled: it took too long
        try:
            response = await self._answered(request, info)
            code = response.status
        finally:
            self.requests.ended(kind, info, code, self.clock.monotonic() - began, code < 400 or self._is_there(info))
        return response if own is None else own.answered(response)

    def _is_there(self, info: RequestInfo) -> bool:
        """Whether the path names a resource: what strangers make up is not counted by its name."""
        resource = self.scheme.resource(info.group, info.version, info.resource)
        return resource is not None and (not info.subresource or info.subresource in resource.subresources)

    async def _answered(self, request: ApiRequest, info: RequestInfo) -> ApiResponse:
        try:
            await self.authorize(request, info)
            if self.remote is not None and (elsewhere := await self.remote(request)) is not None:
                return elsewhere
            if not info.resource:
                return await self.documents.answer(request)
            return await self._decided(request, info)
        except ApiError as error:
            return answers.failure(error)
        except StoreUncertain as error:
            return answers.failure(Timeout(f"the store did not say whether it took the write: {error}"))
        except StoreFailed as error:
            asked = "cannot be read now" if info.verb in READS else "did not take the write"
            return answers.failure(ServiceUnavailable(f"the store {asked}: {error}"))
        except Exception:
            log.exception("%s %s failed", request.method, request.path)
            if request.trail is not None:
                request.trail.panicked = True
            return answers.failure(InternalError("Internal Server Error", reason="InternalError"))

    async def _decided(self, request: ApiRequest, info: RequestInfo) -> ApiResponse:
        """The answer with its warnings; from the start again while other servers change what the write is decided on.

        A refusal or the answer of a dry run is given when what it was decided on is durable: nothing older is found afterwards.
        """
        for _ in range(TRIES):
            op = self.operation(request, info)
            try:
                if self.log.shared and info.verb != "watch":
                    await self.caught_up(op)
                response = await self._answer_of(op)
            except Raced as error:
                log.info("%s %s is decided again: %s", request.method, request.path, error)
                continue
            response.warnings = op.warnings
            return response
        raise Conflict("too many writers at once; try again", details={})

    async def _answer_of(self, op: Operation) -> ApiResponse:
        """Raises Raced."""
        try:
            response = await (self.virtual.get((op.resource.key, op.info.subresource)) or self._verbs.run)(op)
        except ApiError as error:
            response = answers.failure(error)
        if (response.status >= 400 or "dryRun" in op.request.query) and op.info.verb not in READS:
            await self.log.confirmed()
        return response

    async def caught_up(self, op: Operation) -> None:
        """Until this server has seen what the request may rely on: all that was written before it, or the revision that it names."""
        wanted = op.request.first("resourceVersion") if op.info.verb in READS else ""
        if not wanted:
            await self.log.fresh()
        elif wanted.isascii() and wanted.isdigit() and int(wanted) > self.log.head:
            await self.log.reach(int(wanted))

    async def authorize(self, request: ApiRequest, info: RequestInfo) -> None:
        """Raises Forbidden with upstream's sentence."""
        decision = await self._decisions.of(request.user, info)
        if request.trail is not None:
            request.trail.decided(decision)
        if decision.verdict != "Allow":
            raise forbidden(info, request.user.name, decision.reason)

    def operation(self, request: ApiRequest, info: RequestInfo) -> Operation:
        """Raises NotFound for a path that names nothing, MethodNotAllowed for a verb that it does not have."""
        self._forget_if_changed()
        target = self._targets.get((info.group, info.version, info.resource)) or self._target(info)
        resource = target.resource
        if info.namespace and not resource.namespaced and resource.plural != "namespaces":
            raise NotFound("the server could not find the requested resource", details={})
        self._check_verb(resource, info)
        if target.strategy is not None:
            return Operation(request, info, resource, target.stored, target.strategy, self.clock, self.ids, target.warnings.copy())
        kind = self.custom.kind(resource)
        warnings = [kind.version.warning] if kind.version.warning else []
        return Operation(request, info, resource, resource, kind.strategy, self.clock, self.ids, warnings, custom=kind)

    def _target(self, info: RequestInfo) -> Target:
        resource = self.scheme.resource(info.group, info.version, info.resource) if info.resource else None
        if resource is None:
            raise NotFound("the server could not find the requested resource", details={})
        if resource.custom:
            target = Target(resource, resource, None, [])
        else:
            stored = self.scheme.storage(resource.group, resource.plural)
            target = Target(resource, stored, strategy_for(stored), deprecations(stored))
        self._targets[info.group, info.version, info.resource] = target
        return target

    def _forget_if_changed(self) -> None:
        if self._generation != self.scheme.generation:
            self._generation = self.scheme.generation
            self._targets.clear()

    def _check_verb(self, resource: Resource, info: RequestInfo) -> None:
        if not info.subresource:
            if (
                info.verb not in resource.verbs
                or (info.name == "" and info.verb in ("update", "patch"))
                or (info.name and info.verb == "create")
            ):
                raise MethodNotAllowed("the server does not allow this method on the requested resource", details={})
            return
        found = resource.subresources.get(info.subresource)
        if found is None:
            raise NotFound("the server could not find the requested resource", details={})
        if info.verb not in found.verbs and info.subresource != "proxy":  # whatever the method, it is the proxied one's to answer
            raise MethodNotAllowed("the server does not allow this method on the requested resource", details={})


def forbidden(info: RequestInfo, user: str, reason: str) -> Forbidden:
    """Upstream's sentence about who may not do what."""
    because = f": {reason}" if reason else ""
    if not info.resource:
        return Forbidden(f'forbidden: User "{user}" cannot {info.verb} path "{info.path}"{because}', details={})
    resource = f"{info.resource}/{info.subresource}" if info.subresource else info.resource
    where = f'in API group "{info.group}"'
    where += f' in the namespace "{info.namespace}"' if info.namespace else " at the cluster scope"
    named = f' "{info.name}"' if info.name else ""
    plural = f"{info.resource}.{info.group}" if info.group else info.resource
    message = f'{plural}{named} is forbidden: User "{user}" cannot {info.verb} resource "{resource}" {where}{because}'
    details = {k: v for k, v in (("name", info.name), ("group", info.group), ("kind", info.resource)) if v}
    return Forbidden(message, details=details)
