"""A role that answers garbage, floods, stalls or dies in the middle of a message harms no other.

One role at a time goes wrong, in one way (tests/rogue/misbehave.c), while mail comes in.
Then: who went wrong is gone and named in the log; all others are the processes that they
were, as large and with as many descriptors; mail goes on; what was accepted is delivered.

`make test` takes a sample, test-full every role in every way.
"""
import collections
import contextlib
import os
import re
import signal
import smtplib
import threading
import time

import pytest

from server import PATIENCE
from test_walls import descriptors, pids, plan, status

FULL = 'POSTERN_FULL' in os.environ
ROLES = ['smtp', 'queue', 'keeper', 'ledger', 'local', 'admin', 'fetch']
TO_PEERS = ['garbage', 'empty', 'wrong', 'cut', 'huge', 'shut']  # found out by whom they are sent to
TO_MAIN = ['garbage-to-main', 'empty-to-main', 'wrong-to-main', 'shut-to-main']
QUIET = ['expected', 'expected-to-main', 'flood', 'flood-to-main', 'descriptors', 'deaf', 'die', 'leave']
# "hang" is the heartbeat's.
SAMPLE = [('queue', 'garbage'), ('queue', 'flood'), ('keeper', 'empty'), ('ledger', 'huge'), ('local', 'die'),
          ('smtp', 'cut'), ('admin', 'descriptors'), ('local', 'expected-to-main')]
EVERY = [(role, mode) for role in ROLES for mode in TO_PEERS + TO_MAIN + QUIET]

ACTS_S = 0.8
GROWTH_KIB = 24 * 1024  # buffers for what waits: 4 MiB a channel


class Client(threading.Thread):
    """Sends one message after the other for some time; remembers those that were answered with 250."""

    def __init__(self, server, name, seconds):
        super().__init__(daemon=True)
        self.server, self.name, self.until = server, name, time.monotonic() + seconds
        self.accepted, self.refused = [], collections.Counter()
        self.start()

    def run(self):
        connection, n = None, 0
        while time.monotonic() < self.until:
            n += 1
            try:
                connection = connection or smtplib.SMTP('127.0.0.1', self.server.port['relay'], timeout=PATIENCE)
                subject = f'{self.name}-{n}'
                connection.ehlo_or_helo_if_needed()
                text = f'Subject: {subject}\r\n\r\n' + 'z' * 700 * (n % 3)
                for say, what in ((connection.mail, 'x@example.com'), (connection.rcpt, 'ann@example.org'), (connection.data, text)):
                    code, reply = say(what)
                    if code != 250:
                        raise smtplib.SMTPResponseException(code, reply)
                self.accepted.append((subject, reply.decode().split()[-1]))
                time.sleep(0.01)
            except (OSError, smtplib.SMTPException) as e:
                self.refused[str(e)[:120]] += 1
                connection = None
                time.sleep(0.03)


def measure(server):
    """Of each role that is there: its process, KiB of memory, descriptors."""
    out = {}
    for role, pid in pids(server).items():
        with contextlib.suppress(OSError, KeyError):  # it ends just now
            out[role] = (pid, int(status(pid)['VmRSS'].split()[0]), sum(descriptors(pid).values()))
    return out


def settled(server, before):
    """The same once all roles are there, and none has more descriptors than before, or after half a minute: what is under
    way has some."""
    deadline = time.monotonic() + PATIENCE / 2
    while True:
        time.sleep(0.3)
        after = measure(server)
        if all(r in after and after[r][2] <= before[r][2] + 2 for r in before) or time.monotonic() > deadline:
            return after


@pytest.fixture(scope='module')
def rogue(binary):
    return os.path.join(os.path.dirname(binary), 'rogue')


def missing(server, accepted):
    """Neither in the mailbox nor in the queue, to be tried again."""
    queued = {r['id'] for r in server.json('queue', 'list', '--limit', '100000')}
    have = {m.group(1) for m in (re.search(rb'^Subject: (\S+)', text, re.M) for text in server.messages('ann@example.org'))}
    return [(subject, i) for subject, i in accepted if subject.encode() not in have and i not in queued]


