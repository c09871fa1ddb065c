"""The input path as an attacker sees it, over the wire: connections that end at each byte of BDAT, sizes
that are no sizes, base64 that is none, text that looks like an address, headers without end.

What ends a message too early, or too late, is test_ports_smuggling.py's.
"""
import base64
import itertools
import socket
import time

import pytest
from raw import PASSWORD, Raw, context

serial = itertools.count()


@pytest.fixture(scope='module')
def hostile(make_server):
    """A server whose limits by address and error are out of the way."""
    more = {'max_sessions_per_ip': 1000, 'max_errors': 1000}
    with make_server({'listeners': {n: dict(more) for n in ('relay', 'submissions', 'submission', 'fallback')}}) as s:
        s.cli('domain', 'add', 'example.org')
        for name in ('ann', 'bob', 'fence'):
            s.account(f'{name}@example.org', PASSWORD)
        yield s


def fence(server):
    """All that was accepted before is delivered when this is; and the server answers."""
    mark = f'Subject: fence {next(serial)} end'
    with Raw(server.port['relay'], greeting=220) as c:
        c.ehlo()
        c.message('', 'fence@example.org', f'{mark}\n\nx')
    server.wait_message('fence@example.org', mark.encode())
    deadline = time.monotonic() + 60
    while server.json('queue', 'list'):
        assert time.monotonic() < deadline, server.log_text()[-3000:]
        time.sleep(0.05)


def test_bdat_ends_at_each_byte(hostile):
    """A message is accepted only when its last octet came: every shorter stream leaves nothing."""
    body = b'Subject: cut bdat\r\n\r\nBDAT 5 LAST\r\n.\r\nend\r\n'
    head = b'EHLO c.test\r\nMAIL FROM:<x@elsewhere.test>\r\nRCPT TO:<bob@example.org>\r\n'
    stream = head + b'BDAT 21\r\n' + body[:21] + b'BDAT %d LAST\r\n' % len(body[21:]) + body[21:]
    for end in range(len(head), len(stream)):
        with Raw(hostile.port['relay'], greeting=220) as c:
            c.send(stream[:end])
            if end % 2:
                c.sock.shutdown(socket.SHUT_WR)  # it still reads: what comes must be no acceptance of a message
                while line := c.line():
                    assert not line.startswith('250 2.0.0') or 'octets received' in line, (end, line)
    fence(hostile)
    assert not [m for m in hostile.messages('bob@example.org') if b'cut bdat' in m]
    with Raw(hostile.port['relay'], greeting=220) as c:
        c.send(stream + b'QUIT\r\n')
        while (line := c.line()) and not line.startswith('221'):
            pass
    assert hostile.wait_message('bob@example.org', b'cut bdat').replace(b'\r\n', b'\n').endswith(b'BDAT 5 LAST\n.\nend\n')


@pytest.mark.parametrize('parameter, code', [
    ('SIZE=0', 250), ('SIZE=1', 250), ('SIZE=00000000000000000001', 250),
    ('SIZE=', 501), ('SIZE=-1', 501), ('SIZE=+1', 501), ('SIZE=0x10', 501), ('SIZE=1 SIZE=1', 501), ('SIZE= 1', 501),
    ('SIZE=4294967296', 552), ('SIZE=18446744073709551615', 552),
    ('SIZE=18446744073709551616', 5), ('SIZE=99999999999999999999999999999999', 5),
])
def test_announced_sizes(hostile, parameter, code):
    with Raw(hostile.port['relay'], greeting=220) as c:
        c.ehlo()
        c.say(f'MAIL FROM:<x@elsewhere.test> {parameter}', code)
        c.say('RSET', 250)


TOO_LARGE = ['18446744073709551615', '9223372036854775808', '4294967296 LAST']


