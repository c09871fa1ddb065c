"""Mail for accounts goes to another server by LMTP: each recipient's result, and every way to fail."""
import contextlib
import json
import os
import shutil
import signal
import smtplib
import tempfile
import threading
import time

import pytest
from lmtp_peer import OK, LmtpPeer

FULL = 'POSTERN_FULL' in os.environ
NAMES = ('ann', 'bob', 'eve', 'full')


def config(peer, **more):
    return {'delivery': {'by': 'lmtp', 'lmtp': peer.where, **more}, 'smtp_processes': 2}


def submit(s, to, body='Subject: x\r\n\r\nhello\r\n', sender='x@example.com'):
    with smtplib.SMTP('127.0.0.1', s.port['relay'], timeout=30) as c:
        refused = c.sendmail(sender, [f'{name}@example.org' for name in to], body)
        assert not refused


def right(peer):
    """A copy of how it behaves when it behaves."""
    peer.right = dict(peer.answer)


def reset(s, peer):
    peer.answer, peer.close_after, peer.slow = dict(peer.right), None, 0
    deadline = time.monotonic() + 120
    while rows := json.loads(s.cli('queue', 'list', '--json', check=False).stdout or '[0]'):
        for row in rows:
            if row and not row['sender']:  # a report to example.com, where nobody takes it
                s.cli('queue', 'remove', row['id'], check=False)
        s.cli('queue', 'retry', '--all', check=False)
        assert time.monotonic() < deadline, s.log_text()[-3000:]
        time.sleep(0.05)
    peer.messages.clear()
    peer.faults.clear()


class Site:
    """A server, the LMTP server behind it, and the log since the test began."""

    def __init__(self, s, peer):
        self.s, self.peer = s, peer
        self.begin = os.path.getsize(s.log_file)
        self.peer.most = self.peer.open

    def log(self):
        return self.s.log_text(self.begin)

    def wait_log(self, text):
        return self.s.wait_log(text, begin=self.begin)

    def settled(self, n=1, reason=''):
        """The rows of `queue list` once there are n, nothing is under way, and each says why it waits."""
        deadline = time.monotonic() + 60
        while True:
            rows = self.s.json('queue', 'list')
            if len(rows) == n and all(r['state'] != 'active' and reason in (r['reason'] or '') for r in rows):
                return rows
            assert time.monotonic() < deadline, (rows, self.log())
            time.sleep(0.02)

    def alone(self):
        """Nobody is connected any more, as the server knows, too: what comes now needs a connection of its own."""
        self.peer.kick()
        deadline = time.monotonic() + 60
        while self.peer.open or sum(r['lanes']['open'] for r in self.role('smtp')):
            assert time.monotonic() < deadline, self.log()
            time.sleep(0.02)

    @contextlib.contextmanager
    def unreported(self):
        """Nothing submitted in this block goes out before its end, and then who fails stays in the queue, for as long as
        this is open: two seconds later he is reported to the sender, otherwise.  That takes keeper, who stands still."""
        gate, mail = threading.Event(), self.peer.answer['mail']
        keeper, = self.s.pids()['keeper']
        self.peer.answer['mail'] = lambda s, a: gate.wait(300) and mail(s, a)

        def go():
            os.kill(keeper, signal.SIGSTOP)
            gate.set()
        try:
            yield go
        finally:
            os.kill(keeper, signal.SIGCONT)
            gate.set()

    def patience(self, time_out):
        self.s.config['delivery'].update(command_timeout=time_out, final_timeout=time_out)
        self.s.write_config()
        self.s.cli('reload')

    def role(self, name):
        return [r for r in self.s.json('status')['roles'] if r['role'] == name]


@pytest.fixture(scope='module', params=['unix', 'tcp'])
def running(request, make_server, tmp_path_factory):
    """Unix sockets for all tests, TCP for those that ask for both."""
    path = None
    if request.param == 'unix':
        folder = tempfile.mkdtemp(prefix='lmtp-')  # short, and open to whoever the server runs as
        os.chmod(folder, 0o755)
        path = os.path.join(folder, 's')
    with LmtpPeer(path) as peer:
        right(peer)
        more = {'relay': {'idle': '5m'}, 'hang_timeout': '1h'}  # the shorter idle of the two holds
        with make_server({**config(peer, connections=3, idle='10m', command_timeout='60s', final_timeout='60s'), **more}) as s:
            s.cli('domain', 'add', 'example.org')
            for name in NAMES:
                s.account(f'{name}@example.org', 'correct horse battery')
            yield s, peer
    if path:
        shutil.rmtree(folder)


