"""The verbs of the API over a transport: HTTPS (``https``), or the server's own in-process one (``api.inprocess``)."""
