"""A process behind the ports dies while a session waits for its answer: the client gets a
temporary refusal, never silence, and goes on in the same session with the next process."""
import base64
import os
import signal
import time

import pytest

from raw import PASSWORD, TIMEOUT, Raw

TEXT = 'Subject: after a crash\r\n\r\n' + 'x' * 70 + '\r\n'


def b64(text):
    return base64.b64encode(text.encode()).decode()


def pid_of(server, role):
    """Of the process once it is ready; None while it is away."""
    return next((r['pid'] for r in server.json('status')['roles'] if r['role'] == role), None)


@pytest.fixture(scope='module')
def one(make_server):
    """One process for all sessions, so that each test meets the same one."""
    # Whoever stands still here is ended by the test, and by nobody else.
    with make_server({'smtp_processes': 1, 'hang_timeout': '10m'}) as s:
        s.cli('domain', 'add', 'example.org')
        for name in ('ann', 'bob'):
            s.account(f'{name}@example.org', PASSWORD)
        yield s


def logged_in(s):
    c = Raw(s.port['submissions'], tls=True, greeting=220)
    c.login('ann@example.org', PASSWORD)
    return c


def to_auth(s):
    c = Raw(s.port['submissions'], tls=True, greeting=220)
    c.ehlo()
    return c


def to_auth_login(s):
    c = to_auth(s)
    c.say('AUTH LOGIN', 334)
    return c


def to_rcpt(s):
    c = logged_in(s)
    c.say('MAIL FROM:<ann@example.org>', 250)
    return c


def to_data(s):
    c = to_rcpt(s)
    c.say('RCPT TO:<bob@example.org>', 250)
    c.say('DATA', 354)
    return c


def to_chunk(s):
    c = to_rcpt(s)
    c.say('RCPT TO:<bob@example.org>', 250)
    c.send('BDAT 5\r\nSubje')
    c.expect(250)
    return c


def turns(s):
    """What came to smtp before is read by now, and what it asks of others for it is asked: its loop has turned."""
    with Raw(s.port['relay'], greeting=220) as c:
        for _ in range(3):
            c.say('NOOP', 250)


# Where the session is, who dies, what is under way, and what the client hears.  What was only asked is
# asked again of the one that comes after; but that may take longer than a client is kept waiting.
CASES = {
    'auth': (to_auth, 'keeper', 'AUTH PLAIN ' + b64(f'\0ann@example.org\0{PASSWORD}') + '\r\n', ('235', '454 4.7.0')),
    'auth-login': (to_auth_login, 'keeper', b64('ann@example.org') + '\r\n', '454 4.7.0'),
    'mail': (logged_in, 'keeper', 'MAIL FROM:<ann@example.org>\r\n', ('250', '451 4.3.0')),
    'rcpt': (to_rcpt, 'keeper', 'RCPT TO:<bob@example.org>\r\n', ('250', '451 4.3.0')),
    'commit': (to_data, 'queue', TEXT + '.\r\n', '451 4.3.0'),
    'large-body': (to_data, 'queue', TEXT + ('y' * 70 + '\r\n') * 1500 + '.\r\n', '451 4.3.0'),
    'chunk': (to_chunk, 'queue', 'BDAT 9 LAST\r\nct: x\r\n\r\n', '451 4.3.0'),
}


@pytest.mark.parametrize('case', CASES)
def test_dies_while_it_is_asked(one, case):
    begin, role, says, answer = CASES[case]
    with begin(one) as c:
        # It stands still, so that whoever asks it waits; then it dies.
        pid = pid_of(one, role)
        os.kill(pid, signal.SIGSTOP)
        log = os.path.getsize(one.log_file)
        try:
            c.send(says)
            turns(one)
            c.sock.settimeout(0.5)
            with pytest.raises(TimeoutError):
                c.line()
            c.sock.settimeout(TIMEOUT)
        finally:
            os.kill(pid, signal.SIGKILL)
        reply = c.reply()
        assert reply.startswith(answer), reply
        one.wait_log(f'event=role-died role={role}', begin=log)
        deadline = time.monotonic() + TIMEOUT
        while pid_of(one, role) in (None, pid):
            assert time.monotonic() < deadline, f'{role} never came back'
            time.sleep(0.1)
        c.say('RSET', 250)
        if case.startswith('auth') and not reply.startswith('235'):
            c.say('AUTH PLAIN ' + b64(f'\0ann@example.org\0{PASSWORD}'), 235)
        c.message('ann@example.org', 'bob@example.org', f'Subject: after {case}\n\nx', '250 2.0.0')
    one.wait_message('bob@example.org', f'Subject: after {case}\n'.encode())
    assert not any(b'Subject: after a crash' in m for m in one.messages('bob@example.org'))


def test_session_ends_while_its_message_is_stored(make_server):
    """The longest session is over, but whoever waits for 250 gets it: a refusal now would make a second copy."""
    with make_server({'smtp_processes': 1, 'hang_timeout': '10m', 'listeners': {'relay': {'session_timeout': '10s'}}}) as s:
        s.cli('domain', 'add', 'example.org')
        s.account('bob@example.org', PASSWORD)
        pid = pid_of(s, 'queue')
        begin = time.monotonic()
        with Raw(s.port['relay'], greeting=220) as c:
            c.ehlo()
            c.envelope('x@elsewhere.test', 'bob@example.org')
            c.say('DATA', 354)
            os.kill(pid, signal.SIGSTOP)
            try:
                c.send('Subject: slow disk\r\n\r\nx\r\n.\r\n')
                time.sleep(max(0, begin + 12 - time.monotonic()))
            finally:
                os.kill(pid, signal.SIGCONT)
            c.expect('250 2.0.0')
        s.wait_message('bob@example.org', b'Subject: slow disk')