@pytest.fixture
def site(running):
    s, peer = running
    reset(s, peer)
    yield Site(s, peer)
    assert not peer.faults
    reset(s, peer)


only_unix = pytest.mark.parametrize('running', ['unix'], indirect=True)


def test_delivered(site):
    submit(site.s, ['ann', 'bob'], 'Subject: first\r\n\r\n.dots\r\n..more\r\nend\r\n')
    got = site.peer.wait_messages(2)
    assert {m.to for m in got} == {'ann@example.org', 'bob@example.org'}
    for m in got:
        assert m.data.startswith(b'Received: ') and m.data.endswith(b'\r\n\r\n.dots\r\n..more\r\nend\r\n')
        assert m.sender.startswith(b'MAIL FROM:<x@example.com>')
    site.settled(0)
    assert f'site={site.peer.where}' in site.wait_log('event=delivered')
    assert not os.path.exists(site.s.mailbox('ann@example.org'))


def test_not_there(site):
    """What cannot connect delays the site, not the messages: no attempt is counted, and all goes out when it is back."""
    site.peer.shut()
    site.alone()
    for n in range(5):
        submit(site.s, ['ann'], f'Subject: {n}\r\n\r\nx\r\n')
    site.wait_log('event=site-trouble')
    rows = site.settled(5, 'cannot connect')
    assert all(r['attempts'] <= 1 and r['state'] == 'queued' for r in rows)
    assert 'cannot connect' in site.role('queue')[0]['site']['trouble']
    assert 'TROUBLE: cannot connect' in site.s.cli('status').stdout
    assert 'start the server there, or correct delivery.lmtp' in site.s.cli('queue', 'list').stdout
    site.peer.listen()
    site.peer.wait_messages(5)
    site.settled(0)
    site.wait_log('event=site-back')
    assert 'event=deferred' not in site.log() and 'possibly-twice' not in site.log()
    assert len(site.peer.messages) == 5


@only_unix
@pytest.mark.skipif(os.getuid() != 0, reason='without root all processes are one user')
def test_closed_to_us(site):
    """Who has to open the socket to whom is said; it is what goes wrong first with Dovecot."""
    mode = os.stat(site.peer.path).st_mode
    os.chmod(site.peer.path, 0o600)
    site.alone()
    submit(site.s, ['ann'])
    line = site.wait_log('event=site-trouble')
    uid = os.stat(f'/proc/{site.role("smtp")[0]["pid"]}').st_uid
    assert f'must be open to user id {uid}' in line
    os.chmod(site.peer.path, mode)
    site.s.cli('queue', 'retry', '--all')
    site.peer.wait_messages(1)


@only_unix
def test_each_recipient_has_its_own_result(site):
    def final(session, to):
        if to.startswith('bob'):
            return '452 4.2.1 <bob> locked for now'
        if to.startswith('full'):
            return '552 5.2.2 <full> Quota exceeded (mailbox for user is full)'
        return OK
    site.peer.answer.update(rcpt=lambda s, line: '550 5.1.1 no such user' if b'eve' in line else OK, final=final)
    with site.unreported() as go:
        submit(site.s, ['ann', 'bob', 'eve', 'full'])
        go()
        site.peer.wait_messages(1)
        row = site.settled()[0]
        assert row['open'] == 3
        shown = {r['address']: r for r in site.s.json('queue', 'show', row['id'])['to']}
        assert shown['bob@example.org']['state'] == 'deferred'
        assert shown['bob@example.org']['status'] == '4.2.1'
        assert shown['bob@example.org']['reason'] == '452 4.2.1 <bob> locked for now'
        assert shown['eve@example.org']['state'] == 'failed'
        assert shown['eve@example.org']['reason'] == '550 5.1.1 no such user'
        assert shown['full@example.org']['state'] == 'failed'
        assert shown['full@example.org']['status'] == '5.2.2'
        # The operator made room: only who did not get it gets it.
        site.peer.answer = dict(site.peer.right)
        site.s.cli('queue', 'retry', row['id'])
        site.peer.wait_messages(4)
        site.settled(0)
    assert sorted(m.to.split('@')[0] for m in site.peer.messages) == ['ann', 'bob', 'eve', 'full']


