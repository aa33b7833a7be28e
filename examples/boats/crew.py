"""An operator for boats, with kopf: it sets the sails that a boat asks for and says good-bye when she goes.

KUBECONFIG=… kopf run --standalone -n default examples/boats/crew.py
"""

import kopf

KIND = ("harbor.example.com", "v1", "boats")


@kopf.on.create(*KIND)
@kopf.on.update(*KIND, field="spec.sails")
def set_sails(spec, patch, body, **_):
    patch.status["sails"] = spec["sails"]
    kopf.event(body, type="Normal", reason="Sails", message=f"{spec['sails']} set")


@kopf.on.delete(*KIND)
def farewell(name, logger, **_):
    logger.info("farewell %s", name)
