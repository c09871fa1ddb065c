"""The machine fails while mail goes on to other servers: its disk is full or broken, there is no memory, no
descriptor.  The books of system/relay_books.py hold: nothing that was answered with 250 is lost, who
is refused for good is told of to its sender, and it comes twice only with a word in the log.

POSTERN_FAULT_SEED: which requests fail; in the name of what is printed with every failure.
"""
import contextlib
import errno
import itertools
import os
import random
import re
import signal
import time

import pytest
from disk import Disk
from fault import PATIENCE, FaultyServer
from relay_books import Client, begin, keep_books, peers, queue_rows, relaying
from smtp_peer import RIGHT

FULL = bool(os.environ.get('POSTERN_FULL'))
SEED = os.environ.get('POSTERN_FAULT_SEED', str(random.randrange(10**6)))
SECONDS = 5 if FULL else 0.7
RATES = [1000, 20000, 300000, 1000000] if FULL else [100000]  # of a million requests for memory so many fail
numbers = itertools.count(1)  # of clients, so that no subject comes twice


@pytest.fixture(scope='module')
def server(namespace):
    """Its spool and its history are disks of their own; it sends to server.at, by domain."""
    with peers(SEED) as at:
        config = relaying(at)
        config['spool'] = {'free_min': '4M', 'segment': '1M', 'body_memory': '100K'}
        config['relay']['idle'] = '1s'
        s = FaultyServer(config)
        s.at = at
        s.disk = {name: Disk(f'{s.config["state_dir"]}/{name}', mib) for name, mib in (('spool', 64), ('ledger', 8))}
        try:
            with s:
                begin(s)
                yield s
        finally:
            for disk in s.disk.values():
                disk.gone()
            s.close()


class Load:
    """Clients for as long as something goes wrong, and a bit before and after."""

    def __init__(self, server, about, twice=False):
        self.s, self.about, self.twice = server, f'{about}, seed {SEED}', twice

    def __enter__(self):
        self.begin, self.before = self.s.log_end(), self.s.pids()
        self.clients = [Client(self.s, next(numbers), time.monotonic() + 600, SEED) for _ in range(4)]
        self.wait(20)
        return self

    @property
    def accepted(self):
        return sum(len(c.accepted) for c in self.clients)

    def wait(self, more, timeout=2 * PATIENCE):
        target, deadline = self.accepted + more, time.monotonic() + timeout
        while self.accepted < target:
            assert time.monotonic() < deadline, (self.about, self.s.log_text(self.begin)[-4000:])
            time.sleep(0.02)

    def relayed(self):
        return sum(sum(p.taken.values()) for p in self.s.at.values())

    def wait_relayed(self, more, timeout=2 * PATIENCE):
        target, deadline = self.relayed() + more, time.monotonic() + timeout
        while self.relayed() < target:
            assert time.monotonic() < deadline, (self.about, self.s.log_text(self.begin)[-4000:])
            time.sleep(0.02)

    def __exit__(self, kind, *_):
        for c in self.clients:
            c.until = 0
        for c in self.clients:
            c.join(60)
        if kind is None:
            keep_books(self.s, self.clients, self.s.at, self.about)

    def nobody_died(self):
        wrong = [line for line in self.s.log_text(self.begin).splitlines() if re.search('event=(role-(died|broken)|peer-broken)', line)]
        assert not wrong, '\n'.join([self.about, *wrong])
        assert self.s.pids() == self.before, self.about


def kill(server, role):
    for pid in server.pids()[role]:
        os.kill(pid, signal.SIGKILL)


@contextlib.contextmanager
def slow(server):
    """The others take their time, so that mail waits."""
    def later(*_):
        time.sleep(0.3)
        return RIGHT['data']

    for peer in server.at.values():
        peer.answer['data'] = later
    yield
    for peer in server.at.values():
        peer.answer['data'] = RIGHT['data']


def test_spool_is_nearly_full(server):
    """What was taken goes on, and its outcomes are written, with what is kept free for that."""
    with Load(server, 'spool nearly full') as load:
        server.disk['spool'].fill(leave=1 << 20)
        server.wait_log('event=not-accepting', begin=load.begin)
        time.sleep(SECONDS)
        server.disk['spool'].empty()
        load.wait(20)
        load.nobody_died()


@pytest.mark.parametrize('killed', [False, True])
def test_spool_is_full(server, killed):
    """Not an octet: neither an attempt, nor an outcome, nor a report can be written."""
    with Load(server, f'spool full, killed {killed}') as load:
        with slow(server):
            load.wait(30)  # more than is under way at once
            server.disk['spool'].fill()
        time.sleep(SECONDS)
        if killed:
            # What this process knows, and could not write, is gone with it.
            kill(server, 'queue')
            time.sleep(SECONDS)
        server.disk['spool'].empty()
        load.wait(20)
        if not killed:
            load.nobody_died()


@pytest.mark.parametrize('fault', ['write_errno', 'sync_errno'] if FULL else ['write_errno'])
def test_spool_breaks(server, fault):
    """It takes nothing any more, until queue is started again."""
    with Load(server, fault) as load:
        setattr(server.fault['queue'], fault, errno.EIO)
        server.wait_log('event=not-accepting', begin=load.begin)
        time.sleep(SECONDS)
        server.fault['queue'].clear()
        kill(server, 'queue')
        load.wait(20)


def test_history_is_full(server):
    with Load(server, 'ledger full') as load:
        server.disk['ledger'].fill()
        load.wait_relayed(20)
        server.disk['ledger'].empty()
        load.nobody_died()


@pytest.mark.parametrize('rate', RATES)
@pytest.mark.parametrize('role', ['smtp', 'queue', 'keeper', 'ledger'] if FULL else ['smtp', 'queue'])
def test_out_of_memory(server, role, rate):
    with Load(server, f'{role}, {rate} of a million') as load:
        server.fault[role].seed = int(SEED)
        server.fault[role].memory_ppm = rate
        time.sleep(SECONDS)
        server.fault[role].clear()
        load.wait(20)
        load.wait_relayed(20)
        load.nobody_died()


@pytest.mark.skipif(not FULL, reason='only in make test-full')
@pytest.mark.parametrize('role', ['smtp', 'queue'])
def test_each_request_in_turn(server, role):
    """The n-th request for memory fails, one at a time, while mail is relayed."""
    fault = server.fault[role]
    with Load(server, f'{role}, one after the other') as load:
        for n in range(1, 400):
            failed = fault.failed
            fault.memory_nth = n
            deadline = time.monotonic() + 2
            while fault.failed == failed and time.monotonic() < deadline:
                time.sleep(0.002)
        fault.clear()
        load.wait_relayed(20)
        load.nobody_died()


def test_no_descriptor_for_lanes(server):
    """Whom nothing can be sent to is not to blame, and is tried again."""
    with Load(server, 'descriptors') as load:
        server.fault['smtp'].files = 12  # fewer than there are
        for peer in server.at.values():
            peer.kick()
        time.sleep(SECONDS)
        server.fault['smtp'].clear()
        load.wait_relayed(20)
        load.nobody_died()


def test_nothing_is_left(server):
    """After all of this: a start anew finds nothing."""
    server.stop()
    server.start()
    assert queue_rows(server) == []
