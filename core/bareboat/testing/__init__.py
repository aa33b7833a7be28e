"""Conformance suites, fakes with fault knobs, virtual time. Public: what authors of plugins test with."""
