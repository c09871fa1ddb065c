"""Whoever is killed while mail goes on to other servers: the books of relay_books.py hold.

POSTERN_KILL_SECONDS: how long; POSTERN_KILL_SEED: whom and when.
"""
import collections
import os
import random
import signal
import time

from relay_books import Client, begin, keep_books, peers, queue_rows, relaying
from server import PATIENCE

FULL = 'POSTERN_FULL' in os.environ
SECONDS = float(os.environ.get('POSTERN_KILL_SECONDS', '120' if FULL else '4'))
SEED = os.environ.get('POSTERN_KILL_SEED', str(random.randrange(10**6)))
WHOM = ['smtp'] * 4 + ['queue'] * 4 + ['ledger', 'keeper', 'fetch', 'local', 'admin']


def test_killed_under_load(make_server):
    rng = random.Random(SEED)
    with peers(SEED) as at, make_server(relaying(at)) as s:
        begin(s)
        began = time.monotonic()
        clients = [Client(s, i, began + SECONDS + 2 * PATIENCE, SEED) for i in range(4)]
        killed = collections.Counter()
        # As long as that, and until there is something to keep books of.
        while time.monotonic() < began + SECONDS or (sum(len(c.accepted) for c in clients) < 30 and
                                                     time.monotonic() < began + SECONDS + 2 * PATIENCE):
            time.sleep(rng.uniform(0.2, 1.2))
            role = rng.choice(WHOM)
            there = s.pids().get(role, [])
            if there:
                try:
                    os.kill(rng.choice(there), signal.SIGKILL)
                    killed[role] += 1
                except ProcessLookupError:
                    pass
        for c in clients:
            c.until = 0
        for c in clients:
            c.join(2 * PATIENCE)
        about = f'seed {SEED}, killed {dict(killed)}'
        keep_books(s, clients, at, about)
        # A start anew finds nothing that was forgotten.
        s.stop()
        s.start()
        assert queue_rows(s) == [], about
