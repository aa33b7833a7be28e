"""The etcd store driver."""
