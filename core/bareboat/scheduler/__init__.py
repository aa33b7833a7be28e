"""The scheduler: filter → score → bind over columnar state.

``columns`` (nodes as numpy arrays) ← ``requests`` (what a pod asks for); ``static`` and ``interpod`` say where a pod may run;
``placement`` combines them with the plugins' policies into one decision; ``queue`` orders the waiting pods; ``scheduler``
feeds all of it from informers and binds.
"""
