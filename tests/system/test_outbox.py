"""The user's outbox: what `postern send --queue` keeps, and what becomes of it; by the books of a server that
counts what it took. Twice is what nobody ever gets but by his own word."""
import contextlib
import glob
import hashlib
import json
import os
import random
import re
import signal
import ssl
import subprocess
import threading
import time

import pytest
from smtp_peer import CLOSE, OK as TAKEN, Session, SmtpPeer
from test_tls import make_certificate

OK, REFUSED, USAGE, NO_SERVER, LATER = 0, 1, 2, 3, 75


class TlsPeer(SmtpPeer):
    """With TLS from the first octet."""

    def __init__(self, folder):
        super().__init__()
        cert, key = make_certificate(folder, 'peer', ['peer.test'], 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256')
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(cert, key)
        with open(cert) as f:
            self.pin = hashlib.sha256(ssl.PEM_cert_to_DER_cert(f.read())).hexdigest()

    def accept(self, listener):
        while True:
            try:
                sock = listener.accept()[0]
            except OSError:
                return
            threading.Thread(target=self.serve, args=(sock,), daemon=True).start()

    def serve(self, sock):
        with self.lock:
            self.connects += 1
        with contextlib.suppress(OSError):
            session = Session(self, self.context.wrap_socket(sock, server_side=True))
            with self.lock:
                self.sessions.add(session)
            session.run()

    def back(self):
        """At the port that it had."""
        self.listen()


@pytest.fixture
def peer(tmp_path):
    with TlsPeer(tmp_path) as p:
        yield p


class User:
    def __init__(self, binary, home, peer):
        self.binary, self.home, self.peer = binary, str(home), peer
        self.folder = os.path.join(self.home, '.local/state/postern/outbox')
        self.url = f'smtps://127.0.0.1:{peer.port}'
        self.n = 0

    def command(self, *args):
        env = {k: v for k, v in os.environ.items() if not k.startswith(('POSTERN_', 'XDG_'))}
        env.update(HOME=self.home, POSTERN_RUNTIME_DIR='/nonexistent', ASAN_OPTIONS='detect_leaks=0')
        return [self.binary, 'send', *args], env

    def run(self, *args, status=None):
        command, env = self.command(*args)
        p = subprocess.run(command, capture_output=True, text=True, timeout=300, env=env)
        assert status is None or p.returncode == status, (p.returncode, p.stdout, p.stderr)
        return p.returncode, p.stdout, p.stderr

    def send(self, *more, to='them@x.test', status=OK):
        """The subject, and what was said."""
        self.n += 1
        subject = f's{self.n}'
        return subject, self.run('--url', self.url, '--pin', self.peer.pin, '--from', 'us@x.test', '--to', to,
                                 '--subject', subject, '--text', 'hello', '--timeout', '60', *more, status=status)

    def list(self):
        return json.loads(self.run('--list', '--json', status=OK)[1])['messages']

    def files(self, pattern='*.msg'):
        return sorted(glob.glob(os.path.join(self.folder, pattern)))


@pytest.fixture
def user(binary, tmp_path, peer):
    home = tmp_path / 'home'
    home.mkdir()
    return User(binary, home, peer)


def id_of(said):
    return re.search(r'kept in the outbox as (\w{13})', said[2]).group(1)


# ---- kept, and sent ----

def test_away_and_back(user, peer):
    peer.shut()
    first, said = user.send('--queue')
    assert 'kept in the outbox' in said[2] and len(said[2].splitlines()) == 2  # cron sends every word
    assert 'postern check' in user.send('--queue', '-v')[1][2]
    user.run('--drop', user.list()[1]['id'], status=OK)
    second, _ = user.send('--queue')
    assert os.stat(user.folder).st_mode & 0o777 == 0o700
    waiting = user.list()
    assert [m['state'] for m in waiting] == ['waiting'] * 2 and waiting[0]['to'][0]['address'] == 'them@x.test'
    assert waiting[0]['tries'] == 1 and not waiting[0]['reached'] and waiting[0]['text']
    # Still away: each server is asked once, not for each message.
    status, out, err = user.run('--flush')
    assert status == NO_SERVER and err.count('still waits') == 2
    assert [m['tries'] for m in user.list()] == [2, 2]
    peer.back()
    third, said = user.send()
    assert '2 messages that waited in the outbox went out' in said[2]
    assert peer.taken == {(s, 'them@x.test'): 1 for s in (first, second, third)}
    assert user.list() == [] and user.files() == []
    assert 'empty' in user.run('--list', status=OK)[1]


def test_flush(user, peer):
    peer.shut()
    subjects = [user.send('--queue')[0] for _ in range(5)]
    peer.back()
    before = peer.connects
    status, out, err = user.run('--flush', status=OK)
    assert out.count(': sent') == 5 and user.list() == []
    assert peer.connects == before + 1  # all over one connection
    assert peer.taken == {(s, 'them@x.test'): 1 for s in subjects}
    assert user.run('--flush', status=OK) == (OK, '', '')


def test_only_what_is_for_one_server(user, peer, tmp_path):
    """Whatever form its URL has."""
    other = TlsPeer(tmp_path)
    with other:
        peer.shut()
        other.shut()
        mine, _ = user.send('--queue')
        user.url, port = f'smtps://127.0.0.1:{other.port}', peer.port
        user.send('--queue', '--pin', other.pin)
        peer.back()
        other.back()
        user.run('--flush', '--url', f'smtps://127.0.0.1:{port}/', status=OK)
        assert peer.taken == {(mine, 'them@x.test'): 1} and not other.taken and len(user.list()) == 1
        assert user.run('--flush', '--url', 'http://x', status=USAGE)[2]
        user.run('--flush', status=OK)
        assert sum(other.taken.values()) == 1


def test_without_queue_nothing_is_kept(user, peer):
    peer.shut()
    _, said = user.send(status=NO_SERVER)
    assert 'outbox' not in said[2] and not os.path.exists(user.folder)


def test_refused_at_once_is_told_and_not_kept(user, peer):
    peer.answer['rcpt'] = '550 5.1.1 nobody of that name'
    _, said = user.send('--queue', status=REFUSED)
    assert 'nobody of that name' in said[2] and user.files() == []


def test_greylisted(user, peer):
    peer.answer['rcpt'] = '451 4.7.1 greylisted'
    first, said = user.send('--queue')
    assert 'greylisted' in said[2] and 'kept' in said[2]
    peer.right()
    # A server that said so lately is not asked again by the way, but when it is said.
    user.send()
    assert len(user.list()) == 1 and (first, 'them@x.test') not in peer.taken
    user.run('--flush', status=OK)
    assert peer.taken[first, 'them@x.test'] == 1 and user.list() == []


def test_partly_taken(user, peer):
    """Only those remain that were deferred; who was refused is told."""
    answers = {b'a@': '250 2.1.5 ok', b'b@': '450 4.2.1 later', b'c@': '550 5.1.1 no'}
    peer.answer['rcpt'] = lambda session, line: next(v for k, v in answers.items() if k in line)
    subject, said = user.send('--queue', to='a@x.test, b@x.test, c@x.test', status=REFUSED)
    assert 'c@x.test was refused' in said[2] and 'kept' in said[2]
    assert [r['address'] for r in user.list()[0]['to']] == ['b@x.test']
    peer.right()
    user.run('--flush', status=OK)
    assert peer.taken == {(subject, 'a@x.test'): 1, (subject, 'b@x.test'): 1}


def test_refused_later(user, peer):
    """Where nobody watches: it stays, says why, and what to do."""
    peer.shut()
    subject, said = user.send('--queue', to='a@x.test, b@x.test')
    peer.back()
    peer.answer['rcpt'] = lambda session, line: '550 5.1.1 gone for good' if b'b@' in line else TAKEN
    status, out, err = user.run('--flush')
    assert status == REFUSED and 'failed' in err
    one, = user.list()
    assert one['state'] == 'failed'
    assert [(r['address'], r['state']) for r in one['to']] == [('a@x.test', 'sent'), ('b@x.test', 'refused')]
    out = user.run('--list', status=OK)[1]
    assert 'Failed' in out and 'b@x.test was refused: 550 5.1.1 gone for good' in out and '--retry' in out
    # It is not tried again by itself; each command says that it is there.
    assert user.run('--flush', status=OK)[1] == '' and len(user.list()) == 1
    assert '1 failed' in user.send()[1][2]
    peer.right()
    user.run('--retry', one['id'], status=OK)
    assert peer.taken[subject, 'a@x.test'] == peer.taken[subject, 'b@x.test'] == 1 and user.list() == []


def test_drop(user, peer):
    peer.shut()
    kept = id_of(user.send('--queue')[1])
    assert kept in user.run('--drop', kept, status=OK)[1]
    assert user.files() == []
    user.send('--queue')
    assert 'no such message' in user.run('--drop', kept, status=REFUSED)[2]
    assert 'no such message' in user.run('--drop', '../../etc', status=REFUSED)[2]
    assert json.loads(user.run('--drop', user.list()[0]['id'], '--json', status=OK)[1]) == {'exit': OK}


def test_a_password_that_is_wrong_later(user, peer, tmp_path):
    """It is told, asked once, and nothing is given up for it."""
    secret = tmp_path / 'secret'
    secret.write_text('right\n')
    peer.answer['ehlo'] = '250-peer.test\n250 AUTH PLAIN'
    peer.answer['auth'] = '535 5.7.8 no'
    user.url = f'smtps://us@127.0.0.1:{peer.port}'
    peer.shut()
    for _ in range(3):
        user.send('--queue', '--password-file', str(secret))
    peer.back()
    before = peer.connects
    status, out, err = user.run('--flush')
    assert status == REFUSED and '535' in err and peer.connects == before + 1
    assert [m['state'] for m in user.list()] == ['waiting'] * 3
    assert not any(b'right' in open(f, 'rb').read() for f in user.files('*'))
    peer.answer['auth'] = '235 2.7.0 in'
    user.run('--flush', status=OK)
    assert sum(peer.taken.values()) == 3


def test_json(user, peer):
    peer.shut()
    subject, said = user.send('--queue', '--json')
    j = json.loads(said[1])
    assert j['kept'] and j['exit'] == OK and not j['sent']
    j = json.loads(user.run('--flush', '--json', status=NO_SERVER)[1])
    assert (j['sent'], j['waiting'], j['exit']) == (0, 1, NO_SERVER) and j['messages'][0]['state'] == 'waiting'
    peer.back()
    j = json.loads(user.run('--flush', '--json', status=OK)[1])
    assert j['sent'] == 1 and j['messages'][0]['state'] == 'sent'


# ---- in doubt ----

def test_the_answer_is_lost(user, peer):
    """The server took it, or not: it is said, and not sent twice in silence."""
    peer.shut()
    subject, _ = user.send('--queue')
    peer.back()

    def takes_and_dies(session, data):
        peer.take(session, data)
        return CLOSE
    peer.answer['final'] = takes_and_dies
    status, out, err = user.run('--flush')
    assert status == REFUSED and 'perhaps' in err
    peer.right()
    one, = user.list()
    assert one['state'] == 'unsure'
    for _ in range(2):
        user.run('--flush', status=OK)
        assert '1 perhaps went out' in user.send()[1][2]
    assert peer.taken[subject, 'them@x.test'] == 1
    out = user.run('--list', status=OK)[1]
    assert 'Perhaps sent' in out and '--drop ID' in out
    user.run('--retry', one['id'], status=OK)
    assert peer.taken[subject, 'them@x.test'] == 2 and user.list() == []


def test_killed_while_sending(user, peer):
    """At any moment: nothing is lost, what the server took is never found waiting, and what is in doubt says so."""
    dice = random.Random(os.environ.get('POSTERN_SEED', '7'))

    def slowly(session, line):
        time.sleep(dice.random() * 0.02)
        return TAKEN
    subjects, doubts, dropped = {}, 0, 0
    for round_ in range(12):
        peer.right()
        peer.shut()
        for _ in range(3):
            subject, said = user.send('--queue')
            subjects[id_of(said)] = subject
        peer.back()
        for step in ('mail', 'rcpt', 'final'):
            peer.answer[step] = slowly
        peer.answer['data'] = lambda session, line: '354 go on'
        command, env = user.command('--flush')
        p = subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 60
        while round_ % 2 and not peer.sessions and p.poll() is None:  # else at any moment of its start, too
            assert time.monotonic() < deadline
            time.sleep(0.001)
        time.sleep(dice.random() * (0.2 if round_ % 2 else 0.5))
        p.send_signal(signal.SIGKILL)
        p.wait()
        peer.kick()
        peer.wait_gone()
        left = {m['id']: m['state'] for m in user.list()}
        for id_, subject in subjects.items():
            took = peer.taken[subject, 'them@x.test']
            state = left.get(id_)
            assert took <= 1, subject
            assert state in ('waiting', 'unsure') or took == 1, f'{subject} is lost'
            assert state != 'waiting' or took == 0, f'{subject} would come twice'
        for id_, state in left.items():
            if state == 'unsure':
                doubts += 1
                user.run('--drop', id_, status=OK)
                if peer.taken[subjects[id_], 'them@x.test'] == 0:
                    dropped += 1
                    del subjects[id_]
    peer.right()
    user.run('--flush', status=OK)
    assert user.list() == [] and all(peer.taken[s, 'them@x.test'] == 1 for s in subjects.values())
    assert doubts <= 12


def test_two_at_once(user, peer):
    peer.shut()
    subjects = [user.send('--queue')[0] for _ in range(12)]
    peer.back()
    command, env = user.command('--flush')
    both = [subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(3)]
    said = [p.communicate(timeout=300) for p in both]
    assert sorted({p.returncode for p in both} - {OK, LATER}) == [], said
    assert peer.taken == {(s, 'them@x.test'): 1 for s in subjects}
    assert user.list() == []


# ---- the disk ----

def test_torn_and_foreign_files_are_named_and_stay(user, peer):
    peer.shut()
    user.send('--queue')
    user.send('--queue')
    damaged, sound = user.files()
    with open(damaged, 'r+b') as f:
        f.seek(30)
        f.write(b'#')
    for name in ('notes.txt', '0000000000000.tmp'):
        with open(os.path.join(user.folder, name), 'w') as f:
            f.write('mine')
    status, out, err = user.run('--list', status=OK)
    for name, words in ((os.path.basename(damaged), 'cannot be read'), ('notes.txt', "not the outbox's"),
                        ('0000000000000.tmp', 'never finished')):
        assert any(name in line and words in line for line in err.splitlines()), err
    peer.back()
    user.run('--flush')
    assert len(peer.taken) == 1 and os.path.exists(damaged) and not os.path.exists(sound)
    assert len(user.files('*')) >= 3


def crc32c(data):
    crc = 0xffffffff
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82f63b78 if crc & 1 else 0)
    return crc ^ 0xffffffff


