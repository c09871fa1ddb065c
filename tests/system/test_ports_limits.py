"""Time, size and number: every limit of a listener, with small values."""
import contextlib
import socket
import time

import pytest
from raw import PASSWORD, Raw, context

LIMITS = {'command_timeout': '1s', 'data_timeout': '1s', 'max_size': '64K', 'max_recipients': 100, 'max_errors': 4,
          'max_commands': 10, 'max_transactions': 3, 'max_sessions_per_ip': 4, 'greeting_hold': '0ms', 'tls_timeout': '1s'}


@pytest.fixture(scope='module')
def limited(make_server):
    more = {'impatient': {'role': 'relay', 'port': 26, 'addresses': ['127.0.0.1'], 'session_timeout': '10s'},
            'steady': {'role': 'relay', 'port': 28, 'addresses': ['127.0.0.1'], 'command_timeout': '4s'},
            'full': {'role': 'relay', 'port': 27, 'addresses': ['127.0.0.1'], 'max_sessions': 2}}
    patient = {**LIMITS, 'command_timeout': '1m'}  # sessions that are held while others begin
    config = {'smtp_processes': 1, 'listeners': {'relay': LIMITS, 'submissions': patient, 'submission': patient, **more}}
    with make_server(config) as s:
        s.cli('domain', 'add', 'example.org')
        s.account('bob@example.org', PASSWORD)
        yield s


@pytest.fixture
def relay(limited):
    with Raw(limited.port['relay'], greeting=220) as c:
        c.ehlo()
        yield c


def test_command_timeout(relay):
    begin = time.monotonic()
    relay.expect('421 4.4.2')
    assert 0.5 < time.monotonic() - begin < 3
    assert relay.at_end()


def test_each_command_has_its_own_time(limited):
    """A client that says NOOP now and then to keep its connection may."""
    with Raw(limited.port['steady'], greeting=220) as c:
        for _ in range(6):
            time.sleep(1)
            c.say('NOOP', 250)


def test_a_command_that_never_ends_times_out(relay):
    """Byte after byte does not keep a session open."""
    begin = time.monotonic()
    relay.sock.settimeout(0.1)
    while time.monotonic() - begin < 5:
        try:
            relay.send('N')
            if relay.line().startswith('421'):
                break
        except TimeoutError:
            pass
    assert 0.5 < time.monotonic() - begin < 3


def test_data_timeout(relay):
    relay.envelope('x@elsewhere.test', 'bob@example.org')
    relay.say('DATA', 354)
    relay.send('Subject: half\r\n')
    relay.expect('421 4.4.2')
    assert relay.at_end()


def test_tls_timeout(limited):
    with Raw(limited.port['relay'], greeting=220) as c:
        c.ehlo()
        c.say('STARTTLS', 220)
        begin = time.monotonic()
        assert c.line() == ''
        assert 0.5 < time.monotonic() - begin < 3


def test_session_timeout(limited):
    begin = time.monotonic()
    with Raw(limited.port['impatient'], greeting=220) as c:
        c.ehlo()
        while time.monotonic() - begin < 20:
            c.send('NOOP\r\n')
            if c.line().startswith('421'):
                break
            time.sleep(0.5)
        assert 9 < time.monotonic() - begin < 14


def test_one_address_does_not_fill_a_listener_with_silence(limited):
    """Who is never greeted is never told that these are too many: past a few they are only closed."""
    with contextlib.ExitStack() as stack:
        def silent():
            s = stack.enter_context(socket.create_connection(('127.0.0.1', limited.port['submissions']), 10))
            s.settimeout(12)
            return s
        waiting = [silent() for _ in range(4 + 16)]
        begin = time.monotonic()
        assert silent().recv(1) == b''
        assert time.monotonic() - begin < 4, 'closed at once, not when the silence is over'
        # Another address has its own count.
        other = socket.create_connection(('127.0.0.1', limited.port['submissions']), 10, source_address=('127.0.0.2', 0))
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


def test_sessions_per_address(limited):
    held = [Raw(limited.port['submission'], greeting=220) for _ in range(4)]
    with Raw(limited.port['submission']) as c:
        c.expect('421 4.7.0')
        assert c.at_end()
    held.pop().sock.close()
    time.sleep(0.2)
    with Raw(limited.port['submission'], greeting=220):
        pass
    for c in held:
        c.sock.close()


def test_sessions_per_address_inside_tls(limited):
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
    with make_server({'smtp_processes': 1, 'drain': '10s'}) as s:
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
