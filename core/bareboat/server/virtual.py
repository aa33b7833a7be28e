"""Resources that are answered rather than stored: reviews, tokens, component statuses, bindings of the old form."""

from __future__ import annotations

from typing import Any

import msgspec

from bareboat.api import answers, body
from bareboat.api.kinds.reviews import validate_access_review, validate_token_request
from bareboat.api.operation import Operation
from bareboat.api.request import ApiResponse
from bareboat.api.service import Service
from bareboat.api.verbs.binding import bind
from bareboat.api.writing import admission_request
from bareboat.auth.authenticators import AuthenticatorChain
from bareboat.auth.authority import Authority
from bareboat.auth.reviews import review_access, review_rules, review_token, shown, user_of
from bareboat.auth.tokens import Issuer
from bareboat.contracts.auth import UserInfo
from bareboat.models import authentication_v1, authorization_v1
from bareboat.models.codec import encode
from bareboat.models.status import BadRequest, Cause, Invalid, NotFound


class Virtual:
    """Puts itself into ``Service.virtual``."""

    def __init__(self, service: Service, chain: AuthenticatorChain, authority: Authority, issuer: Issuer) -> None:
        self._service = service
        self._chain = chain
        self._authority = authority
        self._issuer = issuer
        service.virtual |= {
            ("authorization.k8s.io/selfsubjectaccessreviews", ""): self._self_access,
            ("authorization.k8s.io/subjectaccessreviews", ""): self._access,
            ("authorization.k8s.io/localsubjectaccessreviews", ""): self._access,
            ("authorization.k8s.io/selfsubjectrulesreviews", ""): self._rules,
            ("authentication.k8s.io/tokenreviews", ""): self._token_review,
            ("authentication.k8s.io/selfsubjectreviews", ""): self._who,
            ("core/serviceaccounts", "token"): self._token,
            ("core/componentstatuses", ""): self._components,
            ("core/bindings", ""): self._bind,
        }

    def _read(self, op: Operation, cls: type[Any]) -> Any:
        answers.negotiate(op.request, shapes=False)
        return body.read(op, cls, op.resource.kind, op.resource.api_version)

    def _created(self, op: Operation, obj: msgspec.Struct) -> ApiResponse:
        return answers.data(encode(obj), answers.negotiate(op.request), 201)

    async def _self_access(self, op: Operation) -> ApiResponse:
        review = self._read(op, authorization_v1.SelfSubjectAccessReview)
        _check(op.resource.kind, op.resource.group, validate_access_review(review, of_self=True))
        review.status = await review_access(self._authority, op.request.user, review.spec)
        return self._created(op, review)

    async def _access(self, op: Operation) -> ApiResponse:
        cls = authorization_v1.LocalSubjectAccessReview if op.info.namespace else authorization_v1.SubjectAccessReview
        review = self._read(op, cls)
        _check(op.resource.kind, op.resource.group, validate_access_review(review, namespace=op.info.namespace))
        user: UserInfo = user_of(review.spec)
        review.status = await review_access(self._authority, user, review.spec)
        return self._created(op, review)

    async def _rules(self, op: Operation) -> ApiResponse:
        review = self._read(op, authorization_v1.SelfSubjectRulesReview)
        if not review.spec.namespace:
            raise BadRequest("no namespace on request")
        review.status = review_rules(self._authority, op.request.user, review.spec.namespace)
        return self._created(op, review)

    async def _token_review(self, op: Operation) -> ApiResponse:
        review = self._read(op, authentication_v1.TokenReview)
        if not review.spec.token:
            raise BadRequest("token is required for TokenReview in authentication")
        review.status = await review_token(self._chain, review.spec)
        return self._created(op, review)

    async def _who(self, op: Operation) -> ApiResponse:
        review = self._read(op, authentication_v1.SelfSubjectReview)
        review.metadata.creationTimestamp = op.clock.timestamp()
        review.status.userInfo = shown(op.request.user)
        return self._created(op, review)

    async def _token(self, op: Operation) -> ApiResponse:
        request = body.read(op, authentication_v1.TokenRequest, "TokenRequest", "authentication.k8s.io/v1")
        _check("TokenRequest", "authentication.k8s.io", validate_token_request(request, op.info.namespace, op.info.name))
        await self._service.admission.admit(admission_request(op, "CREATE", request, None))
        made = self._issuer.issue(op.info.namespace, op.info.name, request)
        made.metadata.name, made.metadata.namespace = op.info.name, op.info.namespace
        made.metadata.creationTimestamp = op.clock.timestamp()
        return self._created(op, made)

    async def _components(self, op: Operation) -> ApiResponse:
        names = ("controller-manager", "etcd-0", "scheduler")
        if op.info.name and op.info.name not in names:
            raise NotFound.of("componentstatuses", op.info.name)
        wanted = [op.info.name] if op.info.name else names
        bodies = [
            msgspec.json.encode(
                {
                    "kind": "ComponentStatus",
                    "apiVersion": "v1",
                    "metadata": {"name": name},
                    "conditions": [{"type": "Healthy", "status": "True", "message": "ok"}],
                }
            )
            for name in wanted
        ]
        form = answers.negotiate(op.request)
        return answers.one(op, bodies[0], form) if op.info.name else answers.many(op, bodies, {}, form)

    async def _bind(self, op: Operation) -> ApiResponse:
        return await bind(self._service, op, "")


def _check(kind: str, group: str, causes: list[Cause]) -> None:
    """Raises Invalid."""
    if causes:
        raise Invalid(kind, "", causes, group=group)
