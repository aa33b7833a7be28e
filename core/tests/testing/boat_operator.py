"""An operator as people write them with kopf: a Boat gets a crew (a Deployment of as many pods as it has sails) and is afloat."""

import kopf
import kr8s
from kr8s.asyncio.objects import Deployment


def crew(name, sails):
    labels = {"boat": name}
    spec = {
        "replicas": sails,
        "selector": {"matchLabels": labels},
        "template": {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "sailor", "image": "sailor:1"}]}},
    }
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": f"{name}-crew", "namespace": "default"}, "spec": spec}


@kopf.on.startup()
def configure(settings, **_):
    settings.persistence.finalizer = "sea.dev/kopf"
    settings.watching.server_timeout = 60
    settings.networking.error_backoffs = [0.1, 0.2, 0.5]


@kopf.on.create("sea.dev", "v1", "boats", backoff=0.2)
async def created(name, spec, patch, **_):
    child = crew(name, spec["sails"])
    kopf.adopt(child)
    api = await kr8s.asyncio.api()
    try:
        await (await Deployment(child, api=api)).create()
    except kr8s.ServerError as error:
        if error.response.status_code != 409:
            raise kopf.TemporaryError(str(error), delay=0.2) from error
    patch.status["phase"] = "Afloat"


@kopf.on.update("sea.dev", "v1", "boats", field="spec.sails")
async def resailed(name, new, **_):
    api = await kr8s.asyncio.api()
    await (await Deployment.get(f"{name}-crew", namespace="default", api=api)).scale(new)


@kopf.on.delete("sea.dev", "v1", "boats")
def sunk(name, logger, **_):
    logger.info("good-bye %s", name)
