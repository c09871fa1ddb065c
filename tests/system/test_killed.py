"""Whoever is killed, and whenever: what was answered with 250 is in a mailbox or in the queue,
and the server goes on answering.

Clients send while random processes are killed.  Each message is told by its subject; the
mailboxes and the queue are the oracle.  Probers connect to each port, again and again: it is never
closed, and an answer to EHLO comes.  POSTERN_KILL_SECONDS: how long at least;
POSTERN_KILL_SEED: whom and when, printed with every failure.
"""
import collections
import os
import random
import re
import signal
import smtplib
import threading
import time

from raw import context

FULL = 'POSTERN_FULL' in os.environ
SECONDS = float(os.environ.get('POSTERN_KILL_SECONDS', '180' if FULL else '10'))
SEED = os.environ.get('POSTERN_KILL_SEED', str(random.randrange(10**6)))
CLIENTS = 6
ROLES = ['smtp', 'queue', 'keeper', 'local', 'ledger', 'admin', 'fetch']
WHOM = ['local'] * 5 + ['queue'] * 3 + ['smtp', 'keeper', 'main', 'everybody']
ENOUGH_S = 240  # until then the slowest machine has done enough to look at
RESTART_MAX_MS = 320  # a role that was killed is started anew after no more; what its start takes is the machine's affair
SILENCE_MAX_S = 30  # whichever role is killed; make bench measures
START_CPU_MAX_S = 1.0  # of all processes, from the start to "ready"


class Client(threading.Thread):
    """Sends one message after the other; remembers those that were answered with 250."""

    def __init__(self, server, number):
        super().__init__(daemon=True)
        self.server, self.number, self.over = server, number, False
        self.random = random.Random(f'{SEED} {number}')
        self.accepted = []  # (subject, to, id)
        self.unsure = 0
        self.wrong = []

    def run(self):
        connection, n = None, 0
        while not self.over:
            n += 1
            try:
                connection = connection or smtplib.SMTP('127.0.0.1', self.server.port['relay'], timeout=60)
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


class Prober(threading.Thread):
    """Is there an answer on this port?  Asks again and again, and remembers the longest silence."""

    def __init__(self, server, listener):
        super().__init__(daemon=True)
        self.port, self.tls = server.port[listener], listener == 'submissions'
        self.answers, self.failed, self.refused, self.stop = 0, 0, 0, False
        self.silences = []  # (seconds, when it ended)
        self.context = context()
        self.start()

    def run(self):
        last = time.monotonic()
        while not self.stop:
            try:
                self.ask()
                self.answers += 1
                now = time.monotonic()
                self.silences = sorted([*self.silences, (round(now - last, 3), now)])[-5:]
                last = now
            except (OSError, smtplib.SMTPException) as e:
                self.failed += 1
                self.refused += isinstance(e, ConnectionRefusedError)
            time.sleep(0.02)

    def ask(self):
        c = (smtplib.SMTP_SSL('127.0.0.1', self.port, timeout=60, context=self.context) if self.tls
             else smtplib.SMTP('127.0.0.1', self.port, timeout=60))
        try:
            if c.ehlo()[0] != 250:
                raise smtplib.SMTPException('EHLO was refused')
        finally:
            c.close()

    def longest(self):
        return self.silences[-1][0] if self.silences else SILENCE_MAX_S


class Login(threading.Thread):
    """Logs in again and again: a keeper that is away may cost 454, never the account."""

    def __init__(self, server):
        super().__init__(daemon=True)
        self.server, self.codes, self.stop = server, collections.Counter(), False
        self.start()

    def run(self):
        while not self.stop:
            try:
                with smtplib.SMTP_SSL('127.0.0.1', self.server.port['submissions'], timeout=60, context=context()) as c:
                    self.codes[c.login('ann@example.org', 'not used here')[0]] += 1
            except smtplib.SMTPAuthenticationError as e:
                self.codes[e.smtp_code] += 1
            except (OSError, smtplib.SMTPException):
                self.codes['cut'] += 1
            time.sleep(0.05)


def kill(pid):
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


def kill_somebody(server, rng):
    who = rng.choice(WHOM)
    there = server.pids()
    for pid in sum(there.values(), []) if who == 'everybody' else there.get(who, []):
        kill(pid)
    if who in ('main', 'everybody'):
        server.process.wait(60)
        server.start()  # at once, as a service manager does it: the old roles are still about to go
    return who


def queue_of(server):
    rows = server.json('queue', 'list', '--limit', '1000000')
    return {r['id']: r for r in rows}


