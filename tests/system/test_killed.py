"""Whoever is killed, and whenever: what was answered with 250 is in a mailbox or in the queue.

Clients send while random processes are killed.  Each message is told by its subject; the
mailboxes and the queue are the oracle.  POSTERN_KILL_SECONDS: how long, 10 by default;
POSTERN_KILL_SEED: whom and when, printed with every failure.
"""
import collections
import os
import random
import re
import signal
import smtplib
import subprocess
import threading
import time

SECONDS = float(os.environ.get('POSTERN_KILL_SECONDS', '10'))
SEED = os.environ.get('POSTERN_KILL_SEED', str(random.randrange(10**6)))
CLIENTS = 6
WHOM = ['local'] * 5 + ['queue'] * 3 + ['smtp', 'keeper', 'main', 'everybody']


class Client(threading.Thread):
    """Sends one message after the other; remembers those that were answered with 250."""

    def __init__(self, server, number, until):
        super().__init__(daemon=True)
        self.server, self.number, self.until = server, number, until
        self.random = random.Random(f'{SEED} {number}')
        self.accepted = []  # (subject, to, id)
        self.unsure = 0
        self.wrong = []

    def run(self):
        connection, n = None, 0
        while time.monotonic() < self.until:
            n += 1
            try:
                connection = connection or smtplib.SMTP('127.0.0.1', self.server.port['relay'], timeout=20)
                self.one(connection, f'k-{self.number}-{n}')
            except (OSError, smtplib.SMTPException) as e:
                # Refused for now, or the connection went: never 250, so never promised.
                code = getattr(e, 'smtp_code', 421)
                if code >= 500:
                    self.wrong.append(repr(e))
                self.unsure += 1
                connection = None
                time.sleep(0.05)

    def one(self, connection, subject):
        to = self.random.choices(['ann@example.org', 'bob@example.org', 'far@example.net'], [5, 5, 1])[0]
        size = self.random.choices([200, 20000, 400000], [8, 3, 1])[0]  # the last in a file of its own
        connection.ehlo_or_helo_if_needed()
        body = f'Subject: {subject}\r\n\r\n' + ('z' * 76 + '\r\n') * (size // 78)
        for command, argument in (connection.mail, 'x@example.com'), (connection.rcpt, to), (connection.data, body):
            code, text = command(argument)
            if code != 250:
                raise smtplib.SMTPResponseException(code, text)
        self.accepted.append((subject, to, re.search(r'as ([0-9A-Z]{13})$', text.decode()).group(1)))


def pids(server):
    """By role; what is there right now."""
    out = collections.defaultdict(list)
    found = subprocess.run(['ps', '-o', 'pid=,args=', '-g', str(server.process.pid)], capture_output=True, text=True)
    for line in found.stdout.splitlines():
        pid, words = line.split(None, 1)
        words = words.split()
        if 'serve' in words:
            out['main'].append(int(pid))
        elif 'role' in words:
            out[words[words.index('role') + 1]].append(int(pid))
    return out


def kill_somebody(server, rng):
    who = rng.choice(WHOM)
    there = pids(server)
    for pid in sum(there.values(), []) if who == 'everybody' else there.get(who, []):
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
    if who in ('main', 'everybody'):
        server.process.wait(20)
        start_again(server)
    return who


def start_again(server):
    """As a service manager does it: the old roles have the sockets for a moment longer."""
    deadline = time.monotonic() + 20
    while True:
        try:
            return server.start()
        except RuntimeError as e:
            if 'another process has it' not in str(e) or time.monotonic() > deadline:
                raise
            time.sleep(0.3)


def queue_of(server):
    rows = server.json('queue', 'list', '--limit', '1000000')
    return {r['id']: r for r in rows}


def wait_delivered(server):
    """Until nothing is left to do but what waits for a relay."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        try:
            q = queue_of(server)
            if all(r['state'] == 'waiting' for r in q.values()):
                return q
        except RuntimeError:
            pass
        time.sleep(0.3)
    raise AssertionError('not delivered: ' + repr(list(q.values())[:5]))


def in_mailboxes(server):
    """How often each subject, and its id."""
    times, ident = collections.Counter(), {}
    for name in ('ann', 'bob'):
        folder = os.path.join(server.mail_dir, 'example.org', name, 'new')
        for file in os.listdir(folder) if os.path.isdir(folder) else []:
            with open(os.path.join(folder, file), 'rb') as f:
                head = f.read(2000).decode()
            subject = re.search(r'^Subject: (k-\d+-\d+)$', head, re.M).group(1)
            ident[subject] = re.search(r'\bid ([0-9A-HJKMNP-TV-Z]{13})\b', head).group(1)
            times[subject] += 1
    return times, ident


def test_killed_at_random(make_server):
    rng = random.Random(SEED)
    with make_server({'listeners': {'relay': {'relay_from': ['127.0.0.1'], 'max_transactions': 1000000}}}) as server:
        server.cli('domain', 'add', 'example.org')
        for name in ('ann', 'bob'):
            server.account(f'{name}@example.org', 'not used here')
        until = time.monotonic() + SECONDS
        clients = [Client(server, i, until) for i in range(CLIENTS)]
        for c in clients:
            c.start()
        killed = collections.Counter()
        while time.monotonic() < until:
            time.sleep(rng.uniform(0.2, 0.8))
            killed[kill_somebody(server, rng)] += 1
        for c in clients:
            c.join(60)
        left = wait_delivered(server)
        times, ident = in_mailboxes(server)
        log = server.log_text()

        about = f'seed {SEED}, killed {dict(killed)}'
        assert not any(c.wrong for c in clients), (about, [c.wrong[:3] for c in clients])
        accepted = [a for c in clients for a in c.accepted]
        assert len(accepted) > 20, about
        lost = [s for s, to, _ in accepted if to.endswith('.org') and times[s] == 0]
        assert not lost, (about, lost)
        far = {i: s for s, to, i in accepted if to.endswith('.net')}
        assert not set(far) - set(left), (about, set(far) - set(left))
        for i in rng.sample(sorted(far), min(5, len(far))):
            assert f'Subject: {far[i]}\n' in server.cli('queue', 'cat', i).stdout
        twice = [s for s, n in times.items() if n > 1]
        unsaid = [s for s in twice if not re.search(f'event=possibly-twice id={ident[s]}', log)]
        assert not unsaid, (about, unsaid)
        print(f'{about}: {len(accepted)} accepted, {len(far)} of them wait, {len(twice)} twice, '
              f'{sum(c.unsure for c in clients)} not answered with 250')
