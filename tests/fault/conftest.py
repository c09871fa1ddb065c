import os
import sys

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(os.path.dirname(HERE), 'system')]  # the latter: peers, and their books

from disk import namespace_of_our_own  # noqa: E402
from fault import FaultyServer  # noqa: E402

FULL = bool(os.environ.get('POSTERN_FULL'))


@pytest.fixture(scope='module')
def server():
    """example.org with ann and bob; whatever a test orders is taken back after it."""
    with FaultyServer({'smtp_processes': 2, 'listeners': {'relay': {'max_transactions': 1000000, 'max_sessions_per_ip': 1000}}}) as s:
        s.people('ann', 'bob', 'postmaster')
        yield s


@pytest.fixture(scope='module')
def namespace():
    """Where it may not be made the test is skipped."""
    try:
        namespace_of_our_own()
    except OSError as e:
        pytest.skip(f'needs a mount namespace of its own: {e}')


@pytest.fixture(autouse=True)
def healed(request):
    yield
    if 'server' in request.fixturenames:
        for fault in request.getfixturevalue('server').fault.values():
            fault.clear()


@pytest.fixture
def full():
    return FULL
