"""The HTTP face: TLS and protocol, the application, health, virtual resources, and the way to agents."""
