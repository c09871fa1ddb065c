import os
import sys

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from fault import FaultyServer  # noqa: E402

FULL = bool(os.environ.get('POSTERN_FULL'))


@pytest.fixture(scope='module')
def server():
    """example.org with ann and bob; whatever a test orders is taken back after it."""
    with FaultyServer({'listeners': {'relay': {'max_transactions': 1000000, 'max_sessions_per_ip': 1000}}}) as s:
        s.people('ann', 'bob', 'postmaster')
        yield s


@pytest.fixture(autouse=True)
def healed(request):
    yield
    if 'server' in request.fixturenames:
        for fault in request.getfixturevalue('server').fault.values():
            fault.clear()


@pytest.fixture
def full():
    return FULL
