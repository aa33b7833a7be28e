"""StatefulSet: pods with names, storage and an order of their own.

``identity`` is what makes pod number n that pod, ``storage`` its claims and when they go, ``roll`` one step of scaling and updating,
``controller`` the revisions and the status around it.
"""
