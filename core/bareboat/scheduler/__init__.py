"""The scheduler: filter → score → bind over columnar state; if no node fits, perhaps room is made.

State: ``columns`` (nodes as numpy ``rows``, pods on them as ``placed``, the ``counts`` of pods that selectors mean, topologies as
``domains``), ``nominations``, ``storage`` and ``siblings``, all told by ``changes``. What a pod asks for: ``requests``, ``terms``.
Where it may run: ``filters`` puts ``static``, ``interpod``, ``spread`` and ``volumes`` together into a ``verdict``. Where best:
``scores`` and the plugins' policies. ``placement`` is one decision, ``preemption`` the search for victims; both are pure. Acting on
the cluster: ``scheduler`` (the loop and the binding), ``volume_binding``, ``evictions``. ``queue`` orders the waiting pods.
"""
