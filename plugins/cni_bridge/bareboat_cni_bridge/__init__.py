"""Pod network of one node: bridge, veth pairs, addresses, routes, masquerade, hostPorts."""
