"""Time, size and number: every limit of a listener, with small values."""
import contextlib
import socket
import time

import pytest
from raw import PASSWORD, TIMEOUT, Raw, context

# Where no time-out is tested a client that has to wait for the processor has its time.
LIMITS = {'command_timeout': '2m', 'data_timeout': '2m', 'max_size': '64K', 'max_recipients': 100, 'max_errors': 4,
          'max_commands': 10, 'max_transactions': 3, 'max_sessions_per_ip': 4, 'greeting_hold': '0ms', 'tls_timeout': '2m'}
OTHERS = {'role': 'relay', 'addresses': ['127.0.0.1']}


@pytest.fixture(scope='module')
def limited(make_server):
    more = {'impatient': {**OTHERS, 'port': 26, 'session_timeout': '10s'},
            'steady': {**OTHERS, 'port': 28, 'command_timeout': '10s'},
            'full': {**OTHERS, 'port': 27, 'max_sessions': 2},
            'commands': {**OTHERS, 'port': 29, 'command_timeout': '1s'},
            'data': {**OTHERS, 'port': 30, 'data_timeout': '1s'},
            'tls': {**OTHERS, 'port': 31, 'tls_timeout': '1s'}}
    config = {'smtp_processes': 1, 'listeners': {'relay': LIMITS, 'submissions': LIMITS, 'submission': LIMITS, **more}}
    with make_server(config) as s:
        s.cli('domain', 'add', 'example.org')
        s.account('bob@example.org', PASSWORD)
        yield s


@pytest.fixture
def relay(limited):
    with Raw(limited.port['relay'], greeting=220) as c:
        c.ehlo()
        yield c


def in_time(begin, least):
    """What a server's timer ends is not over before, nor only when everybody else's would end it."""
    assert least < time.monotonic() - begin < TIMEOUT / 2


def test_command_timeout(limited):
    with Raw(limited.port['commands'], greeting=220) as c:
        begin = time.monotonic()
        c.ehlo()
        c.expect('421 4.4.2')
        in_time(begin, 0.9)
        assert c.at_end()


def test_each_command_has_its_own_time(limited):
    """A client that says NOOP now and then to keep its connection may."""
    with Raw(limited.port['steady'], greeting=220) as c:
        begin = time.monotonic()
        while time.monotonic() < begin + 13:
            time.sleep(1)
            c.say('NOOP', 250)


def test_a_command_that_never_ends_times_out(limited):
    """Byte after byte does not keep a session open."""
    with Raw(limited.port['commands'], greeting=220) as c:
        begin = time.monotonic()
        c.ehlo()
        c.sock.settimeout(0.1)
        while time.monotonic() - begin < TIMEOUT:
            try:
                c.send('N')
                if c.line().startswith('421'):
                    break
            except TimeoutError:
                pass
        in_time(begin, 0.9)


def test_data_timeout(limited):
    with Raw(limited.port['data'], greeting=220) as c:
        c.ehlo()
        c.envelope('x@elsewhere.test', 'bob@example.org')
        c.say('DATA', 354)
        c.send('Subject: half\r\n')
        c.expect('421 4.4.2')
        assert c.at_end()


def test_tls_timeout(limited):
    with Raw(limited.port['tls'], greeting=220) as c:
        c.ehlo()
        begin = time.monotonic()
        c.say('STARTTLS', 220)
        assert c.line() == ''
        in_time(begin, 0.9)


def test_session_timeout(limited):
    begin = time.monotonic()
    with Raw(limited.port['impatient'], greeting=220) as c:
        c.ehlo()
        while time.monotonic() - begin < TIMEOUT:
            c.send('NOOP\r\n')
            if c.line().startswith('421'):
                break
            time.sleep(0.5)
        in_time(begin, 9)


def test_one_address_does_not_fill_a_listener_with_silence(limited):
    """Who is never greeted is never told that these are too many: past a few they are only closed."""
    with contextlib.ExitStack() as stack:
        def silent():
            s = stack.enter_context(socket.create_connection(('127.0.0.1', limited.port['submissions']), TIMEOUT))
            s.settimeout(TIMEOUT)
            return s
        waiting = [silent() for _ in range(4 + 16)]
        assert silent().recv(1) == b'', 'closed at once: when the silence is over it would be told so'
        # Another address has its own count.
        other = socket.create_connection(('127.0.0.1', limited.port['submissions']), TIMEOUT, source_address=('127.0.0.2', 0))
        with context().wrap_socket(other) as c:
            assert c.recv(3) == b'220'
        assert waiting[0].recv(3) == b'554', 'the first ones were waited for'


