"""An operator as people write them with kopf: a finalizer, a timer, state of its own. Run by test_kopf."""

import kopf


@kopf.on.startup()
def configure(settings, **_):
    settings.persistence.finalizer = "example.com/kopf"
    settings.posting.enabled = True
    settings.scanning.disabled = False


@kopf.on.create("configmaps", labels={"operated": "yes"})
def created(body, patch, **_):
    kopf.info(body, reason="Greeted", message="said hello")
    patch.setdefault("data", {})["greeting"] = f"hello {body['metadata']['name']}"


@kopf.timer("configmaps", labels={"operated": "yes"}, interval=0.5)
def ticked(body, patch, **_):
    ticks = int((body.get("data") or {}).get("ticks", "0"))
    patch.setdefault("data", {})["ticks"] = str(ticks + 1)


@kopf.on.delete("configmaps", labels={"operated": "yes"})
def deleted(body, logger, **_):
    logger.info("good bye %s", body["metadata"]["name"])
