"""A whole server whose machine can be made to fail, role by role, while it runs.

    with FaultyServer() as s:
        s.fault['queue'].memory_ppm = 10000     # one of a hundred requests fails
        ...
        s.fault['queue'].clear()

The other end is fault.c, preloaded into every process of the server; a role's orders are
in one file that all of them map.  It needs a build without ASan, which has malloc() itself.
"""
import collections
import itertools
import mmap
import os
import re
import smtplib
import struct
import subprocess
import sys
import threading
import time

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(TOP, 'scripts'))

from server import PATIENCE, Server  # noqa: E402

ROLES = ['main', 'smtp', 'queue', 'keeper', 'ledger', 'local', 'admin', 'fetch']
SLOT, SLOTS = 128, 16
# struct slot of fault.c
FIELDS = {'memory_ppm': (0, 'I'), 'memory_min': (4, 'I'), 'memory_nth': (8, 'Q'), 'seed': (16, 'Q'),
          'wall_ns': (24, 'q'), 'boot_ns': (32, 'q'), 'accept_errno': (40, 'I'), 'write_errno': (44, 'I'),
          'sync_errno': (48, 'I'), 'read_errno': (52, 'I'),
          'asked': (56, 'Q'), 'failed': (64, 'Q'), 'called': (72, 'Q'), 'accepts': (80, 'Q'), 'files': (88, 'Q')}
ORDERS = 56  # octets of orders; the reports follow
STALLED = 30  # seconds without an answer: no machine is as slow, somebody waits for what never comes


class Fault:
    """One role's orders; they take effect at once."""

    def __init__(self, memory, at):
        self.__dict__.update(_memory=memory, _at=at)

    def __getattr__(self, name):
        offset, kind = FIELDS[name]
        return struct.unpack_from('=' + kind, self._memory, self._at + offset)[0]

    def __setattr__(self, name, value):
        offset, kind = FIELDS[name]
        struct.pack_into('=' + kind, self._memory, self._at + offset, value)

    def clear(self):
        """All is well again; what was counted stays."""
        self._memory[self._at:self._at + ORDERS] = bytes(ORDERS)
        self.files = 0


def library():
    """Builds it anew when its source is newer."""
    source = os.path.join(TOP, 'tests/fault/fault.c')
    out = os.path.join(TOP, 'build/fault.so')
    if not os.path.exists(out) or os.path.getmtime(out) < os.path.getmtime(source):
        os.makedirs(os.path.dirname(out), exist_ok=True)
        new = f'{out}.{os.getpid()}'
        subprocess.run([os.environ.get('CC', 'cc'), '-shared', '-fPIC', '-O2', '-Wall', '-Wextra', '-Werror', '-D_GNU_SOURCE',
                        '-o', new, source, '-ldl'], check=True)
        os.replace(new, out)
    return out


def program():
    """A program without ASan: POSTERN_FAULT_BIN, or the release build, as users get it."""
    path = os.environ.get('POSTERN_FAULT_BIN')
    if not path:
        subprocess.run([os.path.join(TOP, 'scripts/build'), 'release'], check=True, stdout=subprocess.DEVNULL)
        path = os.path.join(TOP, 'build/release/postern')
    return path


class FaultyServer(Server):
    def __init__(self, config=None, **more):
        super().__init__(program(), config, **more)
        # The roles' user must be able to read it, wherever this tree lies.
        lib = os.path.join(self.folder, 'fault.so')
        with open(library(), 'rb') as source, open(lib, 'wb') as to:
            to.write(source.read())
        os.chmod(lib, 0o755)
        orders = os.path.join(self.folder, 'orders')
        with open(orders, 'wb') as f:
            f.write(bytes(SLOT * SLOTS))
        os.chmod(orders, 0o666)
        with open(orders, 'r+b') as f:
            memory = mmap.mmap(f.fileno(), SLOT * SLOTS)
        self.fault = {role: Fault(memory, SLOT * i) for i, role in enumerate(ROLES)}
        self.preload = {'LD_PRELOAD': lib, 'POSTERN_FAULT': orders}

    def start(self, timeout=PATIENCE):
        plain, self.env = self.env, dict(self.env, **self.preload)
        try:
            return super().start(timeout)
        finally:
            self.env = plain  # the command line's tools work as ever

    def log_end(self):
        return os.path.getsize(self.log_file)

    def people(self, *names):
        self.cli('domain', 'add', 'example.org')
        for name in names:
            self.account(f'{name}@example.org', 'not used here')

    def queue(self):
        """By id; None while the server cannot say."""
        try:
            return {r['id']: r for r in self.json('queue', 'list', '--limit', '1000000')}
        except (RuntimeError, ValueError, subprocess.TimeoutExpired):
            return None

    def wait_delivered(self, timeout=2 * PATIENCE):
        """Until nothing is left to do but what waits for a relay; asks for a retry of what waits for its time."""
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            q = self.queue()
            if q is not None and all(r['to'] and all(a.endswith('@example.net') for a in r['to']) for r in q.values()):
                return q
            if q and any(r['state'] == 'deferred' for r in q.values()):
                self.cli('queue', 'retry', '--all', check=False)
            time.sleep(0.2)
        raise AssertionError(f'not delivered: {list((q or {}).values())[:5]}\n' + self.log_text()[-3000:])

    def delivered(self, *names):
        """How often each subject stands in these mailboxes."""
        times = collections.Counter()
        for name in names:
            for message in self.messages(f'{name}@example.org'):
                times[re.search(rb'^Subject: (\S+)$', message, re.M).group(1).decode()] += 1
        return times


