"""A kernel in memory, for every folder whose tests need no other."""

import pytest

from bareboat.testing.kernel import Kernel


@pytest.fixture
async def kernel():
    kernel = await Kernel().start()
    yield kernel
    await kernel.stop()
