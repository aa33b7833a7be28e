"""For every test: ``@pytest.mark.virtual_time`` runs it on an event loop whose clock jumps when nothing is ready."""

from bareboat.testing.virtual_time import pytest_asyncio_loop_factories

__all__ = ["pytest_asyncio_loop_factories"]
