"""Mail for accounts goes to another server by LMTP: each recipient's result, and every way to fail."""
import os
import smtplib
import time

import pytest
from lmtp_peer import LmtpPeer

NAMES = ('ann', 'bob', 'eve', 'full')


def config(peer, **more):
    return {'delivery': {'by': 'lmtp', 'lmtp': peer.where, **more}, 'smtp_processes': 2}


def submit(s, to, body='Subject: x\r\n\r\nhello\r\n', sender='x@example.com'):
    with smtplib.SMTP('127.0.0.1', s.port['relay'], timeout=30) as c:
        refused = c.sendmail(sender, [f'{name}@example.org' for name in to], body)
        assert not refused


def wait_queue(s, n, timeout=20):
    """The rows of `queue list` once there are n."""
    deadline = time.monotonic() + timeout
    while True:
        rows = s.json('queue', 'list')
        if len(rows) == n:
            return rows
        assert time.monotonic() < deadline, f'{len(rows)} messages in the queue, not {n}: {rows}\n' + s.log_text()[-3000:]
        time.sleep(0.05)


@pytest.fixture(params=['unix', 'tcp'])
def peer(request, tmp_path_factory):
    path = None
    if request.param == 'unix':
        folder = tmp_path_factory.mktemp('lmtp')
        os.chmod(folder, 0o755)
        for up in list(folder.parents)[:2]:
            os.chmod(up, 0o755)
        path = str(folder / 's')
    with LmtpPeer(path) as p:
        yield p


@pytest.fixture
def unix_peer(tmp_path):
    with LmtpPeer() as p:
        yield p


@pytest.fixture
def lmtp(make_server):
    started = []

    def start(peer, **more):
        s = make_server(config(peer, **more))
        started.append(s)
        s.start()
        s.cli('domain', 'add', 'example.org')
        for name in NAMES:
            s.account(f'{name}@example.org', 'correct horse battery')
        return s
    yield start
    for s in started:
        s.close()


def test_delivered(lmtp, peer):
    s = lmtp(peer)
    submit(s, ['ann', 'bob'], 'Subject: first\r\n\r\n.dots\r\n..more\r\nend\r\n')
    got = peer.wait_messages(2)
    assert {m.to for m in got} == {'ann@example.org', 'bob@example.org'}
    for m in got:
        assert m.data.startswith(b'Received: ') and m.data.endswith(b'\r\n\r\n.dots\r\n..more\r\nend\r\n')
        assert m.sender.startswith(b'MAIL FROM:<x@example.com>')
    wait_queue(s, 0)
    assert not peer.faults
    line = s.wait_log('event=delivered')
    assert f'site={peer.where}' in line or f'site="{peer.where}"' in line
    assert not os.path.exists(s.mailbox('ann@example.org'))
