"""Memory runs out in one role, while mail comes in: whom it hits is told to come again, nobody else
notices, nothing that was answered with 250 is lost, and all works again as soon as there is memory.

POSTERN_FAULT_SEED: which requests fail; printed with every failure.
"""
import contextlib
import os
import random
import smtplib
import ssl
import time

import pytest
from fault import PATIENCE, STALLED, Load

SEED = int(os.environ.get('POSTERN_FAULT_SEED', random.randrange(10**6)))
FULL = bool(os.environ.get('POSTERN_FULL'))
# How many of a million requests fail, and for how long.
RATES = [1000, 20000, 300000, 1000000] if FULL else [20000, 400000]
SECONDS = 3 if FULL else 0.5


@pytest.mark.parametrize('rate', RATES)
@pytest.mark.parametrize('role', ['smtp', 'queue', 'keeper', 'local', 'ledger', 'admin', 'main'])
def test_out_of_memory(server, role, rate):
    about = f'{role}, {rate} of a million, seed {SEED}'
    before, begin, fault = server.pids(), server.log_end(), server.fault[role]
    with Load(server) as load:
        load.wait_accepted(10)
        fault.seed = SEED
        fault.memory_ppm = rate
        time.sleep(SECONDS)
        fault.clear()
        load.wait_accepted(10, timeout=STALLED)  # by itself
    load.books(about=about)
    log = server.log_text(begin)
    assert server.pids() == before, (about, [line for line in log.splitlines() if 'role-' in line])
    assert max(c.slowest for c in load.clients) < STALLED, about


@pytest.mark.parametrize('role', ['queue', 'local', 'smtp', 'keeper'])
def test_each_request_in_turn(server, role, full):
    """The n-th request for memory fails, one at a time, while a message is on its way."""
    fault, begin, before = server.fault[role], server.log_end(), server.pids()
    with Load(server, clients=1, sizes=(200, 300000)) as load:
        for n in range(1, 400 if full else 40):
            failed = fault.failed
            fault.memory_nth = n
            load.wait_accepted(1)
            deadline = time.monotonic() + 2
            while fault.failed == failed and time.monotonic() < deadline:
                time.sleep(0.002)
    fault.clear()
    load.books(about=role)
    assert server.pids() == before, server.log_text(begin)[-3000:]


ANY = ssl._create_unverified_context()


def in_tls(server):
    c = smtplib.SMTP('127.0.0.1', server.port['submission'], timeout=STALLED)
    c.starttls(context=ANY)
    return c


def tls_works(server):
    """In each process: of so many connections one comes to it."""
    for _ in range(12):
        with in_tls(server) as c:
            assert c.noop()[0] == 250


def test_first_handshakes(server):
    """Without memory, in processes that never spoke TLS before: what OpenSSL makes only once was made before."""
    for n in range(8 if FULL else 4):
        before = server.pids()['smtp']
        for pid in before:
            os.kill(pid, 9)
        deadline = time.monotonic() + PATIENCE
        while len(set(r['pid'] for r in server.json('status')['roles'] if r['role'] == 'smtp') - set(before)) < len(before):
            assert time.monotonic() < deadline, server.log_text()[-3000:]
            time.sleep(0.1)
        server.fault['smtp'].seed = SEED + n
        server.fault['smtp'].memory_ppm = 10000
        for _ in range(20):
            with contextlib.suppress(OSError, smtplib.SMTPException):
                in_tls(server).close()
        server.fault['smtp'].clear()
        tls_works(server)


def test_logins(server):
    """TLS, SASL and password hashes without memory: answered 4xx or cut off, never let in by mistake."""
    codes = []

    def login(password):
        with in_tls(server) as c:
            return c.login('ann@example.org', password)[0]

    assert login('not used here') == 235
    before = server.pids()
    for rate in (100, 5000, 100000):
        for role in ('smtp', 'keeper'):
            server.fault[role].seed = SEED
            server.fault[role].memory_ppm = rate
        until = time.monotonic() + (5 if FULL else 1)
        tried = len(codes)
        while time.monotonic() < until or len(codes) < tried + 10:
            for password in ('not used here', 'wrong'):
                try:
                    codes.append(login(password))
                    assert password != 'wrong'
                except smtplib.SMTPResponseException as e:
                    codes.append(e.smtp_code)
                    assert e.smtp_code < 500 or password == 'wrong', (SEED, e)
                except (OSError, smtplib.SMTPException):
                    codes.append(None)
    for fault in server.fault.values():
        fault.clear()
    assert server.pids() == before, server.log_text()[-9000:]
    assert len(set(codes)) > 1, codes
    tls_works(server)
    # Guesses were among them: the account may be slowed, but the owner is let in.
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            assert login('not used here') == 235
            return
        except smtplib.SMTPException:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.5)


def test_a_role_that_cannot_start(server):
    """main starts what died again, as soon as there is memory for it."""
    with Load(server) as load:
        load.wait_accepted(10)
        for role in ('smtp', 'queue', 'keeper', 'local'):
            server.fault[role].memory_ppm = 1000000
            for pid in server.pids()[role]:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, 9)
            time.sleep(0.5)
            server.fault[role].clear()
            load.wait_accepted(5)
    load.books(about='killed while there was no memory')
