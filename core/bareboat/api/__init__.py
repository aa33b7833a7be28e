"""The system-call table: verbs over every kind, with one path for every write and one for every read.

``request`` (what is asked) → ``service`` (the way every request takes) → ``verbs`` (one module per verb) → the store's log.
``kinds`` says what is special about a kind; ``patch``, ``tables``, ``discovery`` and ``openapi`` are what their names say.
``inprocess`` lets controllers and scheduler in without a socket; ``reader`` feeds authorizers and admission plugins.
"""
