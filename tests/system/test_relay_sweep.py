"""Other servers that close, reset, hang or drip, at any octet of what they say and at any step: what they
were given is tried again, is never given up and never lost, comes twice only with a word in the log; the
connection ends in time, and mail for others goes out meanwhile.

Many servers at once, each with a route of its own and its own way to go wrong.
"""
import os
import smtplib
import time

import pytest
from server import PATIENCE
from smtp_peer import CLOSE, RESET, RIGHT, SmtpPeer

FULL = 'POSTERN_FULL' in os.environ
PEERS = 60  # at once
TIMEOUT_S = 10  # of ours towards the others: no thread of a test is as slow
SAID = [RIGHT[step] for step in ('greeting', 'ehlo', 'mail', 'rcpt', 'data', 'final', 'quit')]
TOTAL = sum(len(text) + text.count('\n') + 2 for text in SAID)
UP_TO_FINAL = TOTAL - len(RIGHT['quit']) - 2


class Fleet:
    """A server, and so many others that mail for p0.example, p1.example ... goes to."""

    def __init__(self, make_server, n):
        self.peers = [SmtpPeer().listen() for _ in range(n + 1)]
        self.good = self.peers.pop()
        routes = {f'p{i}': self.route(peer, f'p{i}.example') for i, peer in enumerate(self.peers)}
        routes['good'] = self.route(self.good, 'good.example')
        self.s = make_server({
            'smtp_processes': 2, 'routes': routes,
            'listeners': {'relay': {'relay_from': ['127.0.0.1'], 'max_transactions': 1000000}},
            'relay': {'connect_timeout': f'{TIMEOUT_S}s', 'command_timeout': f'{TIMEOUT_S}s', 'final_timeout': f'{TIMEOUT_S}s',
                      'idle': '1s'}})
        self.round = 0

    @staticmethod
    def route(peer, domain):
        return {'to': [domain], 'via': 'host', 'hosts': [peer.address], 'port': peer.port, 'tls': 'off'}

    def __enter__(self):
        self.s.__enter__()
        self.s.cli('domain', 'add', 'example.org')
        self.s.account('ann@example.org', 'correct horse battery')
        return self

    def __exit__(self, *_):
        for peer in [*self.peers, self.good]:
            peer.__exit__()
        self.s.__exit__()

    def submit(self, *domains):
        """One message to each; their ids by domain."""
        ids = {}
        with smtplib.SMTP('127.0.0.1', self.s.port['relay'], timeout=PATIENCE) as c:
            c.ehlo()
            for domain in domains:
                c.mail('ann@example.org')
                c.rcpt(f'bob@{domain}')
                code, text = c.data(f'Subject: r{self.round}-{domain}\r\n\r\nhello\r\n')
                assert code == 250, text
                ids[domain] = text.decode().split()[-1]
        return ids

    def rows(self):
        """What waits, by id."""
        return {r['id']: r for r in self.s.json('queue', 'list', '--limit', '100000')}

    def wait_rows(self, ready, about, timeout=PATIENCE + TIMEOUT_S):
        deadline = time.monotonic() + timeout
        while True:
            rows = self.rows()
            if ready(rows):
                return rows
            assert time.monotonic() < deadline, (about, list(rows.values())[:4], self.s.log_text(self.begin)[-4000:])
            time.sleep(0.1)

    def play(self, ways, may_deliver=lambda way: False, timeout=2 * PATIENCE):
        """ways: of so many peers how they go wrong, a function of each.  What came of it."""
        self.round += 1
        self.begin = os.path.getsize(self.s.log_file)
        wrong = {}
        for i, way in enumerate(ways):
            self.peers[i].wait_gone(timeout)
            way(self.peers[i])
            wrong[f'p{i}.example'] = (self.peers[i], way)
        ids = self.submit(*wrong, 'good.example')
        # Whoever behaves has it soon, whatever the others do: one after the other, those that hang took much longer.
        self.wait_rows(lambda rows: ids['good.example'] not in rows, 'mail for others goes out', TIMEOUT_S * 6)
        settled = self.wait_rows(lambda rows: not any(
            rows[i]['state'] == 'active' or not rows[i].get('reason') for i in ids.values() if i in rows), 'all had an answer', timeout)
        for domain, (peer, way) in wrong.items():
            row = settled.get(ids[domain])
            if row is None:
                assert peer.taken[f'r{self.round}-{domain}', f'bob@{domain}'] > 0 or may_deliver(way), (domain, way.about)
            else:
                assert row['state'] in ('deferred', 'queued'), (way.about, row)
        for peer, way in wrong.values():
            peer.right()
            peer.wait_gone(timeout)  # the connection has ended, and no lane is held
        self.retry_all(ids, timeout)
        log = self.s.log_text(self.begin)
        for domain, (peer, way) in wrong.items():
            times = peer.taken[f'r{self.round}-{domain}', f'bob@{domain}']
            assert times > 0, (way.about, ids[domain], log[-3000:])
            said = log.count(f'event=possibly-twice id={ids[domain]}')
            assert times - 1 <= said, (way.about, times, said)
        failed = [line for line in log.splitlines() if 'event=failed' in line]
        assert not failed, failed
        reports = b'\n'.join(self.s.messages('ann@example.org')).decode(errors='replace')
        assert not reports, reports  # nobody was told of a failure
        self.no_lane_is_left()
        return settled, ids

    def retry_all(self, ids, timeout):
        deadline = time.monotonic() + timeout
        while set(ids.values()) & set(self.rows()):
            self.s.cli('queue', 'retry', '--all', check=False)
            assert time.monotonic() < deadline, (self.rows(), self.s.log_text(self.begin)[-4000:])
            time.sleep(0.2)

    def no_lane_is_left(self, timeout=PATIENCE):
        deadline = time.monotonic() + timeout
        while True:
            lanes = [r['lanes'] for r in self.s.json('status')['roles'] if r['role'] == 'smtp']
            if all(lane['open'] == 0 and lane['jobs'] == 0 for lane in lanes):
                return
            assert time.monotonic() < deadline, lanes
            time.sleep(0.1)