@pytest.mark.parametrize('chunk', [*TOO_LARGE, '18446744073709551616', '-1', '+5', '0x5', '', ' LAST', '5 LAST LAST', '5 FIRST', '1e3'])
def test_chunk_sizes(hostile, chunk):
    """A chunk that cannot be taken ends the session: no command within it is obeyed."""
    with Raw(hostile.port['relay'], greeting=220) as c:
        c.ehlo()
        c.envelope('x@elsewhere.test', 'bob@example.org')
        c.send(f'BDAT {chunk}\r\nEXPN bob\r\n')
        if chunk in TOO_LARGE:
            c.expect(552)  # known before its octets come, which nobody waits for
            assert c.at_end()
        else:
            c.expect('501 5.5.4')
            assert c.at_end()  # where the next command begins nobody knows


B64 = base64.b64encode
GOOD = f'\0ann@example.org\0{PASSWORD}'.encode()


@pytest.mark.parametrize('initial', [
    b'=', b'====', b'A', b'AA', b'AAA', b'A===', B64(GOOD)[:-1] + b'*', B64(GOOD) + b'=', B64(GOOD) + b'AAAA', b'AGFu\0bg==',
    B64(b'\0' + b'a' * 3000 + b'\0x'), B64(b'\0' * 50), B64(b'\0\0'), B64(b'\0ann@example.org\0'),
    B64(GOOD + b'\0'), B64(b'bob@example.org' + GOOD), B64(GOOD.replace(b'ann', b'ann\0')),
    B64(b'\0\xff\xfe@example.org\0x'), B64(b'\0ann@example.org\0' + b'\xc0\x80'), B64(b'\0ann\xe3\x80\x82@example.org\0x'),
    base64.urlsafe_b64encode(b'\0ann@example.org\0\xfb\xff\xfe'),
], ids=range(21))
def test_sasl_base64(hostile, initial):
    """Nothing but the password itself, well formed, logs in, and nothing but the session is harmed."""
    with Raw(hostile.port['submissions'], tls=True, greeting=220) as c:
        c.ehlo()
        c.send(b'AUTH PLAIN ' + initial + b'\r\n')
        reply = c.reply()
        if reply.startswith('334'):  # "=" is an empty response, and PLAIN asks again
            c.send('*\r\n')
            reply = c.reply()
        assert reply[:3] in ('500', '501', '535'), reply
        c.say('MAIL FROM:<ann@example.org>', 530)


def test_sasl_lines_without_end(hostile):
    with Raw(hostile.port['submissions'], tls=True, greeting=220) as c:
        c.ehlo()
        c.say('AUTH PLAIN', 334)
        c.send(b'A' * 200_000 + b'\r\n')
        assert c.reply()[:3] in ('500', '501')
        c.expect('421')
        assert c.at_end()


@pytest.mark.parametrize('address', [
    'bob@example\u3002org',       # an ideographic full stop
    'bob\uff20example.org',       # a fullwidth commercial at
    'bob@ex\u00adample.org',      # a soft hyphen
    'bob@\u202eexample.org',      # right-to-left override
    'bob\u200b@example.org',      # a space of no width
    'b\u043eb@example.org',       # a Cyrillic o
    'bob@example.org\u0085',      # next line, of C1
    'bob@ｅxample.org',            # a fullwidth e
])
def test_text_that_looks_like_an_address(hostile, address):
    """It is never obeyed as another address than the one that it is; a mapped domain is the domain."""
    before = len(hostile.messages('bob@example.org'))
    with Raw(hostile.port['relay'], greeting=220) as c:
        c.ehlo()
        c.say('MAIL FROM:<x@elsewhere.test> SMTPUTF8', 250)
        c.send(f'RCPT TO:<{address}>\r\n')
        reply = c.reply()
        assert reply[0] in '25', reply
        if reply[0] == '2':
            c.say('DATA', 354)
            c.say('Subject: alike\r\n\r\nx\r\n.', 250)
    fence(hostile)
    # UTS 46 maps these to example.org itself; all others are other names, or none.
    same = address in ('bob@example\u3002org', 'bob@ex\u00adample.org', 'bob@ｅxample.org')
    assert len(hostile.messages('bob@example.org')) - before <= (1 if same else 0)