def wait_delivered(server):
    """Until nothing is left to do but what waits for a relay."""
    deadline, q = time.monotonic() + 300, {}
    while time.monotonic() < deadline:
        try:
            q = queue_of(server)
            if all(r['to'] == ['far@example.net'] for r in q.values()):
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


def keep_books(server, clients, about, rng):
    """Every accepted recipient is in its mailbox or in the queue; twice only where the log says that it may be."""
    left = wait_delivered(server)
    times, ident = in_mailboxes(server)
    log = server.log_text()
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


CONFIG = {'smtp_processes': 2, 'listeners': {'relay': {'relay_from': ['127.0.0.1'], 'max_transactions': 1000000},
                                             'submissions': {'max_sessions_per_ip': 1000}}}


def make_accounts(server):
    server.cli('domain', 'add', 'example.org')
    for name in ('ann', 'bob'):
        server.account(f'{name}@example.org', 'not used here')


def begin(server):
    clients = [Client(server, i) for i in range(CLIENTS)]
    for c in clients:
        c.start()
    return clients


def end(clients):
    for c in clients:
        c.over = True
    for c in clients:
        c.join(120)
        assert not c.is_alive()


def sent(clients):
    return sum(len(c.accepted) for c in clients)


def goes_on(began, seconds, enough):
    now = time.monotonic()
    return now < began + seconds or (now < began + seconds + ENOUGH_S and not enough())


def test_each_role_killed(make_server, release):
    """The programs as they are installed."""
    rng = random.Random(SEED)
    with make_server(CONFIG, program=os.path.join(release, 'postern')) as server:
        make_accounts(server)
        probers = {name: Prober(server, name) for name in server.port}
        login = Login(server)
        clients = begin(server)
        killed, turn, began = collections.Counter(), [], time.monotonic()

        def enough():
            return sent(clients) > 20 and set(killed) == set(ROLES) and login.codes[235] and all(p.answers > 10 for p in probers.values())
        while goes_on(began, SECONDS, enough):
            time.sleep(rng.uniform(0.1, 0.6))
            turn = turn or rng.sample(ROLES, len(ROLES))  # every one in turn, in any order
            role = turn.pop()
            there = server.pids().get(role)
            if there:
                kill(rng.choice(there))
                killed[role] += 1
        end(clients)
        for p in [*probers.values(), login]:
            p.stop = True
        silence = {name: p.longest() for name, p in probers.items()}
        about = f'seed {SEED}, killed {dict(killed)}, longest silence {silence}, logins {dict(login.codes)}'
        keep_books(server, clients, about, rng)
        assert set(killed) == set(ROLES), about
        assert all(p.answers > 10 and p.refused == 0 for p in probers.values()), (about, {n: (p.answers, p.refused) for n, p in probers.items()})
        assert max(silence.values()) < SILENCE_MAX_S, about
        pauses = [int(ms) for ms in re.findall(r'event=role-died .*restart_ms=(\d+)', server.log_text())]
        assert len(pauses) >= sum(killed.values()) and max(pauses) <= RESTART_MAX_MS, (about, pauses)
        assert login.codes[235] > 0 and set(login.codes) <= {235, 454, 'cut'}, about


def test_killed_at_random(make_server):
    """Main too, and all at once; with the sanitizers watching."""
    rng = random.Random(SEED)
    with make_server(CONFIG) as server:
        make_accounts(server)
        clients = begin(server)
        killed, began = collections.Counter(), time.monotonic()
        while goes_on(began, SECONDS / 2, lambda: sent(clients) > 20):
            time.sleep(rng.uniform(0.2, 0.8))
            killed[kill_somebody(server, rng)] += 1
        end(clients)
        keep_books(server, clients, f'seed {SEED}, killed {dict(killed)}', rng)


def test_main_killed(make_server, release):
    """A start right after kill -9 works, and is little work."""
    with make_server(CONFIG, program=os.path.join(release, 'postern')) as server:
        work = []
        for _ in range(10 if FULL else 3):
            server.process.kill()
            server.process.wait(60)
            server.start()
            work.append(round(sum(server.cpu_seconds(role) for role in server.pids()), 2))
        with smtplib.SMTP('127.0.0.1', server.port['relay'], timeout=60) as c:
            assert c.ehlo()[0] == 250
        log = server.log_text()
        assert 'spool-unusable' not in log and 'already uses' not in log
        assert max(work) < START_CPU_MAX_S, work
