"""The Container Storage Interface over gRPC, from both sides."""