@only_unix
def test_closed_at_every_point(site):
    """The server closes after so many octets: nothing is lost, and nothing comes twice without a word in the log."""
    said = ['220 lda.test LMTP', '250-lda.test\n250-PIPELINING\n250-8BITMIME\n250 ENHANCEDSTATUSCODES', OK, OK, OK, '354 go on',
            '250 2.0.0 <ann@example.org> saved', '250 2.0.0 <bob@example.org> saved']
    total = sum(len(t) + t.count('\n') + 2 for t in said)
    twice = 0
    for cut in range(total + 1) if FULL else [*range(0, total, 29), *range(total - 40, total + 1, 13), total]:
        site.peer.close_after = cut
        site.alone()
        site.begin = os.path.getsize(site.s.log_file)
        submit(site.s, ['ann', 'bob'], f'Subject: cut-{cut}\r\n\r\nx\r\n')
        deadline = time.monotonic() + 60
        while not any(w in site.log() for w in ('event=site-trouble', 'event=deferred', 'event=delivered')):
            assert time.monotonic() < deadline, (cut, site.log())
            time.sleep(0.01)
        site.peer.close_after = None
        deadline = time.monotonic() + 60
        while site.s.json('queue', 'list'):
            site.s.cli('queue', 'retry', '--all', check=False)
            assert time.monotonic() < deadline, (cut, site.log())
            time.sleep(0.05)
        got = sorted(m.to for m in site.peer.messages if f'cut-{cut}\r'.encode() in m.data)
        assert set(got) == {'ann@example.org', 'bob@example.org'}, (cut, got)
        if len(got) > 2:
            twice += 1
            assert 'event=possibly-twice' in site.log(), (cut, got)
    assert twice > 0


@only_unix
@pytest.mark.parametrize('step, said, seen', [
    ('greeting', '554 5.7.1 go away', '554 5.7.1 go away'),
    ('greeting', b'\x00\xff garbage\r\n', 'no reply of this protocol'),
    ('greeting', '\n'.join(['220-hello'] * 300), 'no reply of this protocol'),
    ('greeting', None, 'did not answer in time (at greeting)'),
    ('lhlo', '500 5.5.2 what?', '500 5.5.2 what?'),
    ('lhlo', b'2' * 100000, 'no reply of this protocol'),
])
def test_no_session(site, step, said, seen):
    """What never becomes a session is the site's trouble."""
    site.alone()
    if said is None:
        site.patience('5s')
    site.peer.answer[step] = lambda s, a: said
    submit(site.s, ['ann'])
    assert seen in site.wait_log('event=site-trouble')
    assert site.settled(1, seen)[0]['attempts'] <= 1
    site.peer.answer = dict(site.peer.right)
    if said is None:
        site.patience('60s')
    site.s.cli('queue', 'retry', '--all')
    site.peer.wait_messages(1)
    site.settled(0)


@only_unix
@pytest.mark.parametrize('step, said, state, status', [
    ('mail', '451 4.3.0 later', 'deferred', '4.3.0'),
    ('mail', '550 5.7.1 never', 'failed', '5.7.1'),
    ('rcpt', '450 no words', 'deferred', '4.0.0'),
    ('rcpt', '354 what', 'deferred', '4.5.0'),
    ('rcpt', None, 'deferred', '4.4.2'),
    ('data', '554 5.3.0 no', 'failed', '5.3.0'),
    ('data', '250 yes', 'deferred', '4.5.0'),
    ('final', '421 4.3.2 closing', 'deferred', '4.3.2'),
    ('final', '554 5.6.0 bad', 'failed', '5.6.0'),
    ('final', b'\xff\xfe\r\n', 'deferred', '4.5.0'),
    ('final', None, 'deferred', '4.4.2'),
])
def test_answers_at_each_step(site, step, said, state, status):
    if said is None:
        site.alone()
        site.patience('5s')
    site.peer.answer[step] = lambda s, a: said
    with site.unreported() if state == 'failed' else contextlib.nullcontext(lambda: None) as go:
        submit(site.s, ['ann', 'bob'])
        go()
        site.wait_log(f'event={state}')
        row = site.settled()[0]
        shown = site.s.json('queue', 'show', row['id'])['to']
        assert [(r['state'], r['status']) for r in shown][0] == (state, status)
        assert not site.peer.messages
        # The dot was out, and somebody has no answer.
        in_doubt = step == 'final' and not (isinstance(said, str) and said.startswith('5'))
        assert ('possibly-twice' in site.log()) == in_doubt
        site.peer.answer = dict(site.peer.right)
        if said is None:
            site.patience('60s')
        site.s.cli('queue', 'retry', row['id'])
        assert {m.to for m in site.peer.wait_messages(2)} == {'ann@example.org', 'bob@example.org'}
        site.settled(0)


