"""Fixtures of the system and interop tests: a running server each module shares."""
import os
import subprocess
import socket
import sys

import pytest

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(TOP, 'scripts'))

from server import Server  # noqa: E402

# smtplib asks for this host's name each time it connects: where the resolver is slow or away, a
# client meant to come back at once would wait for it.
socket.getfqdn = lambda name='': 'client.example.net'

PASSWORD = 'correct horse battery'


@pytest.fixture(scope='session')
def binary():
    path = os.environ.get('POSTERN_BIN', os.path.join(TOP, 'build/test/postern'))
    if not os.path.exists(path):
        pytest.fail(f'{path} is not there: run scripts/build test')
    return path


@pytest.fixture(scope='session')
def release():
    """The folder with the programs as they are installed; `make test` has built them before."""
    if 'POSTERN_RELEASE' in os.environ:
        return os.environ['POSTERN_RELEASE']
    subprocess.run([os.path.join(TOP, 'scripts', 'build'), 'release'], check=True, stdout=subprocess.DEVNULL)
    return os.path.join(TOP, 'build', 'release')


@pytest.fixture(scope='session')
def make_server(binary):
    """A function that makes a server with a configuration of its own, and of another
    program if one is named; the caller uses it with 'with'."""
    def make(config=None, program=None, **more):
        return Server(program or binary, config, **more)
    return make


@pytest.fixture(scope='module')
def server(make_server):
    """example.org with ann and bob, whose passwords are PASSWORD."""
    with make_server() as s:
        s.cli('domain', 'add', 'example.org')
        for name in ('ann', 'bob', 'postmaster'):
            s.account(f'{name}@example.org', PASSWORD)
        yield s


@pytest.fixture
def password():
    return PASSWORD