def test_five_days(user, peer):
    """Then a try in vain was the last one; it stays in the list."""
    peer.shut()
    subject, _ = user.send('--queue')
    path, = user.files()
    with open(path, 'rb') as f:
        head, rest = f.read().split(b'\n', 1)
    j = json.loads(head[9:])
    j['taken'] -= 6 * 86400 * 1000
    text = json.dumps(j).encode()
    with open(path, 'wb') as f:
        f.write(b'%08x %s\n%s' % (crc32c(text), text, rest))
    status, out, err = user.run('--flush')
    assert status == REFUSED and 'given up after 5 days' in err
    one, = user.list()
    assert one['state'] == 'failed'
    peer.back()
    user.run('--flush', status=OK)
    assert not peer.taken
    user.run('--retry', one['id'], status=OK)
    assert peer.taken[subject, 'them@x.test'] == 1


def test_a_folder_that_others_may_write(user, peer):
    os.makedirs(user.folder)
    os.chmod(user.folder, 0o777)
    peer.shut()
    _, said = user.send('--queue', status=NO_SERVER)
    assert 'chmod 700' in said[2] and os.listdir(user.folder) == []


def test_a_full_disk(user, peer):
    """It is told that nothing was kept; what was there is not harmed."""
    if os.getuid() != 0:
        pytest.skip('mounts a small file system')
    os.makedirs(user.folder, mode=0o700)
    peer.shut()
    script = f'''mount -t tmpfs -o size=64k,mode=0700 none {user.folder} || exit 99
i=0
while [ $i -lt 30 ]; do "$@"; s=$?; i=$((i+1)); [ $s = 0 ] || break; done
ls {user.folder} > {user.home}/names; {user.binary} send --list --json > {user.home}/list
exit $s'''
    command, env = user.command('--url', user.url, '--pin', peer.pin, '--from', 'us@x.test', '--to', 'a@x.test', '--text',
                                'x' * 3000, '--queue', '--timeout', '60')
    p = subprocess.run(['unshare', '-m', 'sh', '-c', script, 'sh', *command], env=env, capture_output=True, text=True,
                       timeout=300)
    if p.returncode == 99:
        pytest.skip('no mount namespace here')
    assert p.returncode == NO_SERVER, p.stderr
    assert 'No space left' in p.stderr
    with open(f'{user.home}/list') as f:
        listed = json.load(f)
    kept = p.stderr.count('kept in the outbox')
    assert kept > 3 and len(listed['messages']) == kept and listed['other_files'] == []
    assert all(m['state'] == 'waiting' for m in listed['messages'])


@pytest.mark.parametrize('args, words', [
    (['--list', '--flush'], 'exclude'),
    (['--queue', '--list'], 'exclude'),
    (['--retry'], 'argument'),
])
def test_words(user, args, words):
    status, out, err = user.run(*args)
    assert status == USAGE and words in err