class Client(threading.Thread):
    """Sends one message after the other until told to stop; remembers what was answered with 250."""

    def __init__(self, server, number, to=('ann', 'bob'), sizes=(200, 20000), pause=0.0):
        super().__init__(daemon=True)
        self.server, self.number, self.to, self.sizes, self.pause = server, number, to, sizes, pause
        self.over = threading.Event()
        self.accepted, self.refused, self.lost, self.wrong = [], collections.Counter(), 0, []
        self.slowest = 0.0
        self.last = time.monotonic()  # when there last was an answer

    def run(self):
        connection, n = None, 0
        while not self.over.is_set():
            n += 1
            began = time.monotonic()
            try:
                connection = connection or smtplib.SMTP('127.0.0.1', self.server.port['relay'], timeout=2 * STALLED)
                self.one(connection, f'f-{self.number}-{n}', self.to[n % len(self.to)], self.sizes[n % len(self.sizes)])
            except smtplib.SMTPResponseException as e:
                self.refused[e.smtp_code] += 1
                if e.smtp_code >= 500 or e.smtp_code < 0:
                    self.wrong.append(repr(e))
                connection = None
                self.over.wait(0.02)
            except smtplib.SMTPRecipientsRefused as e:
                self.wrong.append(repr(e))
                connection = None
            except (OSError, smtplib.SMTPException):
                self.lost += 1
                connection = None
                self.over.wait(0.02)
            self.last = time.monotonic()
            self.slowest = max(self.slowest, self.last - began)
            if self.pause:
                self.over.wait(self.pause)

    def one(self, connection, subject, to, size):
        connection.ehlo_or_helo_if_needed()
        body = f'Subject: {subject}\r\n\r\n' + ('z' * 76 + '\r\n') * (size // 78)
        for command, argument in (connection.mail, 'x@example.com'), (connection.rcpt, f'{to}@example.org'), (connection.data, body):
            code, text = command(argument)
            if code != 250:
                raise smtplib.SMTPResponseException(code, text)
        self.accepted.append(subject)


numbers = itertools.count(1)  # of clients, so that no subject comes twice


class Load:
    """Clients that send while something happens; books(): nothing that was promised is missing."""

    def __init__(self, server, clients=4, **more):
        self.server = server
        self.clients = [Client(server, next(numbers), **more) for _ in range(clients)]

    def __enter__(self):
        self.begin = self.server.log_end()
        for c in self.clients:
            c.start()
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        for c in self.clients:
            c.over.set()
        for c in self.clients:
            c.join(4 * STALLED)
            assert not c.is_alive(), 'a client waits in vain'

    @property
    def accepted(self):
        return [s for c in self.clients for s in list(c.accepted)]

    def wait_accepted(self, more, timeout=PATIENCE):
        """Until so many messages more were taken: the server works."""
        target, deadline = len(self.accepted) + more, time.monotonic() + timeout
        while len(self.accepted) < target:
            if time.monotonic() > deadline:
                raise AssertionError(f'no {more} messages more were accepted in {timeout} s\n' + self.server.log_text()[-4000:])
            time.sleep(0.02)

    def books(self, *names, about=''):
        """Every 250 is in a mailbox; twice only what the log says of."""
        self.stop()
        wrong = [w for c in self.clients for w in c.wrong]
        assert not wrong, (about, wrong[:3], self.server.log_text()[-3000:])
        self.server.wait_delivered()
        times = self.server.delivered(*(names or ('ann', 'bob')))
        lost = [s for s in self.accepted if times[s] == 0]
        assert not lost, (about, len(lost), lost[:5], self.server.log_text()[-5000:])
        twice = [s for s in self.accepted if times[s] > 1]
        said = self.server.log_text(self.begin).count('event=possibly-twice')
        assert len(twice) <= said, (about, twice[:5], said)
        return f'{about}: {len(self.accepted)} accepted, refused {dict(sum((c.refused for c in self.clients), collections.Counter()))}, ' \
               f'{sum(c.lost for c in self.clients)} connections lost, {len(twice)} twice'


def cpu_seconds(pid):
    """User and system time of a process so far."""
    with open(f'/proc/{pid}/stat') as f:
        fields = f.read().rsplit(')', 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf('SC_CLK_TCK')


def descriptors(pid):
    return len(os.listdir(f'/proc/{pid}/fd'))


def descriptors_max(pid):
    with open(f'/proc/{pid}/limits') as f:
        return int(re.search(r'^Max open files +(\d+)', f.read(), re.M).group(1))
