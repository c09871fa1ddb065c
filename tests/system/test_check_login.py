"""postern check --login: at a Postern, and at servers that are wrong in one way; what it says of each, and that what
goes over the wire unencrypted holds nothing of a login."""
import base64
import json
import os
import subprocess

import pytest
from conftest import PASSWORD
from login_peer import SECRET, TOKEN, USER, certs, is_silent, plain, serve  # noqa: F401
from test_send import pin_of

OK, FAILED, USAGE = 0, 1, 2


@pytest.fixture
def login(binary, certs, tmp_path):
    """login(ports, *args): exit status, what was found as JSON; nothing of a secret is printed."""
    def run(ports, *args, secret=SECRET, user=USER, host='localhost'):
        path = tmp_path / 'secret'
        path.write_text(secret + '\nnot this line\n')
        os.chmod(path, 0o600)
        p = subprocess.run([binary, 'check', '--json', '--no-old-tls', '-4', '--host', '--timeout', '30', '--ca-file', certs['localhost'][0],
                            '-p', ','.join(str(port) for port in ports), '--login', user, '--password-file', str(path), *args, host],
                           capture_output=True, text=True, timeout=300)
        for word in (secret, base64.b64encode(secret.encode()).decode(), plain(user, secret)):
            assert word not in p.stdout + p.stderr
        assert p.stderr == '', p.stderr
        return p.returncode, json.loads(p.stdout)
    return run


def at(found, port):
    return next(p['login'] for p in found['hosts'][0]['ports'] if p['port'] == port)


def codes(found):
    return {f['code'] for f in found['findings']}


# ---- a Postern ----

def at_postern(server, login, *args, **more):
    port = server.port['submission']
    pin = pin_of(server.port['submissions'])
    status, found = login([port], '--pin', pin, *args, host='127.0.0.1', **{'secret': PASSWORD, **more})
    return status, at(found, port), found


def test_at_a_postern(server, login):
    before = server.log_text().count('event=accepted')
    status, told, found = at_postern(server, login)
    assert (status, told['state'], told['reply']['code']) == (OK, 'accepted', 235), told
    assert told['mail_from']['code'] == 250 and told['causes'] == []
    assert 'login' in codes(found)
    assert server.log_text().count('event=accepted') == before  # no message


@pytest.mark.parametrize('mechanism', ['plain', 'login'])
def test_by_a_mechanism(server, login, mechanism):
    status, told, _ = at_postern(server, login, '--mechanism', mechanism)
    assert (status, told['mechanism']) == (OK, mechanism.upper())


def test_as_another_sender(server, login):
    """The login is good; mail of somebody else's address would be refused."""
    status, told, found = at_postern(server, login, '--from', 'bob@example.org')
    assert (status, told['state'], told['mail_from']['code']) == (FAILED, 'accepted', 553), told
    assert told['causes'][0]['cause'] == 'sender-not-allowed'
    assert 'login-sender-refused' in codes(found)


def test_a_wrong_password(server, login):
    ports = [server.port['submission'], server.port['submissions'], server.port['fallback']]
    status, found = login(ports, '--pin', pin_of(server.port['submissions']), secret='a wrong horse', host='127.0.0.1')
    states = [at(found, p)['state'] if at(found, p) else None for p in ports]
    assert status == FAILED and states.count('refused') == 1, states  # once: wrong ones are counted
    assert 'spared' in states
    told = next(at(found, p) for p in ports if at(found, p)['state'] == 'refused')
    assert told['reply']['code'] == 535 and told['causes'][0]['cause'] == 'password-refused'
    assert found['verdict']['answer'] == 'use-pinned'  # the port is as right as before


def test_not_where_the_certificate_is_nobodys(server, login):
    before = server.log_text().count('login')
    status, found = login([server.port['submission']], secret=PASSWORD, host='127.0.0.1')
    told = at(found, server.port['submission'])
    assert (status, told['state']) == (FAILED, 'spared') and 'certificate' in told['why']
    assert server.log_text().count('login') == before


