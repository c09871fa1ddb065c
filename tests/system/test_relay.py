"""Mail for elsewhere reaches other servers: by host, LMTP, discard and refuse; what they answer, and who dies on the way."""
import os
import signal
import smtplib
import ssl
import time

import pytest
from aiosmtpd.controller import Controller
from lmtp_peer import LmtpPeer
from server import PATIENCE

PASSWORD = 'correct horse battery'


class Peer:
    """A server that takes mail, and answers as a test wants."""

    def __init__(self):
        self.messages, self.answer, self.sessions = [], {}, set()
        self.control = Controller(self, hostname='127.0.0.1', port=0)
        self.control.port = self.free_port()

    @staticmethod
    def free_port():
        import socket
        with socket.socket() as s:
            s.bind(('127.0.0.1', 0))
            return s.getsockname()[1]

    async def handle_RCPT(self, server, session, envelope, address, options):
        self.sessions.add(id(session))
        answer = self.answer.get(address.split('@')[0], '250 2.1.5 OK')
        if answer.startswith('2'):
            envelope.rcpt_tos.append(address)
        return answer

    async def handle_DATA(self, server, session, envelope):
        self.messages.append((envelope.mail_from, tuple(envelope.rcpt_tos), envelope.content))
        return '250 2.0.0 taken'

    def wait(self, n, timeout=2 * PATIENCE):
        deadline = time.monotonic() + timeout
        while len(self.messages) < n:
            assert time.monotonic() < deadline, self.messages
            time.sleep(0.02)
        return self.messages


@pytest.fixture(scope='module')
def running(make_server):
    peer = Peer()
    peer.control.start()
    with LmtpPeer() as lmtp:
        routes = {
            'far': {'to': ['far.example', 'other.example'], 'via': 'host', 'hosts': ['127.0.0.1'],
                    'port': peer.control.port, 'tls': 'off'},
            'boxes': {'to': ['boxes.example'], 'via': 'lmtp', 'hosts': [lmtp.where.rsplit(':', 1)[0]],
                      'port': int(lmtp.where.rsplit(':', 1)[1])},
            'hole': {'to': ['hole.example'], 'via': 'discard'},
            'no': {'to': ['no.example'], 'via': 'refuse', 'text': 'we do not write to them'},
        }
        with make_server({'routes': routes, 'smtp_processes': 2, 'relay': {'idle': '2m'}}) as s:
            s.cli('domain', 'add', 'example.org')
            s.account('ann@example.org', PASSWORD)
            yield s, peer, lmtp
    peer.control.stop()


def submit(s, to, subject='x', sender='ann@example.org'):
    context = ssl._create_unverified_context()
    with smtplib.SMTP('127.0.0.1', s.port['submission'], timeout=PATIENCE) as c:
        c.starttls(context=context)
        c.login('ann@example.org', PASSWORD)
        assert not c.sendmail(sender, to, f'From: {sender}\r\nSubject: {subject}\r\n\r\nhello\r\n')


def settled(s, n, timeout=2 * PATIENCE):
    """The rows of `queue list` once there are n and nothing is under way."""
    deadline = time.monotonic() + timeout
    while True:
        rows = s.json('queue', 'list')
        if len(rows) == n and all(r['state'] != 'active' for r in rows):
            return rows
        assert time.monotonic() < deadline, (rows, s.log_text()[-3000:])
        time.sleep(0.05)


def clear(s):
    for row in s.json('queue', 'list'):
        s.cli('queue', 'remove', row['id'], check=False)


def test_host(running):
    s, peer, _ = running
    peer.messages.clear()
    submit(s, ['bob@far.example', 'eve@far.example', 'joe@other.example'])
    peer.wait(1)
    settled(s, 0)
    # One route, one destination, one transaction.
    assert [(m[0], set(m[1])) for m in peer.messages] == \
        [('ann@example.org', {'bob@far.example', 'eve@far.example', 'joe@other.example'})]
    assert peer.messages[0][2].endswith(b'\r\n\r\nhello\r\n')
    line = s.wait_log('event=relayed')
    assert f'port={peer.control.port}' in line and 'taken' in line


