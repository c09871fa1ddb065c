"""Clients that cut, reset, pause and shout, many at once, and honest ones among them:
the server stays whole, nothing that it accepted is lost or doubled, nothing is left over."""
import base64
import random
import socket
import ssl
import struct
import threading
import time

import pytest

SECONDS = 8
WORKERS = 8
PASSWORD = 'correct horse battery'
LOGIN = b'AUTH PLAIN ' + base64.b64encode(f'\0ann@example.org\0{PASSWORD}'.encode()) + b'\r\n'
SHOUTS = [
    b'EHLO x\r\n', b'STARTTLS\r\n', LOGIN, b'MAIL FROM:<ann@example.org>\r\n', b'RCPT TO:<bob@example.org>\r\n', b'DATA\r\n',
    b'RSET\r\n', b'QUIT\r\n', b'x' * 5000 + b'\r\n', b'EHLO ' + b'a' * 3000 + b'\r\n', b'HELP\r\n' * 3000,
    b'BDAT 100000\r\n' + b'y' * 60000, b'\0' * 100, b'GET / HTTP/1.0\r\n\r\n',
    b'\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03',  # the beginning of a ClientHello
]


def context(newest):
    c = ssl.create_default_context()
    c.check_hostname, c.verify_mode, c.maximum_version = False, ssl.CERT_NONE, newest
    return c


CONTEXTS = [context(ssl.TLSVersion.TLSv1_3), context(ssl.TLSVersion.TLSv1_2)]


def reset(c):
    c.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
    c.close()


def odd(port, r):
    """A dozen things at random, whatever comes back."""
    c = socket.create_connection(('127.0.0.1', port))
    c.settimeout(r.choice([0.01, 0.1, 0.4]))
    try:
        for _ in range(r.randrange(14)):
            what = r.random()
            if what < 0.2 and not isinstance(c, ssl.SSLSocket):
                c = r.choice(CONTEXTS).wrap_socket(c)
            elif what < 0.35:
                c.recv(r.choice([1, 100, 4000, 60000]))
            elif what < 0.4:
                c.shutdown(socket.SHUT_WR)
            elif what < 0.45:
                time.sleep(r.random() * 0.3)
            else:
                shout = b''.join(r.choice(SHOUTS) for _ in range(r.randrange(1, 6)))
                c.sendall(shout[:r.randrange(len(shout) + 1)] if r.random() < 0.3 else shout)
        if r.random() < 0.3:
            reset(c)
    except (OSError, ValueError):
        pass
    finally:
        c.close()


def honest(port, r, subject):
    """A right session, its bytes cut at odd places; true if the message was accepted."""
    with CONTEXTS[0].wrap_socket(socket.create_connection(('127.0.0.1', port), timeout=120)) as c:
        replies = c.makefile('rb')

        def say(data):
            while data:
                n = r.choice([1, 7, 1000, 16384, 100000])
                c.sendall(data[:n])
                data = data[n:]

        def until(code):
            for line in replies:
                if line.startswith(code):
                    return True
                assert line[:1] in b'23', line
            return False

        say(b'EHLO x\r\n' + LOGIN + b'MAIL FROM:<ann@example.org>\r\nRCPT TO:<bob@example.org>\r\nDATA\r\n')
        assert until(b'354 ')
        lines = r.choice([1, 20000])
        say(f'Subject: {subject}\r\n\r\n'.encode() + b'a line\r\n' * lines + b'.\r\nQUIT\r\n')
        return until(b'250 ') and until(b'221 ')


@pytest.fixture(scope='module')
def played(make_server):
    """The server after it all, what it accepted, and what went wrong with honest clients."""
    limits = {'max_sessions_per_ip': 1000, 'max_errors': 1000}
    with make_server({'listeners': {n: dict(limits) for n in ('relay', 'submissions', 'submission', 'fallback')}}) as s:
        s.cli('domain', 'add', 'example.org')
        for name in ('ann', 'bob'):
            s.account(f'{name}@example.org', PASSWORD)
        accepted, wrong = [], []
        end = time.monotonic() + SECONDS

        def work(number):
            r, n = random.Random(number), 0
            # Where everything is slow, until there is enough to look at.
            while time.monotonic() < end or (len(accepted) < 10 and not wrong and time.monotonic() < end + 180):
                n += 1
                subject = f'honest-{number}-{n}'
                try:
                    if n % 8:
                        odd(r.choice(list(s.port.values())), r)
                    elif honest(s.port['submissions'], r, subject):
                        accepted.append(subject)
                    else:
                        wrong.append(f'{subject}: no answer')
                except (OSError, AssertionError) as e:
                    wrong.append(f'{subject}: {e!r}')

        workers = [threading.Thread(target=work, args=(i,)) for i in range(WORKERS)]
        for w in workers:
            w.start()
        for w in workers:
            w.join()
        yield s, accepted, wrong


def test_honest_clients_are_served(played):
    s, accepted, wrong = played
    assert not wrong
    assert len(accepted) > 5


def test_each_accepted_message_is_there_once(played):
    s, accepted, _ = played
    for subject in accepted:
        s.wait_message('bob@example.org', f'Subject: {subject}\n'.encode())
    there = b'\n'.join(s.messages('bob@example.org'))
    for subject in accepted:
        assert there.count(f'Subject: {subject}\n'.encode()) == 1


def test_the_server_is_whole(played):
    s, _, _ = played
    log = s.log_text()
    for word in ('Sanitizer', 'runtime error', 'event=peer-broken', 'event=role-died', 'event=role-killed', 'event=role-broken'):
        assert word not in log
    deadline = time.monotonic() + 60
    while True:
        status = s.json('status')
        left = [role['sessions'] for role in status['roles'] if role['role'] == 'smtp']
        queue = next(role for role in status['roles'] if role['role'] == 'queue')
        if sum(left) == queue['transactions'] == queue['messages'] == 0 or time.monotonic() > deadline:
            break
        time.sleep(0.1)
    assert len(left) >= 1 and sum(left) == 0
    assert queue['transactions'] == 0 and queue['messages'] == 0
