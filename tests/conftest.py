"""Shared by all tests: no network, caches of one's own, repeatable property tests."""

import os
import signal
import socket

import pytest
from helpers import serving
from hypothesis import HealthCheck, settings

settings.register_profile("course", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("course")
os.environ.setdefault("MPLBACKEND", "agg")
os.environ.pop("COLUMNS", None)  # pytest may say how wide its own screen is; tables of the tests go to a pipe
LOCAL = ("127.0.0.1", "::1", "localhost")


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    """Any connection beyond this machine is an error that names the address."""
    real = socket.socket.connect

    def connect(self, address):
        if self.family in (socket.AF_INET, socket.AF_INET6) and address[0] not in LOCAL:
            raise AssertionError(f"a test tried to reach {address}")
        return real(self, address)

    monkeypatch.setattr(socket.socket, "connect", connect)


@pytest.fixture(scope="session", autouse=True)
def interruptible():
    """What a shell starts in the background ignores Ctrl-C, and so does all that it starts; tests of Ctrl-C need it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(scope="session", autouse=True)
def own_data_dir(tmp_path_factory):
    """Data and caches of this session, so that no test leans on what an earlier run left behind."""
    before = os.environ.get("COURSE_DATA_DIR")
    os.environ["COURSE_DATA_DIR"] = str(tmp_path_factory.mktemp("data"))
    yield
    if before is None:
        del os.environ["COURSE_DATA_DIR"]
    else:
        os.environ["COURSE_DATA_DIR"] = before


@pytest.fixture
def host():
    """A server of downloads on this machine, see `helpers.serving`."""
    with serving() as server:
        yield server
