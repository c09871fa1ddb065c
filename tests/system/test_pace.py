"""How fast, in which order and from where mail leaves: by account, site and source address."""
import os
import signal
import smtplib
import ssl
import threading
import time

import pytest
from server import PATIENCE
from smtp_peer import OK, SmtpPeer

PASSWORD = 'correct horse battery'


class Watch(SmtpPeer):
    """Notes when which message came, and from which address."""

    def __init__(self):
        super().__init__()
        self.came = []  # (seconds, subject, address)

    def take(self, session, data):
        super().take(session, data)
        subject = data.split(b'\r\nSubject: ')[1].split(b'\r\n')[0].decode()
        self.came.append((time.monotonic(), subject, session.sock.getpeername()[0]))

    def wait(self, n, timeout=2 * PATIENCE):
        deadline = time.monotonic() + timeout
        while len(self.came) < n:
            assert time.monotonic() < deadline, self.came
            time.sleep(0.02)
        return self.came


def route(peer, **more):
    return {'to': ['far.example'], 'via': 'host', 'hosts': ['127.0.0.1'], 'port': peer.port, 'tls': 'off', **more}


def submit(server, account, subjects, to='bob@far.example'):
    context = ssl._create_unverified_context()
    with smtplib.SMTP_SSL('127.0.0.1', server.port['submissions'], timeout=PATIENCE, context=context) as c:
        c.login(account, PASSWORD)
        for subject in subjects:
            c.sendmail(account, [to], f'From: {account}\r\nSubject: {subject}\r\n\r\nhello\r\n')


def accounts(server, *names):
    server.cli('domain', 'add', 'example.org')
    for name in names:
        server.account(f'{name}@example.org', PASSWORD)


@pytest.fixture
def peer():
    with Watch() as p:
        yield p


def test_class_of_an_account(make_server, peer):
    """Bulk that came first does not keep the urgent waiting, and `queue` says which is which."""
    config = {'routes': {'far': route(peer, connections=1, messages_per_minute=300)}}
    all_wait = threading.Event()
    peer.answer['mail'] = lambda *_: all_wait.wait(2 * PATIENCE) and OK
    with make_server(config) as s:
        accounts(s, 'news', 'ann')
        assert s.json('account', 'show', 'news@example.org')['class'] is None
        s.cli('account', 'set', 'news@example.org', '--class', 'bulk')
        s.cli('account', 'set', 'ann@example.org', '--class', 'urgent')
        assert s.json('account', 'show', 'news@example.org')['class'] == 'bulk'
        assert 'urgent' in s.cli('account', 'show', 'ann@example.org').stdout
        submit(s, 'news@example.org', [f'bulk-{n}' for n in range(30)])
        submit(s, 'ann@example.org', [f'urgent-{n}' for n in range(5)])
        rows = s.json('queue', 'list', '--class', 'bulk')
        assert rows and all(r['sender'] == 'news@example.org' for r in rows)
        assert s.json('queue', 'show', rows[-1]['id'])['class'] == 'bulk'
        assert not peer.came
        all_wait.set()
        order = [subject for _, subject, _ in peer.wait(35)]
        # What the lane had taken by then; and then the urgent ones, where an equal would have had every other place.
        first = min(order.index(f'urgent-{n}') for n in range(5))
        assert first <= 8 and all(x.startswith('urgent') for x in order[first:first + 5]), order


def test_messages_a_minute_of_an_account(make_server, peer):
    config = {'routes': {'far': route(peer)}, 'relay': {'account_messages_per_minute': 20}}
    with make_server(config) as s:
        accounts(s, 'ann', 'bea', 'cat')
        s.cli('account', 'set', 'bea@example.org', '--messages-per-minute', 'none')
        assert s.json('account', 'show', 'bea@example.org')['messages_per_minute'] == 0
        begin = time.monotonic()
        submit(s, 'ann@example.org', [f'ann-{n}' for n in range(30)])
        submit(s, 'bea@example.org', [f'bea-{n}' for n in range(30)])
        submit(s, 'cat@example.org', ['cat'], to='ann@example.org')  # to a mailbox of ours: not counted
        submit(s, 'cat@example.org', ['cat'])

        def count(name):
            return sum(x[1].split('-')[0] == name for x in peer.came)

        def wait_count(name, n):
            while count(name) < n:
                peer.wait(len(peer.came) + 1)
        for name, n in (('bea', 30), ('cat', 1), ('ann', 3)):
            wait_count(name, n)
        assert count('cat') == 1 and count('ann') < 30  # whoever has no pace does not wait for who has
        times = [t for t, x, _ in peer.came if x.startswith('ann')]
        assert all(t > begin + 3 * (n - 1) for n, t in enumerate(times)), (begin, times)  # one each three seconds, and one
        row = [r for r in s.json('queue', 'list') if r['sender'] == 'ann@example.org'][-1]
        assert row['state'] == 'queued' and row['attempts'] == 0
        # What an operator changes holds for what waits already, also after the queue process was away.
        s.cli('account', 'set', 'ann@example.org', '--messages-per-minute', '1')
        before = len(peer.came)
        time.sleep(8)
        assert len(peer.came) <= before + 1
        s.cli('account', 'set', 'ann@example.org', '--messages-per-minute', 'none')
        peer.wait(61)
        times = [t for t, x, _ in peer.came if x.startswith('ann')]
        assert times[-1] - times[-10] < 20  # at the pace of before it were 27


