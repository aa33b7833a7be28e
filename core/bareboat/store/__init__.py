"""The store: drivers (``memory``, ``sqlite``), the log above them (``log``), and its broadcast (``broadcast``)."""
