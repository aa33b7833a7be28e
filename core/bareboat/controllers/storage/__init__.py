"""The controller verbs of storage drivers, called from the agents: no driver can take the server down.

Every agent that has a driver runs these controllers for it. ``seat`` says which of them acts: of drivers whose volumes are the cluster's
the one that holds the driver's Lease, of drivers whose volumes are the node's each for its own. ``provisioner`` makes and deletes volumes,
``attacher`` attaches them where the server's attach-detach controller wants them, ``resizer`` grows them, ``capacity`` tells what is left.
"""