@pytest.mark.skipif('POSTERN_FULL' not in os.environ, reason='takes its time: make test-full')
def test_an_accounts_pace_outlives_the_queue_process(make_server, peer):
    with make_server({'routes': {'far': route(peer)}}) as s:
        accounts(s, 'ann')
        s.cli('account', 'set', 'ann@example.org', '--messages-per-minute', '12')
        began = time.monotonic()
        submit(s, 'ann@example.org', [f'ann-{n}' for n in range(10)])
        peer.wait(1)
        begin = len(s.log_text())
        os.kill(s.pids()['queue'][0], signal.SIGKILL)
        s.wait_log('event=queue-loaded', begin=begin)
        time.sleep(3)
        # One each five seconds, one at once; and one more, of which the process did not hear that it had gone.
        assert len(peer.came) <= 3 + (time.monotonic() - began) / 5, peer.came


def rows(server, *filters):
    return server.json('queue', 'list', *filters)


def test_replies_of_the_configuration(make_server, peer):
    """A row of `replies` decides what is done, how long the site is left alone, and how all others call it."""
    def said(session, line):
        for name, answer in {b'first': '450 4.7.1 house rule seven', b'box': '550 5.9.9 die Kiste ist voll'}.items():
            if name in line:
                return answer
        return '250 2.0.0 OK'
    peer.answer['rcpt'] = said
    config = {'routes': {'far': route(peer)},
              'replies': {'house': {'code': 450, 'text': 'house rule', 'action': 'pause', 'pause': '15s'},
                          'box': {'text': 'kiste*voll', 'class': 'mailbox-full', 'action': 'fail'}}}
    with make_server(config) as s:
        accounts(s, 'ann')
        submit(s, 'ann@example.org', ['full'], to='box@far.example')
        report = s.wait_message('ann@example.org', b'multipart/report').decode()
        assert 'mailbox' in report and 'full' in report.split('die Kiste')[0], report
        submit(s, 'ann@example.org', ['first'], to='first@far.example')
        deadline = time.monotonic() + PATIENCE
        while not rows(s, '--class', 'house'):
            assert time.monotonic() < deadline, rows(s)
            time.sleep(0.05)
        ident = rows(s, '--class', 'house')[0]['id']
        assert [r['id'] for r in rows(s, '--state', 'deferred')] == [ident]
        assert rows(s, '--class', 'greylist') == []
        shown = s.json('queue', 'show', ident)
        assert shown['to'][0]['class'] == 'house' and shown['attempts'] == 1
        submit(s, 'ann@example.org', ['second'], to='second@far.example')
        waiting = [r for r in rows(s) if r['id'] != ident][0]
        assert waiting['state'] == 'queued' and waiting['attempts'] == 0, waiting
        assert 'house rule seven' in waiting['reason']
        assert 'house rule seven' in s.cli('queue', 'summary').stdout
        assert peer.wait(1)[0][1] == 'second'
        said = {e['kind']: e['time_ms'] for e in s.json('trace', ident)['messages'][0]['events']}
        went = s.json('trace', waiting['id'])['messages'][0]['events'][-1]
        assert went['kind'] == 'relayed' and 14 < (went['time_ms'] - said['deferred']) / 1000, (said, went)
        assert 'house' in s.cli('trace', ident).stdout


# ---- from where

def sources(**by_name):
    return {name: {'addresses': [f'127.0.0.{n}'], 'helo': f'{name}.example.org', **more}
            for name, (n, more) in by_name.items()}


def test_sources_by_weight_and_warm_up(make_server, peer):
    """A pool's addresses share the connections by weight; one that warms up sends no more a day than it may."""
    greeted = set()

    def ehlo(session, line):
        greeted.add((session.sock.getpeername()[0], line.split()[1].decode()))
        return '250 peer.test'
    peer.answer['ehlo'] = ehlo
    today = time.strftime('%Y-%m-%d', time.gmtime())
    if time.strftime('%H:%M', time.gmtime()) >= '23:56':
        pytest.skip('its day would end meanwhile')
    config = {'sources': sources(strong=(2, {'pool': 'out', 'weight': 3}), weak=(3, {'pool': 'out'}),
                                 fresh=(4, {'warm_up': today, 'warm_up_first': 4})),
              'relay': {'source': 'out', 'messages_per_connection': 1},
              'routes': {'far': route(peer, connections=2),
                         'new': {**route(peer), 'to': ['new.example'], 'source': 'fresh'}}}
    with make_server(config) as s:
        accounts(s, 'ann')
        submit(s, 'ann@example.org', [f'm{n}' for n in range(24)])
        submit(s, 'ann@example.org', [f'n{n}' for n in range(7)], to='bob@new.example')
        came = [a for _, _, a in peer.wait(28)]
        assert 16 <= came.count('127.0.0.2') <= 20 and came.count('127.0.0.3') == 24 - came.count('127.0.0.2'), came
        assert greeted == {('127.0.0.2', 'strong.example.org'), ('127.0.0.3', 'weak.example.org'),
                           ('127.0.0.4', 'fresh.example.org')}
        submit(s, 'ann@example.org', ['last'])  # it comes after what would have gone beyond the limit
        peer.wait(29)
        assert [a for _, _, a in peer.came].count('127.0.0.4') == 4, 'more than the first day allows'
        left = rows(s)
        assert len(left) == 3 and all(r['state'] == 'queued' and r['attempts'] == 0 for r in left), left
        # What `route` shows is what the queue knows.
        shown = s.json('route', 'bob@new.example')
        relay = shown['relay']
        assert relay['route']['name'] == 'new' and relay['route']['source'] == 'fresh', relay
        assert relay['destination'] == 'new *' and relay['site']['ready'] == 3 and relay['site']['messages'] == 3, relay
        assert not relay['port25_blocked']
