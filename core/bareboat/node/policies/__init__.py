"""Network policies on a node: from objects of the API to the state that a network policy driver makes true."""
