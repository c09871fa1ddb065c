"""The oracle of the tests that relay while something fails: it keeps books.

Clients send to several servers, some of which refuse, defer, or hang up.  What was answered with 250 reaches its
server, or is told to its sender as failed; twice only where the log says that it may be; and nothing stays behind
in the spool.

    with peers(seed) as at:
        with make_server(relaying(at)) as s:
            begin(s)
            clients = [Client(s, i, until, seed) for i in range(4)]
            ...                                      # whatever fails
            keep_books(s, clients, at, about)
"""
import collections
import contextlib
import json
import os
import random
import re
import smtplib
import threading
import time

from smtp_peer import CLOSE, OK, RIGHT, SmtpPeer

DOMAINS = ['a.example', 'b.example', 'c.example', 'moody.example']
SENDER = 'ann@example.org'


class Client(threading.Thread):
    """Sends one message after the other; remembers those that were answered with 250."""

    def __init__(self, server, number, until, seed=0):
        super().__init__(daemon=True)
        self.server, self.number, self.until = server, number, until
        self.random = random.Random(f'{seed} {number}')
        self.accepted, self.unsure, self.wrong = [], 0, []  # (subject, recipients, id)
        self.start()

    def run(self):
        connection, n = None, 0
        while time.monotonic() < self.until:
            n += 1
            try:
                connection = connection or smtplib.SMTP('127.0.0.1', self.server.port['relay'], timeout=60)
                self.one(connection, f'k-{self.number}-{n}')
            except (OSError, smtplib.SMTPException) as e:
                if getattr(e, 'smtp_code', 421) >= 500:
                    self.wrong.append(repr(e))
                self.unsure += 1
                connection = None
                time.sleep(0.05)

    def one(self, connection, subject):
        to = [f'{self.random.choice(["bob", "bob", "bob", "no"])}@{d}' for d in self.random.sample(DOMAINS, self.random.choice([1, 1, 2]))]
        size = self.random.choices([200, 20000, 400000], [12, 3, 1])[0]  # the last in a file of its own
        body = f'Subject: {subject}\r\n\r\n' + ('z' * 76 + '\r\n') * (size // 78)
        connection.ehlo_or_helo_if_needed()
        steps = [(connection.mail, f'ann+{self.number}-{self.random.randrange(50)}@example.org'), *((connection.rcpt, a) for a in to), (connection.data, body)]
        for command, argument in steps:
            code, text = command(argument)
            if code != 250:
                raise smtplib.SMTPResponseException(code, text)
        self.accepted.append((subject, to, re.search(r'as ([0-9A-Z]{13})$', text.decode()).group(1)))
        time.sleep(0.01)


def moody(rng):
    """Answers of a server that often goes wrong."""
    def at(step, *bad):
        def say(*_):
            with_it = rng.random()
            return rng.choice(bad) if with_it < 0.1 else RIGHT[step]
        return say
    return {'mail': at('mail', '451 4.3.0 later', CLOSE), 'final': at('final', '451 4.3.0 later', CLOSE, '421 4.3.2 bye'),
            'greeting': at('greeting', '421 4.3.2 not now', CLOSE)}


def no_such_user(_, line):
    return '550 5.1.1 no such user' if b'<no@' in line else OK


def queue_rows(s):
    p = s.cli('queue', 'list', '--json', '--limit', '1000000', check=False)
    return None if p.returncode else json.loads(p.stdout)


def wait_empty(s, about, timeout):
    """Until everything is done: what waits for a later time is asked to go now."""
    deadline = time.monotonic() + timeout
    while True:
        rows = queue_rows(s)
        if rows == []:
            return
        assert time.monotonic() < deadline, (about, rows and rows[:5], s.log_text()[-4000:])
        s.cli('queue', 'retry', '--all', check=False)
        time.sleep(0.5)


def told(s):
    """(id, recipient) of each failure that the sender was told of.  The id stands in the Message-ID: without memory a
    report goes out without the message."""
    out = collections.Counter()
    for message in s.messages(SENDER):
        text = message.decode(errors='replace')
        assert 'multipart/report' in text, text[:2000]
        about = re.search(r'^Message-ID: <([0-9A-Z]{13})\.', text, re.M).group(1)
        for to in set(re.findall(r'^Final-Recipient: rfc822; ?(\S+)', text, re.M)):
            out[about, to] += 1
    return out


def keep_books(s, clients, peers, about):
    for step in ('mail', 'final', 'greeting'):
        peers['moody.example'].answer[step] = RIGHT[step]  # enough of it
    wait_empty(s, about, 180)
    log = s.log_text()
    assert not any(c.wrong for c in clients), (about, [c.wrong[:3] for c in clients])
    accepted = [a for c in clients for a in c.accepted]
    assert len(accepted) > 20, about
    taken = sum((p.taken for p in peers.values()), collections.Counter())
    # Reports are mail, too: the last of them is under way to the mailbox.
    missing = {(subject, to): i for subject, tos, i in accepted for to in tos}
    deadline = time.monotonic() + 60
    while True:
        failed = told(s)
        lost = [(k, i) for k, i in missing.items() if not (failed[i, k[1]] if k[1].startswith('no@') else taken[k])]
        if not lost or time.monotonic() > deadline:
            break
        time.sleep(0.5)
    assert not lost, (about, lost[:5], [line for line in log.splitlines() if lost[0][1] in line][-20:])
    wrong = [k for k in failed if not k[1].startswith('no@')]
    assert not wrong, (about, wrong[:5])
    unsaid = []
    for (subject, to), i in missing.items():
        said = len(re.findall(rf'event=possibly-twice id={i} to={re.escape(to)}', log))
        if taken[subject, to] > 1 + said:
            unsaid.append((subject, to, i, taken[subject, to], said))
    assert not unsaid, (about, unsaid[:5], [line for line in log.splitlines() if unsaid[0][2] in line][-20:])
    twice = sum(n > 1 for n in taken.values())
    print(f'{about}: {len(accepted)} accepted, {len(missing)} recipients, {twice} twice, {sum(failed.values())} told as failed, '
          f'{sum(c.unsure for c in clients)} not answered with 250')
    # Bodies in files of their own are gone with their messages.
    spool = os.path.join(s.config['state_dir'], 'spool')
    bodies, deadline = None, time.monotonic() + 60
    while bodies != [] and time.monotonic() < deadline:
        bodies = [os.path.join(d, f) for d, _, files in os.walk(spool) for f in files if f.endswith('.body')]
        time.sleep(0.2)
    assert bodies == [], (about, bodies[:5])
    return twice


@contextlib.contextmanager
def peers(seed):
    """By domain; the last of them has its moods, and nobody knows no@."""
    at = {d: SmtpPeer() for d in DOMAINS}
    try:
        for peer in at.values():
            peer.listen()
            peer.answer['rcpt'] = no_such_user
        at['moody.example'].answer.update(moody(random.Random(f'{seed} peers')))
        yield at
    finally:
        for peer in at.values():
            peer.__exit__()


def relaying(at):
    """The configuration that leads to them."""
    routes = {d.replace('.', '-'): {'to': [d], 'via': 'host', 'hosts': ['127.0.0.1'], 'port': p.port, 'tls': 'off'} for d, p in at.items()}
    return {'smtp_processes': 2, 'routes': routes, 'relay': {'command_timeout': '5s', 'final_timeout': '5s', 'connect_timeout': '5s'},
            'listeners': {'relay': {'relay_from': ['127.0.0.1'], 'max_transactions': 1000000, 'max_sessions_per_ip': 1000}}}


def begin(s):
    s.cli('domain', 'add', 'example.org')
    s.account(SENDER, 'not used here')
