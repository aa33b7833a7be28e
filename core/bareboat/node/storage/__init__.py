"""Volumes that drivers provide, on one node: which driver and volume a pod means, staged and published, and undone.

``wanted`` finds out what a pod's volume is, ``records`` keeps on disk what is published, ``publishing`` calls the drivers, ``context``
says what of the pod they are told, ``ownership`` gives files to a group, ``growing`` finishes expansions, ``registering`` tells the API
which drivers the node has.
"""