@pytest.mark.parametrize('octets', [b'\xc0\xae', b'\xed\xa0\x80', b'\xf4\x90\x80\x80', b'\xff', b'\x80', b'\xe2\x82'], ids=repr)
def test_octets_that_are_no_utf8(hostile, octets):
    with Raw(hostile.port['relay'], greeting=220) as c:
        c.ehlo()
        c.say('MAIL FROM:<> SMTPUTF8', 250)
        c.send(b'RCPT TO:<bob' + octets + b'@example.org>\r\n')
        c.expect(5)
        c.send(b'RCPT TO:<bob@' + octets + b'.example.org>\r\n')
        c.expect(5)
        c.say('RCPT TO:<bob@example.org>', 250)
        c.say('RSET', 250)
        c.send(b'HELO ' + octets + b'.test\r\n')
        c.reply()
        c.say('NOOP', 250)


BOMBS = {
    'one line': b'Subject: ' + b'x' * 900_000 + b'\r\n\r\nbomb\r\n',
    'many fields': b''.join(b'X-%d: y\r\n' % n for n in range(60_000)) + b'\r\nbomb\r\n',
    'one field folded': b'Subject: x\r\n' + b' y\r\n' * 200_000 + b'\r\nbomb\r\n',
    'names only': b':\r\n' * 100_000 + b'\r\nbomb\r\n',
    'no body': b'Subject: bomb\r\n' * 50_000,
    'no header': b'bomb ' * 100_000 + b'\r\n',
    'nuls': b'Subject: \0\0\0bomb\r\n\r\n' + b'\0' * 10_000 + b'\r\n',
    'colons': b'A:' * 300_000 + b'\r\n\r\nbomb\r\n',
    'recipients': b'To: ' + b'<a@b.test>, ' * 60_000 + b'\r\n\r\nbomb\r\n',
}


@pytest.mark.parametrize('name', BOMBS)
@pytest.mark.parametrize('door', ['relay', 'submissions'])
def test_header_bombs(hostile, door, name):
    """Taken or refused, without much work, and the next client is served."""
    begin = hostile.cpu_seconds('smtp')
    with Raw(hostile.port[door], tls=door == 'submissions', greeting=220) as c:
        if door == 'submissions':
            c.login('ann@example.org', PASSWORD)
        else:
            c.ehlo()
        c.envelope('ann@example.org' if door == 'submissions' else 'x@elsewhere.test', 'bob@example.org')
        c.say('DATA', 354)
        c.send(BOMBS[name] + b'.\r\n')
        assert c.reply()[:3] in ('250', '550', '552', '554')
        c.say('NOOP', 250)
    assert hostile.cpu_seconds('smtp') - begin < 10
    fence(hostile)


def test_received_fields_without_end_are_a_loop(hostile):
    with Raw(hostile.port['relay'], greeting=220) as c:
        c.ehlo()
        c.envelope('x@elsewhere.test', 'bob@example.org')
        c.say('DATA', 354)
        c.send(b'Received: from a by b; now\r\n' * 20_000 + b'\r\nx\r\n.\r\n')
        assert '5.4.6' in c.expect(554)


@pytest.mark.parametrize('more', ['EHLO evil\r\n', 'MAIL FROM:<ann@example.org>\r\n', 'AUTH PLAIN AGE=\r\nNOOP\r\n', '\r\n', ' '])
def test_what_comes_with_starttls_is_not_obeyed(hostile, more):
    """Commands written before the handshake, in the packet of STARTTLS, are somebody else's (CVE-2011-0411)."""
    with Raw(hostile.port['submission'], greeting=220) as c:
        c.ehlo()
        c.send(f'STARTTLS\r\n{more}')
        reply = c.reply()
        if reply.startswith('220'):
            try:
                c.tls(context())
            except OSError:
                return
            c.send('NOOP\r\n')
            assert c.line() == '250 2.0.0 OK'
        else:
            assert reply[:3] in ('501', '554', '502', '421'), reply