@only_unix
def test_large(site):
    """A large body goes from its file as fast as the server takes it; each line of it begins with a dot."""
    body = 'Subject: large\r\n\r\n' + ('.' + 'y' * 75 + '\r\n') * 130000
    before = sum(r['lanes']['octets'] for r in site.role('smtp'))
    submit(site.s, ['ann'], body)
    site.peer.wait_messages(1, 300)
    assert site.peer.messages[0].data.endswith(body.encode())
    site.settled(0)
    assert sum(r['lanes']['octets'] for r in site.role('smtp')) - before > len(body)
    assert max(r['memory'] for r in site.role('smtp')) < 200 << 20  # with the sanitizers' share


@only_unix
def test_connections_are_bounded(site):
    for n in range(20):
        submit(site.s, ['bob', 'ann'], f'Subject: {n}\r\n\r\nx\r\n')
    site.peer.wait_messages(40, 120)
    site.settled(0)
    assert site.peer.most <= 3


@only_unix
def test_idle_lanes_are_used_again(site):
    site.alone()
    connects = site.peer.connects
    for n in range(3):
        submit(site.s, ['ann'], f'Subject: {n}\r\n\r\nx\r\n')
        site.peer.wait_messages(n + 1)
        site.settled(0)
    assert site.peer.connects - connects == 1  # one after the other over the same
    assert 'site-trouble' not in site.log()


def test_idle_lanes_close(make_server):
    with LmtpPeer() as peer, make_server(config(peer, idle='1s')) as s:
        s.cli('domain', 'add', 'example.org')
        s.account('ann@example.org', 'correct horse battery')
        submit(s, ['ann'])
        peer.wait_messages(1)
        deadline = time.monotonic() + 60
        while peer.open:
            assert time.monotonic() < deadline, s.log_text()
            time.sleep(0.02)
        assert 'site-trouble' not in s.log_text()


@only_unix
@pytest.mark.parametrize('whom', ['smtp', 'queue'])
def test_killed(site, whom):
    """Who dies with messages in its hands: they come again, and the log says that they may come twice."""
    site.peer.slow = 0.2
    for n in range(4):
        submit(site.s, ['ann'], f'Subject: {n}\r\n\r\n' + 'x\r\n' * 4)
    octets, deadline = site.peer.octets, time.monotonic() + 60
    while site.peer.octets == octets:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    for r in site.role(whom):
        os.kill(r['pid'], signal.SIGKILL)
    site.wait_log('event=possibly-twice')
    site.peer.slow = 0
    deadline = time.monotonic() + 120
    while site.s.cli('queue', 'list', '--json', check=False).stdout.strip() != '[]':
        assert time.monotonic() < deadline, site.log()
        time.sleep(0.05)
    subjects = {m.data.split(b'Subject: ')[1].split(b'\r\n')[0] for m in site.peer.messages}
    assert subjects == {b'0', b'1', b'2', b'3'}


def test_reload(make_server):
    """From Maildir to LMTP and back, while it runs."""
    with LmtpPeer() as peer, make_server({'smtp_processes': 1}) as s:
        s.cli('domain', 'add', 'example.org')
        s.account('ann@example.org', 'correct horse battery')
        submit(s, ['ann'], 'Subject: maildir\r\n\r\nx\r\n')
        s.wait_message('ann@example.org', b'Subject: maildir')
        s.config['delivery'] = {'by': 'lmtp', 'lmtp': peer.where}
        s.write_config()
        s.cli('reload')
        submit(s, ['ann'], 'Subject: lmtp\r\n\r\nx\r\n')
        assert b'Subject: lmtp' in peer.wait_messages(1)[0].data
        del s.config['delivery']
        s.write_config()
        s.cli('reload')
        submit(s, ['ann'], 'Subject: again\r\n\r\nx\r\n')
        s.wait_message('ann@example.org', b'Subject: again')
        deadline = time.monotonic() + 60
        while peer.open:  # the lane leads nowhere now
            assert time.monotonic() < deadline
            time.sleep(0.02)


@only_unix
def test_address_as_written(site):
    """What stands behind the name is the other server's to sort by; postmaster is known here alone."""
    submit(site.s, ['Ann+list', 'bob', 'postmaster'])
    got = {m.to for m in site.peer.wait_messages(2)}
    assert {a.lower() for a in got} == {'ann+list@example.org', 'bob@example.org'}
    site.settled(0)
    site.wait_log('mailbox=_postmaster/example.org')
