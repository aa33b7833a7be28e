"""One PostgreSQL for all tests here, a schema for each test."""

import os
import shutil

import pytest

from bareboat.testing.postgres import Postgres, place, programs


@pytest.fixture(scope="session")
def postgres():
    if programs() is None:
        if os.environ.get("CI"):
            pytest.fail("PostgreSQL is not installed (Debian: postgresql)")
        pytest.skip("PostgreSQL is not installed (Debian: postgresql)")
    server = Postgres(place())
    server.create()
    yield server
    server.stop("immediate")
    shutil.rmtree(server.folder)