def wait_steady(server, before, role):
    """Until all roles are there, and mail goes through them."""
    deadline = time.monotonic() + PATIENCE
    while True:
        c = Client(server, f'after-{time.monotonic_ns()}', 0.05)
        c.join()
        if c.accepted and set(pids(server)) == set(before):
            return c.accepted
        assert time.monotonic() < deadline, (role, c.refused, pids(server), server.log_text()[-3000:])


def warm_up(server):
    """A message went the whole way, so every file is open that one needs."""
    deadline, accepted = time.monotonic() + PATIENCE, []
    while not accepted or server.json('queue', 'list'):
        assert time.monotonic() < deadline, server.log_text()[-3000:]
        if not accepted:
            c = Client(server, 'warm', 0.2)
            c.join()
            accepted = c.accepted
        time.sleep(0.1)


@pytest.mark.skipif(os.getuid() != 0, reason='looks into processes of others')
@pytest.mark.parametrize('role,mode', EVERY if FULL else SAMPLE)
def test_a_rogue_role(make_server, rogue, role, mode):
    config = {'smtp_processes': 1, 'listeners': {'relay': {'relay_from': ['127.0.0.1'], 'max_transactions': 1000000}}}
    # What the sanitizer keeps of freed memory is no growth.
    with make_server(config, program=rogue, env={'ASAN_OPTIONS': 'detect_leaks=0:quarantine_size_mb=2'}) as s:
        s.cli('domain', 'add', 'example.org')
        s.cli('account', 'add', 'ann@example.org', '--password-file', '-', input='not used here\n')
        warm_up(s)
        before = measure(s)
        begin = len(s.log_text())
        plan(s, f'{role} {mode}\n')
        os.kill(before[role][0], signal.SIGKILL)
        s.wait_log(f'rogue role={role} ' + ('mode=die' if mode == 'die' else 'begins'), begin=begin)
        during = Client(s, 'during', ACTS_S)
        while during.is_alive():
            time.sleep(0.1)
            main = status(pids(s)['main'])
            assert int(main['VmRSS'].split()[0]) < before['main'][1] + GROWTH_KIB, 'main grows'
        os.unlink(os.path.join(s.config['runtime_dir'], 'rogue'))
        now = pids(s)
        if mode in ('empty', 'shut'):
            s.wait_log(f'event=role-broken role={role}', begin=begin)  # who sees no other channel come says so
        elif role in now:
            try:
                os.kill(now[role], signal.SIGKILL)  # those that nobody can find fault with
            except ProcessLookupError:
                pass
        accepted = during.accepted + wait_steady(s, before, role)
        after = settled(s, before)
        log = s.log_text(begin)

        assert 'Sanitizer' not in log and 'runtime error' not in log, log[-6000:]
        others = {r for r in before if r != role}
        restarted = {r for r in others if after[r][0] != before[r][0]}
        if mode in QUIET:
            # Where only two do not get on, main tries the other one too: see blame.c.
            died = collections.Counter(re.findall(r'event=role-died role=(\w+)', log))
            restarted = {r for r in restarted if died[r] > 2}
        assert not restarted, (restarted, [line for line in log.splitlines() if 'broken' in line][:20])
        for r in others:
            assert after[r][1] < before[r][1] + GROWTH_KIB, (r, before[r], after[r])
        for r in before:
            assert after[r][2] <= before[r][2] + 2, (r, before[r], after[r], descriptors(after[r][0]))
        assert f'event=role-died role={role}' in log.replace(' index=0', '')
        if mode in TO_PEERS + ['garbage-to-main', 'wrong-to-main']:
            assert re.search(rf'event=(role-broken role={role}|message-unexpected from={role})', log), log[-3000:]
        # Mail to it is refused while it is away, at worst; all else goes on.
        if role in ('admin', 'ledger', 'fetch'):
            assert not during.refused, during.refused
        assert not missing(s, accepted)
