"""SMTP smuggling, end to end: only CRLF.CRLF ends a message, and what is delivered
is one message with no bare CR or LF in it."""
import itertools
import time

import pytest
from raw import PASSWORD, TIMEOUT, Raw

# Ends of data that some server somewhere took for one (CVE-2023-51764 and its kin).
FALSE_ENDS = ['\n.\n', '\n.\r\n', '\r\n.\n', '\r.\r', '\r.\r\n', '\r\n.\r', '\n.\r', '\r\r\n.\r\r\n', '\r\n\0.\r\n', '\r\n.\r\r\n']
SECOND = 'MAIL FROM:<smuggled@example.org>\r\nRCPT TO:<bob@example.org>\r\nDATA\r\nSubject: smuggled\r\n\r\nevil\r\n.\r\n'

serial = itertools.count()


@pytest.fixture(scope='module', params=['refuse', 'fix'])
def either(request, make_server):
    with make_server({'listeners': {'relay': {'bare_line_ends': request.param}}}) as s:
        s.cli('domain', 'add', 'example.org')
        s.account('bob@example.org', PASSWORD)
        s.account('fence@example.org', PASSWORD)
        yield s


def fence(server):
    """All that was accepted before is delivered when this is."""
    mark = f'Subject: fence {next(serial)} end'
    with Raw(server.port['relay'], greeting=220) as c:
        c.ehlo()
        c.message('', 'fence@example.org', f'{mark}\n\nx')
    server.wait_message('fence@example.org', mark.encode())
    deadline = time.monotonic() + TIMEOUT
    while server.json('queue', 'list'):
        assert time.monotonic() < deadline, server.json('queue', 'list')
        time.sleep(0.02)


def bare(message):
    rest = message.replace(b'\r\n', b'')
    return b'\r' in rest


@pytest.mark.parametrize('end', FALSE_ENDS, ids=repr)
def test_data(either, end):
    before = len(either.messages('bob@example.org'))
    with Raw(either.port['relay'], greeting=220) as c:
        c.ehlo()
        c.envelope('x@elsewhere.test', 'bob@example.org')
        c.say('DATA', 354)
        c.send(f'Subject: outer\r\n\r\nhello{end}{SECOND}')
        reply = c.reply()
        assert reply[0] in '25'
        # One message, one reply: nothing of the second was obeyed.
        c.say('NOOP', 250)
    fence(either)
    came = either.messages('bob@example.org')[before:]
    assert len(came) == (1 if reply[0] == '2' else 0)
    for m in came:
        assert b'Return-Path: <x@elsewhere.test>' in m and b'evil' in m and not bare(m)


def test_bdat_takes_dots_as_they_come(either):
    body = b'Subject: dots\r\n\r\n.\r\n..\r\n.x\r\nend of dots\r\n'
    with Raw(either.port['relay'], greeting=220) as c:
        c.ehlo()
        c.envelope('x@elsewhere.test', 'bob@example.org')
        c.send(b'BDAT %d LAST\r\n' % len(body) + body)
        c.expect('250 2.0.0')
    m = either.wait_message('bob@example.org', b'end of dots').replace(b'\r\n', b'\n')
    assert m.endswith(b'\n\n.\n..\n.x\nend of dots\n')


def test_dots_are_unstuffed_once(either):
    with Raw(either.port['relay'], greeting=220) as c:
        c.ehlo()
        c.message('x@elsewhere.test', 'bob@example.org', 'Subject: stuffing\n\n.\n..\n...x\nend of stuffing')
    m = either.wait_message('bob@example.org', b'end of stuffing').replace(b'\r\n', b'\n')
    assert m.endswith(b'\n\n.\n..\n...x\nend of stuffing\n')


@pytest.mark.parametrize('line', [b'MAIL FROM:<a@b.test>\nRCPT TO:<bob@example.org>\r\n', b'NOOP\rNOOP\r\n', b'NO\0OP\r\n'],
                         ids=repr)
def test_commands(either, line):
    with Raw(either.port['relay'], greeting=220) as c:
        c.ehlo()
        c.send(line)
        c.expect(500)
        c.say('RCPT TO:<bob@example.org>', 503)


def test_whole_session_in_one_write(either):
    with Raw(either.port['relay']) as c:
        c.send('EHLO client.test\r\nMAIL FROM:<>\r\nRCPT TO:<bob@example.org>\r\nDATA\r\n')
        for code in (220, 250, 250, 250, 354):
            c.expect(code)
        c.send('Subject: pipelined\r\n\r\nx\r\n.\r\nQUIT\r\n')
        c.expect('250 2.0.0')
        c.expect(221)
        assert c.at_end()
    either.wait_message('bob@example.org', b'Subject: pipelined')


@pytest.mark.parametrize('size', [0, 1, 4095, 16384, 300_000, 5_000_000])
def test_what_comes_is_what_is_delivered(either, size):
    """Through credit, chunks and the spool, small and large."""
    body = (f'{size} begin\r\n' + 'line of text, 0123456789\r\n' * (size // 26) + 'x' * (size % 26) + '\r\nthe end\r\n').encode()
    with Raw(either.port['relay'], greeting=220) as c:
        c.ehlo()
        c.envelope('x@elsewhere.test', 'bob@example.org')
        c.say('DATA', 354)
        c.send(f'Subject: size {size};\r\n\r\n'.encode() + body + b'.\r\n')
        c.expect('250 2.0.0')
    m = either.wait_message('bob@example.org', f'Subject: size {size};'.encode())
    assert m.replace(b'\r\n', b'\n').split(b'\n\n', 1)[1] == body.replace(b'\r\n', b'\n')