# ---- right and wrong servers ----

@pytest.mark.parametrize('implicit', [False, True])
def test_nothing_of_it_is_readable(serve, login, implicit):
    server, wire = serve(implicit=implicit)
    status, found = login([wire.port])
    told = at(found, wire.port)
    assert (status, told['state'], told['mail_from']['code']) == (OK, 'accepted', 250), told
    assert server.auths() == [(True, b'PLAIN')]  # nobody is there any more
    assert is_silent(wire)
    said = [line for n, _, line in server.lines if n == server.came]
    assert said[-3:] == [f'MAIL FROM:<{USER}>'.encode(), b'RSET', b'QUIT']


@pytest.mark.parametrize('more', [
    {'starttls': False, 'clear': 'PLAIN LOGIN'},                              # a server without encryption
    {'clear': 'PLAIN', 'later': lambda s: setattr(s, 'starttls', False)},     # one that withholds it at the login
    {'mechs': '', 'clear': 'PLAIN LOGIN'},                                    # one that wants it in clear
])
def test_never_in_clear(serve, login, more):
    server, wire = serve(**more)
    status, found = login([wire.port])
    assert status == FAILED
    assert at(found, wire.port) is None or at(found, wire.port)['state'] in ('failed', 'spared')
    assert server.auths() == [] and is_silent(wire)
    if 'later' in more:
        assert 'STARTTLS' in at(found, wire.port)['why']


def test_not_with_another_certificate_than_was_seen(serve, login, certs):
    """Who stands between shows the right one first, and its own when the password is due."""
    server, wire = serve(later=lambda s: s.use(certs['other.test']))
    status, found = login([wire.port])
    told = at(found, wire.port)
    assert (status, told['state']) == (FAILED, 'failed') and 'TLS' in told['why'], told
    assert server.auths() == [] and is_silent(wire)


@pytest.mark.parametrize('pin', ['right', 'wrong'])
def test_a_pin(serve, login, certs, pin):
    server, wire = serve(certificate='other.test', implicit=True)
    digest = pin_of(server.port) if pin == 'right' else 'ab' * 32
    status, found = login([wire.port], '--pin', digest)
    told = at(found, wire.port)
    assert is_silent(wire)
    if pin == 'right':
        assert (status, told['state']) == (OK, 'accepted'), told
    else:
        assert (status, told['state']) == (FAILED, 'failed') and server.auths() == [], told


def test_no_mechanism_in_common(serve, login):
    server, wire = serve(mechs='CRAM-MD5 GSSAPI')
    status, found = login([wire.port])
    told = at(found, wire.port)
    assert (status, told['state']) == (FAILED, 'failed') and 'CRAM-MD5 GSSAPI' in told['why']
    assert told['causes'][0]['cause'] == 'auth-mechanism' and 'login-failed' in codes(found)
    assert server.auths() == []


def test_a_mechanism_that_is_not_offered(serve, login):
    server, wire = serve(mechs='PLAIN')
    status, found = login([wire.port], '--mechanism', 'xoauth2')
    assert status == FAILED and at(found, wire.port)['state'] == 'failed' and server.auths() == []


@pytest.mark.parametrize('mechanism', ['xoauth2', 'oauthbearer'])
@pytest.mark.parametrize('right', [True, False])
def test_a_token(serve, login, mechanism, right):
    server, wire = serve(mechs='XOAUTH2 OAUTHBEARER PLAIN')
    status, found = login([wire.port], '--mechanism', mechanism, secret=TOKEN if right else 'ya29.stale')
    told = at(found, wire.port)
    assert server.auths() == [(True, mechanism.upper().encode())] and is_silent(wire, secret=TOKEN)
    if right:
        assert (status, told['state']) == (OK, 'accepted'), told
    else:
        assert (status, told['state']) == (FAILED, 'refused') and 'invalid_token' in told['before'], told


