"""No password stays in the memory of any process, whatever way it came, and none comes to the log."""
import base64
import time

import pytest
from raw import Raw

NAME = 'ann@example.org'
SECRET = 'Zq9-unusual-secret-77'
PIECE = 1 << 24


def b64(text):
    return base64.b64encode(text.encode()).decode()


def memory(pid):
    """All that the process has written or may write, piece by piece."""
    with open(f'/proc/{pid}/maps') as f:
        maps = [line.split() for line in f]
    with open(f'/proc/{pid}/mem', 'rb', 0) as mem:
        for span, mode, *_ in maps:
            at, end = (int(x, 16) for x in span.split('-'))
            if 'w' not in mode or end - at > 1 << 34:  # the sanitizer's shadow holds no data
                continue
            while at < end:
                try:
                    mem.seek(at)
                    piece = mem.read(min(PIECE, end - at))
                except OSError:
                    break
                yield piece
                at += PIECE


def found(server, words):
    """Those of the words that lie in the memory of the two processes that see passwords."""
    return {w for r in server.json('status')['roles'] if r['role'] in ('smtp', 'keeper')
            for piece in memory(r['pid']) for w in words if w.encode() in piece}


@pytest.fixture(scope='module')
def small(make_server):
    with make_server({'smtp_processes': 1}) as s:
        try:
            for r in s.json('status')['roles']:
                next(memory(r['pid']), None)
        except PermissionError:
            pytest.skip('other processes\' memory may not be read here')
        s.cli('domain', 'add', 'example.org')
        s.account(NAME, SECRET)
        yield s


# What the client sends at once, where, and the last reply.
CASES = {
    'plain': ('submissions', True, ['AUTH PLAIN BOTH'], '235'),
    'plain-asked': ('submissions', True, ['AUTH PLAIN', 'BOTH'], '235'),
    'login': ('submissions', True, ['AUTH LOGIN', 'NAME', 'SECRET'], '235'),
    'clear': ('submission', False, ['AUTH PLAIN BOTH'], '538'),
    'clear-unasked': ('submission', False, ['AUTH LOGIN', 'NAME', 'SECRET'], '538'),
    'clear-on-relay': ('relay', False, ['AUTH PLAIN BOTH'], '503'),
    'no-command-at-all': ('submission', False, ['SECRET', 'BOTH'], '500'),
    'wrong-mechanism': ('submissions', True, ['AUTH CRAM-MD5 BOTH'], '504'),
    'cut-off': ('submissions', True, ['AUTH PLAIN BOTH\r'], '500'),
}


@pytest.mark.parametrize('case', CASES)
def test_no_password_stays(small, case):
    port, tls, lines, reply = CASES[case]
    with Raw(small.port[port], tls=tls, greeting=220) as c:
        c.ehlo()
        for line in lines:
            for words in (('BOTH', b64(f'\0{NAME}\0{SECRET}')), ('NAME', b64(NAME)), ('SECRET', b64(SECRET))):
                line = line.replace(*words)
            c.send(line + '\r\n')
        last = [c.reply() for _ in lines][-1]
        assert last.startswith(reply)
        # Of the last text a part that does not depend on where it begins.
        words = {NAME, SECRET, b64(SECRET)[:20], b64(f'\0{NAME}\0{SECRET}')[24:44]}
        deadline = time.monotonic() + 60  # keeper may hear of an exposed password after the client
        while (held := found(small, words)) - {NAME} and time.monotonic() < deadline:
            pass
        assert not held - {NAME}, 'while the session goes on'
    if reply == '235':
        assert held == {NAME}, 'the search finds nothing at all'
    assert SECRET not in small.log_text() and b64(SECRET) not in small.log_text()
