"""CEL, the language of validation rules and admission policies: expressions compiled once, evaluated on plain trees.

The language itself is Google's C++ implementation (``cel-expr-python``); ``environment`` is the only module that knows it. The
functions that Kubernetes adds are Python, one module per library in ``functions``.
"""