@pytest.mark.parametrize('refusal, cause', [
    ('535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Tenant', 'smtp-auth-off'),
    ('534 5.7.9 Application-specific password required', 'app-password'),
    ('535 5.7.139 Authentication unsuccessful, basic authentication is disabled.', 'oauth-required'),
    ('454 4.7.0 Too many login attempts, please try again later', 'login-blocked'),
    ('535 Incorrect authentication data', 'password-refused'),
    ('504 5.7.4 Unrecognized authentication type', 'auth-mechanism'),
])
def test_what_a_refusal_means(serve, login, refusal, cause):
    _, wire = serve(refusal=refusal)
    status, found = login([wire.port], secret='xyzzy-7')
    told = at(found, wire.port)
    assert (status, told['state'], told['reply']['code']) == (FAILED, 'refused', int(refusal[:3]))
    assert told['causes'][0]['cause'] == cause, told['causes']


def test_a_port_that_takes_it_and_one_that_does_not(serve, login):
    """Of the mechanism at one port, not of the password: the other one is to be used."""
    _, odd = serve(refusal='504 5.7.4 no such mechanism', users={})
    _, good = serve()
    status, found = login([odd.port, good.port], secret=SECRET)
    assert at(found, good.port)['state'] == 'accepted'
    assert found['verdict']['use']['port'] == good.port and status == OK


# ---- monitoring, and wrong usage ----

def test_expected(serve, login):
    _, wire = serve()
    status, found = login([wire.port], '--expect', f'{wire.port}:starttls,login')
    assert status == OK and found['expected']
    status, found = login([wire.port], '--expect', f'{wire.port}:starttls,login', secret='xyzzy-7')
    assert status == FAILED and found['unmet'][0]['why'] == 'login: 535 wrong'


@pytest.mark.parametrize('args, words', [
    (['--expect', '587:login', 'x.test'], 'needs --login'),
    (['--login', 'ann', '--mx', 'x.test'], '--login goes without'),
    (['--password-file', '/dev/null', 'x.test'], 'belong to --login'),
    (['--login', 'ann', '--pin', 'abc', 'x.test'], 'not understood'),
    (['--login', 'ann', '--mechanism', 'cram-md5', 'x.test'], 'not understood'),
    (['--login', 'ann', '--from', 'not an address', 'x.test'], 'that is no address'),
])
def test_wrong_usage(binary, args, words):
    p = subprocess.run([binary, 'check', *args], capture_output=True, text=True, timeout=300)
    assert p.returncode == USAGE and words in p.stderr, p.stderr


def test_no_terminal_and_no_file(binary):
    """The password is asked for there, or read from a file; it is never an argument."""
    p = subprocess.run([binary, 'check', '--login', 'ann', 'localhost'], capture_output=True, text=True, timeout=300,
                       stdin=subprocess.DEVNULL, start_new_session=True, env={k: v for k, v in os.environ.items() if k != 'POSTERN_PASSWORD_FILE'})
    assert p.returncode == FAILED and '--password-file' in p.stderr


def test_for_people(serve, binary, certs, tmp_path):
    _, wire = serve(refusal='534 5.7.9 Application-specific password required')
    (tmp_path / 'secret').write_text('xyzzy-7\n')
    p = subprocess.run([binary, 'check', '--no-old-tls', '-4', '--host', '--ca-file', certs['localhost'][0], '-p', str(wire.port), '--login',
                        'ann', '--password-file', str(tmp_path / 'secret'), 'localhost'], capture_output=True, text=True, timeout=300)
    assert p.returncode == FAILED
    for words in ('Login as ann', '534 5.7.9 Application-specific password required', 'Make an app password', 'no whole address',
                  f'Use localhost, port {wire.port}, encryption "STARTTLS"', 'nodemailer'):
        assert words in ' '.join(p.stdout.split()), p.stdout
    assert all(len(line) <= 80 for line in p.stdout.splitlines()), p.stdout