def test_many_over_few_connections(running):
    s, peer, _ = running
    peer.messages.clear()
    peer.sessions.clear()
    for n in range(40):
        submit(s, [f'u{n}@far.example'], str(n))
    peer.wait(40)
    settled(s, 0)
    assert len(peer.messages) == 40 and len(peer.sessions) <= 20


def test_answers(running):
    """Each recipient's own; what its code says for ever and its words do not is tried again."""
    s, peer, _ = running
    peer.messages.clear()
    peer.answer.update(full='452 4.2.2 mailbox full', grey='550 5.7.1 greylisted, try again later')
    submit(s, ['ok@far.example', 'full@far.example', 'grey@far.example'])
    peer.wait(1)
    row = settled(s, 1)[0]
    assert row['state'] == 'deferred' and row['open'] == 2
    shown = {r['address']: r for r in s.json('queue', 'show', row['id'])['to']}
    assert 'mailbox full' in shown['full@far.example']['reason']
    assert 'greylisted' in shown['grey@far.example']['reason']
    assert shown['ok@far.example']['state'] == 'delivered'
    peer.answer.clear()
    s.cli('queue', 'retry', row['id'])
    peer.wait(2)
    settled(s, 0)


def test_lmtp_discard_and_refuse(running):
    s, _, lmtp = running
    submit(s, ['bob@boxes.example'])
    assert lmtp.wait_messages(1)[0].to == 'bob@boxes.example'
    submit(s, ['bob@hole.example'])
    s.wait_log('event=discarded')
    submit(s, ['bob@no.example'])
    assert 'we do not write to them' in s.wait_log('event=failed')
    s.wait_message('ann@example.org', b'we do not write to them')
    settled(s, 0)


def test_routes_change(running):
    """What waits for one way goes another after a reload."""
    s, peer, _ = running
    peer.messages.clear()
    submit(s, ['late@example.net'])
    if 'nowhere' in s.config['routes']:
        s.wait_log('event=site-trouble site=127.0.0.1')
    old = s.config['routes'].pop('nowhere')
    s.config['routes']['far']['to'].append('example.net')
    s.write_config()
    s.cli('reload')
    assert peer.wait(1)[0][1] == ('late@example.net',)
    settled(s, 0)
    s.config['routes']['far']['to'].remove('example.net')
    s.config['routes'] = {'nowhere': old, **s.config['routes']}
    s.write_config()
    s.cli('reload')


def test_killed(running):
    """Whoever dies, each message arrives; twice only those that were under way."""
    s, peer, _ = running
    peer.messages.clear()
    names = [f'k{n}' for n in range(60)]
    for n, name in enumerate(names):
        submit(s, [f'{name}@far.example'], name)
        if n % 20 == 10:
            role = ['smtp', 'queue', 'smtp'][n // 20]
            before = {r['pid'] for r in s.json('status')['roles'] if r['role'] == role}
            killed = min(before)
            os.kill(killed, signal.SIGKILL)
            deadline = time.monotonic() + PATIENCE
            while True:  # ours comes again at once, and would be told to do so later
                now = {r['pid'] for r in s.json('status')['roles'] if r['role'] == role}
                if killed not in now and len(now) == len(before):
                    break
                assert time.monotonic() < deadline, s.log_text()[-3000:]
                time.sleep(0.1)
    deadline = time.monotonic() + 2 * PATIENCE
    while len({m[1][0] for m in peer.messages}) < len(names):
        assert time.monotonic() < deadline, s.log_text()[-3000:]
        s.cli('queue', 'retry', '--all', check=False)
        time.sleep(0.2)
    settled(s, 0)
    assert len(peer.messages) <= len(names) + 30


def test_relay_asked(running):
    """What `postern route` asks of queue."""
    s, _, _ = running
    submit(s, ['bob@far.example'])
    settled(s, 0)
    assert s.json('status')['roles'] and not [r for r in s.json('status')['roles'] if r['role'] == 'queue'
                                              and r['relay']['port25_blocked']]
