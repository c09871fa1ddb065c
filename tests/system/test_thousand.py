"""One message to 1,000 mailboxes, and 1,000 mailboxes with a message each: all of it, once, in constant memory."""
import os
import smtplib
import sqlite3
import time

import pytest
from server import PATIENCE

N = 1000
BODY = 100_000  # octets; 1,000 of them at once would be seen


@pytest.fixture(scope='module')
def s(make_server):
    # AddressSanitizer keeps what was freed; a little of it is enough here.
    asan = 'detect_leaks=0:quarantine_size_mb=1:thread_local_quarantine_size_kb=16'
    with make_server({'listeners': {'relay': {'max_recipients': N}}}, env={'ASAN_OPTIONS': asan}) as server:
        server.cli('domain', 'add', 'example.org')
        server.cli('account', 'add', 'u0@example.org', '--no-password')
        server.stop()
        db = sqlite3.connect(os.path.join(server.config['state_dir'], 'accounts/accounts.db'))
        for i in range(1, N):
            db.execute("INSERT INTO account (domain, local, local_key, created) SELECT domain, 'u' || ?1, 'u' || ?1, created"
                       " FROM account WHERE local = 'u0'", (i,))
        db.commit()
        db.close()
        server.start()
        yield server


def address(i):
    return f'u{i}@example.org'


def memory(s):
    """Octets of each role that handles mail."""
    return {f'{r["role"]}{r["index"]}': r['memory'] for r in s.json('status')['roles'] if r['role'] in ('smtp', 'queue', 'local')}


def wait_files(s, n, timeout):
    """The files of each mailbox, once there are n in all."""
    deadline = time.monotonic() + timeout
    while True:
        boxes = {i: os.listdir(os.path.join(s.mailbox(address(i)), 'new')) for i in range(N)
                 if os.path.isdir(os.path.join(s.mailbox(address(i)), 'new'))}
        if sum(len(names) for names in boxes.values()) >= n:
            return boxes
        assert time.monotonic() < deadline, s.cli('queue', 'list').stdout[-500:] + s.log_text()[-1500:]
        time.sleep(0.1)


def empty(s):
    for i in range(N):
        new = os.path.join(s.mailbox(address(i)), 'new')
        for name in os.listdir(new) if os.path.isdir(new) else []:
            os.unlink(os.path.join(new, name))


def read(s, i):
    (message,) = s.messages(address(i))
    return message


def test_one_message_to_a_thousand_mailboxes(s):
    with smtplib.SMTP('127.0.0.1', s.port['relay'], timeout=3 * PATIENCE) as c:
        c.sendmail('outside@example.net', [address(0)], 'Subject: first\r\n\r\n' + 'x' * 70)
        s.wait_message(address(0), b'first')
        empty(s)
        before = memory(s)
        body = ('Subject: all\r\n\r\n' + ('y' * 98 + '\r\n') * (BODY // 100)).encode()
        assert c.sendmail('outside@example.net', [address(i) for i in range(N)], body) == {}
    peak = dict(before)
    deadline = time.monotonic() + 5 * PATIENCE
    while s.json('queue', 'list'):
        assert time.monotonic() < deadline
        for role, octets in memory(s).items():
            peak[role] = max(peak[role], octets)
        time.sleep(0.05)
    boxes = wait_files(s, N, PATIENCE)
    assert len(boxes) == N and all(len(names) == 1 for names in boxes.values())
    for i in (0, 1, N // 2, N - 1):
        message = read(s, i)
        assert b'Delivered-To: %s\n' % address(i).encode() in message
        assert message.endswith(body.replace(b'\r\n', b'\n')[-BODY // 2:])
    assert all(os.listdir(os.path.join(s.mailbox(address(i)), 'tmp')) == [] for i in range(N))
    for role, octets in peak.items():
        assert octets - before[role] < 40 << 20, (role, before, peak)
    empty(s)


def test_a_message_for_each_of_a_thousand(s):
    n = N if os.environ.get('POSTERN_FULL') else 300
    with smtplib.SMTP('127.0.0.1', s.port['relay'], timeout=3 * PATIENCE) as c:
        for i in range(n):
            c.sendmail('outside@example.net', [address(i)], f'Subject: for {i}.\r\n\r\nonly {i}.\r\n')
    boxes = wait_files(s, n, 5 * PATIENCE)
    assert sorted(i for i, names in boxes.items() if names) == list(range(n))
    for i in range(n):
        assert f'only {i}.\n'.encode() in read(s, i)
    deadline = time.monotonic() + PATIENCE
    while s.json('queue', 'list'):
        assert time.monotonic() < deadline
