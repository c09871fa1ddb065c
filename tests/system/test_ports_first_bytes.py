"""The wrong-port table, byte for byte: what comes first on a connection, and what it leads to."""
import base64
import json
import socket
import time

import pytest
from raw import PASSWORD, TIMEOUT, Raw

ANN = 'ann@example.org'


def counted(server):
    """Greetings at submission, of one process."""
    smtp = next(r for r in server.json('status')['roles'] if r['role'] == 'smtp')
    one = next(one for one in smtp['listeners'] if one['name'] == 'submission')
    return {'held': one['greetings_held'], 'held_briefly': one['greetings_held_briefly']}


def status_of(server, listener):
    """The listener's counters, summed over all processes."""
    total = {}
    for role in json.loads(server.cli('status', '--json').stdout)['roles']:
        for one in role['listeners'] if role['role'] == 'smtp' else []:
            if one['name'] == listener:
                for key, n in one['mishaps'].items():
                    total[key] = total.get(key, 0) + n
    return total


@pytest.fixture(scope='module')
def patient(make_server):
    """On a loaded machine even the first byte of a client may take longer than the 250 ms of the default."""
    with make_server({'listeners': {name: {'greeting_hold': '10s'} for name in ('submission', 'fallback')}}) as s:
        s.cli('domain', 'add', 'example.org')
        for address in (ANN, 'bob@example.org'):
            s.account(address, PASSWORD)
        yield s


@pytest.fixture(scope='module')
def explaining(make_server):
    """As a site has it that wants its clients set up properly; with a hold on 25, too."""
    listeners = {'submission': {'wrong_port': 'explain', 'greeting_hold': '10s'}, 'relay': {'greeting_hold': '10s'},
                 'submissions': {'tls_timeout': '1s'}}
    with make_server({'listeners': listeners}) as s:
        yield s


@pytest.mark.parametrize('name', ['submission', 'fallback'])
def test_tls_first_is_served(patient, name):
    server = patient
    with Raw(server.port[name], tls=True, greeting=220) as c:
        assert 'STARTTLS' not in c.ehlo()
        c.login(ANN, PASSWORD)
        c.message(ANN, 'bob@example.org', f'Subject: TLS first on {name}\n\nhello')
    assert b'with ESMTPSA' in server.wait_message('bob@example.org', f'TLS first on {name}'.encode())
    line = server.wait_log(f'kind=tls-on-starttls listener={name}')
    assert 'served=1' in line and 'account=ann@example.org' in line


@pytest.mark.parametrize('name,words', [
    ('submission', 'set the connection security to STARTTLS'),
    ('relay', 'is for servers'),
])
def test_tls_first_is_explained_inside_tls(explaining, name, words):
    with Raw(explaining.port[name], tls=True) as c:
        reply = c.expect('554 5.7.0')
        assert words in reply and f'port {explaining.port[name]}' in reply and '\n' not in reply
        assert c.at_end()


@pytest.mark.parametrize('first', [b'EHLO client.test\r\n', b'Q', b'GET / HTTP/1.1\r\n\r\n', b'\0'])
def test_plain_on_465(server, first):
    with Raw(server.port['submissions']) as c:
        c.send(first)
        reply = c.expect('554 5.7.0')
        assert 'SSL/TLS' in reply and f'port {server.port["submission"]} with STARTTLS' in reply
        assert '\n' not in reply and c.at_end()


def test_plain_on_465_answer_survives_what_else_is_sent(server):
    """A pipelining client has more on the way when we close: no reset may eat the reply."""
    for _ in range(20):
        with Raw(server.port['submissions']) as c:
            c.send(b'EHLO client.test\r\n')
            c.send(b'MAIL FROM:<a@b.test>\r\n' * 1000)
            time.sleep(0.01)
            c.expect('554 5.7.0')


def test_silence_on_465(server):
    begin = time.monotonic()
    with Raw(server.port['submissions']) as c:
        c.expect('554 5.7.0')
        assert 7.5 < time.monotonic() - begin < 40
        assert c.at_end()


def test_half_a_hello_on_465(explaining):
    with Raw(explaining.port['submissions']) as c:
        c.send(b'\x16\x03\x01\x02')
        assert c.line() == ''


def test_hello_byte_by_byte(server):
    """However slowly it comes, within the hold's reach it is one hello."""
    import ssl

    from raw import context
    sock = socket.create_connection(('127.0.0.1', server.port['submissions']), TIMEOUT)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = context().wrap_bio(incoming, outgoing)
    while True:
        try:
            tls.do_handshake()
            break
        except ssl.SSLWantReadError:
            for byte in outgoing.read():
                sock.sendall(bytes([byte]))
            incoming.write(sock.recv(65536))
    sock.sendall(outgoing.read())
    sock.close()


