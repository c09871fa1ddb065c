"""The DNS is gone, wholly or in the middle: mail waits and says why, nobody is told of a failure, and all
goes out when it is back."""
import os
import smtplib
import sys
import time

import pytest
from server import PATIENCE
from smtp_peer import SmtpPeer

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(TOP, 'tests'))

from zones import Zones  # noqa: E402

N = 6


@pytest.fixture(scope='module')
def world(make_server):
    zones = Zones()
    zones.add('a.test', {'@': ['MX 10 nowhere'], **{f'mx{n}': ['A 127.0.0.1'] for n in range(N)}})
    with zones, SmtpPeer() as peer:
        routes = {f'r{n}': {'to': [f'd{n}.example'], 'via': 'host', 'hosts': [f'mx{n}.a.test'], 'port': peer.port, 'tls': 'off'}
                  for n in range(N)}
        config = {**zones.config(), 'routes': routes}
        config['dns'] = {**config['dns'], 'timeout': '5s'}
        config['listeners'] = {'relay': {'relay_from': ['127.0.0.1']}}
        with make_server(config) as s:
            s.cli('domain', 'add', 'example.org')
            s.account('ann@example.org', 'correct horse battery')
            yield s, zones, peer


def submit(s, subject, to):
    with smtplib.SMTP('127.0.0.1', s.port['relay'], timeout=30) as c:
        assert not c.sendmail('ann@example.org', to, f'Subject: {subject}\r\n\r\nhello\r\n')


def wait(s, ready):
    deadline = time.monotonic() + 2 * PATIENCE
    asked = 0
    while not ready(s.json('queue', 'list')):
        assert time.monotonic() < deadline, (s.json('queue', 'list'), s.log_text()[-3000:])
        if time.monotonic() > asked + 8:  # what has just been given up is left to be told
            s.cli('queue', 'retry', '--all', check=False)
            asked = time.monotonic()
        time.sleep(0.1)


@pytest.mark.parametrize('n, fate', [(0, 'silent'), (1, 'broken')])
def test_gone_and_back(world, n, fate):
    s, zones, peer = world
    plain, zones.fate = zones.fate, lambda name: fate
    begin = os.path.getsize(s.log_file)
    try:
        # By route, and by MX, where a name must not be taken for one that does not exist.
        submit(s, f'gone-{fate}', [f'bob@d{n}.example', f'bob@a{n}.test'])
        deadline = time.monotonic() + 2 * PATIENCE
        while True:
            rows = s.json('queue', 'list')
            assert len(rows) == 1
            show = s.json('queue', 'show', rows[0]['id'])['to']
            if all(r.get('reason') for r in show):
                break
            assert time.monotonic() < deadline, (show, s.log_text(begin))
            time.sleep(0.2)
        assert all(r['state'] in ('queued', 'deferred') for r in show), show
        assert all('could not be looked up' in r['reason'] and 'site-trouble' in s.log_text(begin) for r in show), show
        assert 'event=failed' not in s.log_text(begin)
        assert not s.messages('ann@example.org')
    finally:
        zones.fate = plain
    # Now a0.test does not exist, and that is for ever; the other goes out.
    wait(s, lambda rows: not rows)
    assert peer.taken[f'gone-{fate}', f'bob@d{n}.example'] == 1
    s.wait_message('ann@example.org', f'bob@a{n}.test'.encode())
    for message in s.messages('ann@example.org'):
        assert f'bob@d{n}.example'.encode() not in message.split(b'Final-Recipient')[1]
    for name in os.listdir(os.path.join(s.mailbox('ann@example.org'), 'new')):
        os.unlink(os.path.join(s.mailbox('ann@example.org'), 'new', name))


def test_gone_in_the_middle(world):
    """Some names are known already, some are being asked for."""
    s, zones, peer = world
    begin = os.path.getsize(s.log_file)
    plain = zones.fate
    for n in range(2, N):
        if n == 4:
            zones.fate = lambda name: 'silent'
        submit(s, f'middle-{n}', [f'bob@d{n}.example'])
    deadline = time.monotonic() + 2 * PATIENCE
    while any(not r.get('reason') or r['state'] == 'active' for r in s.json('queue', 'list')):
        assert time.monotonic() < deadline, s.json('queue', 'list')
        time.sleep(0.2)
    assert 'event=failed' not in s.log_text(begin)
    zones.fate = plain
    wait(s, lambda rows: not rows)
    assert all(peer.taken[f'middle-{n}', f'bob@d{n}.example'] == 1 for n in range(2, N)), peer.taken
    assert 'event=failed' not in s.log_text(begin)
    assert not s.messages('ann@example.org')


@pytest.mark.skipif('POSTERN_FULL' not in os.environ, reason='takes minutes: make test-full')
def test_gone_for_minutes(world):
    """Servers that were silent so long are not left alone for a quarter of an hour more."""
    s, zones, peer = world
    plain, zones.fate = zones.fate, lambda name: 'silent'
    try:
        submit(s, 'minutes', ['bob@d0.example'])
        over = time.monotonic() + 240
        while time.monotonic() < over:
            s.cli('queue', 'retry', '--all', check=False)
            time.sleep(3)
    finally:
        zones.fate = plain
    wait(s, lambda rows: not rows)
    assert peer.taken['minutes', 'bob@d0.example'] == 1
