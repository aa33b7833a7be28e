"""Role-based access control, the node authorizer, and the objects that a new cluster has."""