def test_greeting_is_held_then_not(make_server):
    """For an address that nobody knows; once it began in clear it is greeted at once."""
    with make_server({'smtp_processes': 1, 'listeners': {'submission': {'greeting_hold': '5s'}}}) as s:
        def held():
            """The seconds until it is greeted; and as the server has it: whether it was made to wait so long."""
            before, begin = counted(s), time.monotonic()
            with Raw(s.port['submission'], greeting=220) as c:
                took = time.monotonic() - begin
                c.ehlo()
                c.say('QUIT', 221)
            after = counted(s)
            return took, {key: after[key] - before[key] for key in after}
        took, how = held()
        assert took >= 4.9 and how == {'held': 1, 'held_briefly': 0}
        took, how = held()
        assert how == {'held': 0, 'held_briefly': 1}
        # A client there that speaks TLS first is too late once, and heard from then on.
        with Raw(s.port['submission'], greeting=220) as c:
            c.send(b'\x16\x03\x01\x00\xc0\x01\x00\x00\xbc\x03\x03')
            c.expect('554 5.7.0')
            assert c.at_end()
        s.wait_log('kind=tls-too-late listener=submission')
        with Raw(s.port['submission'], tls=True, greeting=220):
            pass
        took, how = held()
        assert took >= 4.9 and how == {'held': 1, 'held_briefly': 0}


def test_talking_before_the_greeting_goes_on_in_clear(server):
    with Raw(server.port['submission']) as c:
        c.send(b'EHLO client.test\r\n')
        c.expect(220)
        c.expect(250)


def test_http(server):
    for name in ('relay', 'submission'):
        with Raw(server.port[name]) as c:
            c.send(b'GET / HTTP/1.1\r\nHost: mx.example.org\r\n\r\n')
            c.expect(220)
            c.expect(421)
            assert c.at_end()
    assert status_of(server, 'relay')['not-smtp'] >= 1


def test_password_in_clear(server, password):
    with Raw(server.port['submission'], greeting=220) as c:
        c.ehlo()
        reply = c.login(ANN, password, '538 5.7.11')
        assert 'your password was sent unencrypted, change it' in reply and '\n' not in reply
        # Nothing tells whether the account exists.
        assert c.login('nobody@example.org', 'x', '538 5.7.11') == reply
    assert status_of(server, 'submission')['password-in-clear'] >= 1


@pytest.mark.parametrize('port', ['relay', 'submission', 'fallback'])
@pytest.mark.parametrize('how, lines', [('name', 'AUTH LOGIN|NAME|SECRET'), ('secret', 'AUTH LOGIN NAME|SECRET'), ('both', 'AUTH PLAIN|BOTH')])
def test_password_sent_without_waiting_for_the_answer(server, password, port, how, lines):
    """It is refused before the client says it, but the client does not look."""
    account = f'{port}-{how}@example.org'
    server.account(account, password)

    def b64(text):
        return base64.b64encode(text.encode()).decode()

    for words in (('NAME', b64(account)), ('SECRET', b64(password)), ('BOTH', b64(f'\0{account}\0{password}'))):
        lines = lines.replace(*words)
    with Raw(server.port[port], greeting=220) as c:
        c.ehlo()
        c.send(lines.replace('|', '\r\n') + '\r\n')
        replies = [c.reply() for _ in lines.split('|')]
        assert replies[-1].startswith('503 5.5.1' if port == 'relay' else '538 5.7.11 your password was sent unencrypted')
    deadline = time.monotonic() + TIMEOUT
    while server.json('account', 'show', account).get('exposed_listener') != port:
        assert time.monotonic() < deadline, 'the account was not marked'
        time.sleep(0.05)
    assert b64(password) not in server.log_text() and password not in server.log_text()


def test_bytes_behind_starttls(server):
    """CVE-2011-0411: commands sent in clear must not be obeyed inside TLS."""
    for name in ('relay', 'submission', 'fallback'):
        with Raw(server.port[name], greeting=220) as c:
            c.ehlo()
            c.send(b'STARTTLS\r\nEHLO injected.test\r\n')
            c.expect(554)
            assert c.at_end()


def test_bytes_between_220_and_the_handshake(server):
    """What is no TLS ends the handshake; it is never read as a command."""
    with Raw(server.port['relay'], greeting=220) as c:
        c.ehlo()
        c.say('STARTTLS', 220)
        c.send(b'MAIL FROM:<injected@elsewhere.test>\r\n')
        assert not c.line().startswith('250')