def test_size_announced(relay):
    relay.say('MAIL FROM:<x@elsewhere.test> SIZE=100000', '552 5.3.4')
    relay.say('MAIL FROM:<x@elsewhere.test> SIZE=60000', 250)


def test_size_of_data(limited, relay):
    relay.message('x@elsewhere.test', 'bob@example.org', 'Subject: big\n\n' + 'x' * 70 + ('\n' + 'x' * 70) * 1000, '552 5.3.4')
    relay.message('x@elsewhere.test', 'bob@example.org', 'Subject: small after big\n\nx')
    limited.wait_message('bob@example.org', b'Subject: small after big')
    assert not any(b'Subject: big' in m for m in limited.messages('bob@example.org'))


def test_size_of_bdat(relay):
    relay.envelope('x@elsewhere.test', 'bob@example.org')
    relay.send(b'BDAT 40000\r\n' + b'x' * 40000)
    relay.expect(250)
    relay.send(b'BDAT 40000 LAST\r\n' + b'x' * 40000)
    relay.expect('552 5.3.4')
    relay.say('NOOP', 250)


def test_recipients(relay):
    relay.say('MAIL FROM:<>', 250)
    relay.send('RCPT TO:<bob@example.org>\r\n' * 101)
    replies = [relay.reply() for _ in range(101)]
    assert all(r.startswith('250') for r in replies[:100])
    assert replies[100].startswith('452 4.5.3')


def test_errors(relay):
    for _ in range(3):
        relay.say('NONSENSE', 500)
    relay.say('NONSENSE', 500)
    relay.expect('421 4.7.0')
    assert relay.at_end()


def test_commands_without_mail(relay):
    for _ in range(12):
        relay.send('NOOP\r\n')
        if relay.reply().startswith('421'):
            assert relay.at_end()
            return
    pytest.fail('NOOP for ever')


def test_transactions(relay):
    for _ in range(3):
        relay.message('x@elsewhere.test', 'bob@example.org', 'Subject: one of three\n\nx')
    reply = relay.say('MAIL FROM:<>', 4)
    assert reply[:3] in ('421', '451', '452')


def wait_empty(server, listener):
    """Nobody is in a session there any more, as the server sees it."""
    deadline = time.monotonic() + TIMEOUT
    while any(one['sessions'] for r in server.json('status')['roles'] if r['role'] == 'smtp' for one in r['listeners'] if one['name'] == listener):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_sessions_per_address(limited):
    held = [Raw(limited.port['submission'], greeting=220) for _ in range(4)]
    with Raw(limited.port['submission']) as c:
        c.expect('421 4.7.0')
        assert c.at_end()
    held.pop().sock.close()
    deadline = time.monotonic() + TIMEOUT
    while True:
        with Raw(limited.port['submission']) as c:
            if c.reply().startswith('220'):
                break
        assert time.monotonic() < deadline, 'the one that left is still counted'
        time.sleep(0.1)
    for c in held:
        c.sock.close()


def test_sessions_per_address_inside_tls(limited):
    wait_empty(limited, 'submissions')
    held = [Raw(limited.port['submissions'], tls=True, greeting=220) for _ in range(4)]
    with Raw(limited.port['submissions'], tls=True) as c:
        c.expect('421 4.7.0')
    for c in held:
        c.sock.close()


def test_sessions(limited):
    held = [Raw(limited.port['full'], greeting=220) for _ in range(2)]
    with Raw(limited.port['full']) as c:
        c.expect('421 4.7.0')
    for c in held:
        c.sock.close()


def test_sigterm_lets_a_message_finish(make_server):
    with make_server({'smtp_processes': 1, 'drain': '2m'}) as s:
        s.cli('domain', 'add', 'example.org')
        s.account('bob@example.org', PASSWORD)
        with Raw(s.port['relay'], greeting=220) as busy, Raw(s.port['relay'], greeting=220) as idle:
            busy.ehlo()
            idle.ehlo()
            busy.envelope('x@elsewhere.test', 'bob@example.org')
            busy.say('DATA', 354)
            s.process.terminate()
            idle.expect('421 4.3.2')
            busy.say('Subject: last one\r\n\r\nhello\r\n.', '250 2.0.0')
            busy.expect('421 4.3.2')
        assert s.stop() == 0
        s.start()
        s.wait_message('bob@example.org', b'Subject: last one')