@pytest.fixture(scope='module')
def fleet(make_server):
    with Fleet(make_server, PEERS) as f:
        yield f


def cut(after, then, name):
    def way(peer):
        peer.cut_after, peer.then = after, then
    way.about = f'{name} after {after} octets'
    way.after = after
    return way


def at_step(step, what, name):
    def way(peer):
        peer.answer[step] = what
    way.about = f'{name} at {step}'
    return way


KINDS = [(CLOSE, 'closes'), (RESET, 'resets'), ('hang', 'hangs')]


def test_at_each_octet(fleet):
    every = [cut(n, *kind) for kind in KINDS for n in range(UP_TO_FINAL + 1)]
    ways = every if FULL else every[::4 * len(every) // (4 * PEERS) + 1]
    for i in range(0, len(ways), PEERS):
        fleet.play(ways[i:i + PEERS])


def test_at_each_step(fleet):
    steps = ('greeting', 'ehlo', 'mail', 'rcpt', 'data', 'final')
    ways = [at_step(step, what, name) for step in steps for what, name in ((CLOSE, 'closes'), (RESET, 'resets'), (None, 'is silent'))]
    settled, ids = fleet.play(ways)
    for i, way in enumerate(ways):
        row = settled[ids[f'p{i}.example']]
        assert row['reason'], way.about
        if 'silent' in way.about:
            assert 'in time' in row['reason'], (way.about, row)


def test_drips(fleet):
    """One octet after the other, from each step on: half an answer buys no time."""
    def from_step(step):
        def say(session, _):
            session.peer.drip = 2
            return RIGHT[step]

        def way(peer):
            peer.answer[step] = say
        way.about = f'drips from {step} on'
        return way

    steps = ('greeting', 'ehlo', 'mail', 'rcpt', 'data', 'final')
    ways = [from_step(step) for step in steps]
    settled, ids = fleet.play(ways)
    for i, way in enumerate(ways):
        row = settled[ids[f'p{i}.example']]
        assert 'in time' in row['reason'], (way.about, row)


GARBAGE = [
    ('endless lines of EHLO', 'ehlo', b'250-peer.test\r\n' * 2_000_000, None),
    ('a reply without an end', 'mail', b'250-OK\r\n' * 1_000_000, None),
    ('a line without an end', 'rcpt', b'250 ' + b'x' * 20_000_000, None),
    ('a preliminary reply', 'mail', '150 wait', None),
    ('a preliminary reply at the end', 'final', '150 wait', 'possibly-twice'),
    ('no reply at all', 'ehlo', b'\0' * 1000 + b'\r\n', None),
    ('other codes in one reply', 'data', '354-go\n250 on', None),
    ('code without text', 'final', '250', None),
    ('a code of four digits', 'rcpt', '2500 OK', None),
    ('more replies than commands', 'ehlo', '250 peer.test\n250 OK\n250 OK\n354 go\n250 taken', None),
]


def test_hostile_words(fleet):
    def way_of(row):
        about, step, said, _ = row

        def way(peer):
            peer.answer[step] = said
        way.about = about
        return way

    ways = [way_of(row) for row in GARBAGE]
    fleet.play(ways, may_deliver=lambda way: way.about == 'code without text')
    memory = [r['memory'] for r in fleet.s.json('status')['roles'] if r['role'] == 'smtp']
    assert max(memory) < 300 << 20  # with the sanitizers' share
    log = fleet.s.log_text()
    assert all(' ' <= ch or ch == '\n' for ch in log)


def test_forever_no_is_for_ever(fleet):
    """The oracle can tell: what is refused for good is given up, and its sender told."""
    fleet.peers[0].wait_gone()
    fleet.peers[0].answer['rcpt'] = '550 5.1.1 no such user'
    ids = fleet.submit('p0.example')
    fleet.wait_rows(lambda rows: ids['p0.example'] not in rows, 'given up')
    assert b'no such user' in fleet.s.wait_message('ann@example.org', b'no such user')
