"""The families of plugins that can be begun with ``bareboat plugin new``: the contract, its suite, and the first lines of each file.

In: the word of ``--contract``, or a name that begins with one of the prefixes. Out: a ``Family``. What the verbs of a driver are is read
from its contract, not repeated here.
"""

from __future__ import annotations

import msgspec

from bareboat.plugins.inventory import DRIVER_GROUPS


class Family(msgspec.Struct, frozen=True, kw_only=True):
    """``prefixes`` begin names of such plugins. A driver has a ``group``, everything else a ``hook``; ``suite`` is module:class."""

    word: str
    prefixes: tuple[str, ...]
    summary: str
    suite: str
    group: str = ""
    hook: str = ""
    base: str = ""

    @property
    def base_module(self) -> str:
        return self.base.partition(":")[0]

    @property
    def base_class(self) -> str:
        return self.base.partition(":")[2]


def _driver(word: str, group: str, base: str, suite: str, summary: str) -> Family:
    return Family(
        word=word, prefixes=(word,), group=DRIVER_GROUPS[group], base=base, suite=f"bareboat.testing.{suite}", summary=f"a {summary}"
    )


FAMILIES = (
    _driver("cri", "runtime", "bareboat.contracts.cri:RuntimeDriver", "cri_suite:RuntimeSuite", "container runtime"),
    _driver("cni", "network", "bareboat.contracts.cni:NetworkDriver", "cni_suite:NetworkSuite", "pod network"),
    _driver("csi", "storage", "bareboat.contracts.csi:VolumeDriver", "csi_suite:VolumeSuite", "storage driver"),
    _driver(
        "netpol", "networkPolicy", "bareboat.contracts.netpolicy:NetworkPolicyDriver", "netpolicy_suite:NetworkPolicySuite", "packet filter"
    ),
    _driver("store", "store", "bareboat.contracts.store:Store", "store_suite:StoreSuite", "store"),
    _driver("proxy", "proxy", "bareboat.contracts.proxy:ProxyDriver", "proxy_suite:ProxySuite", "proxy for Services"),
    Family(
        word="scheduling",
        prefixes=("sched", "scheduling", "score"),
        hook="bareboat_scheduling_policies",
        base="bareboat.contracts.scheduling:SchedulingPolicy",
        suite="bareboat.testing.scheduling_suite:PolicySuite",
        summary="a scheduling policy",
    ),
    Family(
        word="admission",
        prefixes=("admission",),
        hook="bareboat_admission",
        base="bareboat.contracts.admission:AdmissionPlugin",
        suite="bareboat.testing.admission_suite:AdmissionSuite",
        summary="an admission plugin",
    ),
    Family(
        word="authentication",
        prefixes=("authn", "authentication"),
        hook="bareboat_authenticators",
        base="bareboat.contracts.auth:Authenticator",
        suite="bareboat.testing.access_suite:AuthenticatorSuite",
        summary="an authenticator",
    ),
    Family(
        word="authorization",
        prefixes=("authz", "authorization"),
        hook="bareboat_authorizers",
        base="bareboat.contracts.auth:Authorizer",
        suite="bareboat.testing.access_suite:AuthorizerSuite",
        summary="an authorizer",
    ),
    Family(
        word="controllers",
        prefixes=("controller", "controllers"),
        hook="bareboat_controllers",
        base="bareboat.reconcile.controller:Controller",
        suite="bareboat.testing.controller_suite:ControllerSuite",
        summary="a controller",
    ),
)
WORDS = tuple(f.word for f in FAMILIES)


def family_of(name: str, word: str = "") -> tuple[Family, str]:
    """The family, and the plugin's own name without the prefix. Raises ValueError with what there is."""
    first, _, rest = name.partition("_")
    for family in FAMILIES:
        if family.word == word:
            return family, rest if first in family.prefixes and rest else name
        if not word and first in family.prefixes and rest:
            return family, rest
    raise ValueError(f"{name!r} does not say of which contract it is: name it PREFIX_NAME or add --contract, one of {', '.join(WORDS)}")
