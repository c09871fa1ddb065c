"""postern send: certificates, fingerprints, mechanisms and providers, right and wrong; what goes over the wire when it
is wrong; and what it says of a failure."""
import base64
import hashlib
import json
import os
import ssl
import subprocess

import pytest
from server import PATIENCE
from login_peer import SECRET, TOKEN, USER, Server, certs, is_silent, plain, serve  # noqa: F401
from test_tls import make_certificate

OK, REFUSED, USAGE = 0, 1, 2


@pytest.fixture
def send(binary, tmp_path):
    """send(url, *args): exit status, output, errors on one line; nothing of the secret is in them."""
    def run(url, *args, secret=SECRET, hosts=None, program=()):
        path = tmp_path / 'secret'
        path.write_text(secret + '\n')
        os.chmod(path, 0o600)
        env = {k: v for k, v in os.environ.items() if not k.startswith('POSTERN_')}
        p = subprocess.run([*program, binary, 'send', *(['--url', url] if url else []), '--password-file', str(path), '--timeout', '30', '--to',
                            'bob@example.net', '--text', 'x', *args], capture_output=True, text=True, timeout=2 * PATIENCE,
                           env={**env, 'POSTERN_RUNTIME_DIR': '/nonexistent'})
        for word in (secret, base64.b64encode(secret.encode()).decode(), plain(USER, secret)):
            assert word not in p.stdout + p.stderr
        return p.returncode, p.stdout, p.stderr
    return run


def url(wire, implicit=False, user=USER):
    return f'smtp{"s" if implicit else ""}://{user}{"@" if user else ""}localhost:{wire.port}'


def fingerprint(file):
    with open(file) as f:
        return hashlib.sha256(ssl.PEM_cert_to_DER_cert(f.read())).hexdigest()


# ---- certificates ----

# The server's certificate, what the user says, whether it is right, and words of what is said where it is not.
@pytest.mark.parametrize('implicit', [False, True])
@pytest.mark.parametrize('certificate, options, right, words', [
    ('localhost', ['--ca-file', 'localhost'], True, ''),
    ('localhost', [], False, "the server's certificate is self-signed"),
    ('localhost', ['--ca-file', 'other.test'], False, "the server's certificate is self-signed"),
    ('other.test', ['--ca-file', 'other.test'], False, 'is not for localhost, but for other.test'),
    ('other.test', ['--pin', 'other.test'], True, ''),
    ('other.test', ['--pin', 'localhost'], False, 'fingerprint'),
    ('localhost', ['--ca-file', 'localhost', '--pin', 'other.test'], False, 'fingerprint'),  # the pin counts
])
def test_certificates(serve, send, certs, implicit, certificate, options, right, words):
    server, wire = serve(certificate, implicit=implicit)
    args = []
    for i, o in enumerate(options):
        args.append(o if i % 2 == 0 else certs[o][0] if options[i - 1] == '--ca-file' else fingerprint(certs[o][0]))
    status, out, err = send(url(wire, implicit), *args)
    assert is_silent(wire)
    if right:
        assert status == OK and server.auths() == [(True, b'PLAIN')], err
        return
    assert status == REFUSED and words in err, err
    assert server.auths() == [] and 'no password said' in ' '.join(err.split()) and f'postern check localhost -p {wire.port}' + (f' --ca-file {args[1]}\n' if '--ca-file' in args else '\n') in err


# ---- mechanisms ----

@pytest.mark.parametrize('mechanism, secret', [('plain', SECRET), ('login', SECRET), ('xoauth2', TOKEN), ('oauthbearer', TOKEN)])
def test_mechanisms(serve, send, certs, mechanism, secret):
    server, wire = serve(mechs='PLAIN LOGIN XOAUTH2 OAUTHBEARER')
    status, out, err = send(url(wire), '--ca-file', certs['localhost'][0], '--mechanism', mechanism, secret=secret)
    assert status == OK, err
    assert server.auths() == [(True, mechanism.upper().encode())] and is_silent(wire, secret=secret)


@pytest.mark.parametrize('offered, mechanism', [('PLAIN LOGIN', 'scram-sha-256'), ('PLAIN', 'login'), ('CRAM-MD5', 'auto'),
                                                ('LOGIN', 'xoauth2')])
def test_a_mechanism_that_is_not_offered(serve, send, certs, offered, mechanism):
    server, wire = serve(mechs=offered)
    status, out, err = send(url(wire), '--ca-file', certs['localhost'][0], '--mechanism', mechanism)
    assert status == REFUSED and offered in err and server.auths() == [] and is_silent(wire)


def test_a_mechanism_that_is_none(send):
    status, out, err = send('smtp://us@localhost', '--mechanism', 'cram-md5')
    assert status == USAGE and 'cram-md5' in err


# ---- what is said of a failure ----

@pytest.mark.parametrize('refusal, words', [
    ('535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Tenant', 'An administrator switches it on'),
    ('534 5.7.9 Application-specific password required', 'Make an app password'),
    ('454 4.7.0 Too many login attempts, please try again later', 'wait an hour'),
    ('535 5.0.0 Incorrect authentication data', 'the user name must be the whole address'),
])
def test_a_refusal_is_explained(serve, send, certs, refusal, words):
    _, wire = serve(refusal=refusal, users={})
    status, out, err = send(url(wire), '--ca-file', certs['localhost'][0])
    assert status == REFUSED and refusal.split(' ', 2)[2] in err
    assert words in ' '.join(err.split()), err
    assert f'postern check localhost -p {wire.port} --login {USER} --ca-file {certs["localhost"][0]}\n' in err
    assert all(len(line) <= 80 for line in err.splitlines()[1:-1]), err  # the call stands on one line


def test_a_sender_that_is_not_taken(serve, send, certs):
    _, wire = serve(sender='553 5.7.1 Sender address rejected: not owned by user')
    status, out, err = send(url(wire), '--ca-file', certs['localhost'][0])
    assert status == REFUSED and 'bob@example.net was refused: 553 5.7.1' in err
    assert "Send from the account's own address" in err and f'postern check localhost -p {wire.port} --login {USER} --ca-file {certs["localhost"][0]}\n' in err


def test_a_user_that_needs_quotes(serve, send, certs):
    _, wire = serve()
    status, out, err = send(url(wire, user="o'neill%20$HOME"), '--from', USER, '--ca-file', certs['localhost'][0])
    assert status == REFUSED and "--login 'o'\\''neill $HOME' --ca-file " in err, err


def test_tls_at_the_wrong_port(serve, send, certs):
    _, wire = serve(implicit=False)
    status, out, err = send(url(wire, implicit=True), '--ca-file', certs['localhost'][0])
    assert status == REFUSED and 'encryption begins later, with STARTTLS' in ' '.join(err.split()), err


def test_nobody_there(send):
    status, out, err = send('smtp://us@localhost:1', '--from', USER)
    assert status == 3 and 'nobody listens on this port' in ' '.join(err.split()) and 'postern check localhost -p 1\n' in err


def test_no_log_of_a_server(serve, send, certs):
    """What lanes write into a server's log is not for who sends."""
    _, wire = serve(starttls=False, clear='PLAIN')
    status, out, err = send(url(wire), '--ca-file', certs['localhost'][0])
    assert status == REFUSED and 'event=' not in err and 'STARTTLS' in err


def test_as_json(serve, send, certs):
    _, wire = serve(refusal='534 5.7.9 Application-specific password required', users={})
    status, out, err = send(url(wire), '--ca-file', certs['localhost'][0], '--json')
    told = json.loads(out)
    assert (status, told['causes'][0]['cause']) == (REFUSED, 'app-password')
    assert told['check'] == f'postern check localhost -p {wire.port} --login {USER} --ca-file {certs["localhost"][0]}'
    assert told['recipients'][0]['causes'] == told['causes']


# ---- providers ----

@pytest.mark.parametrize('args, words', [
    (['--provider', 'gmial', '--user', 'us'], 'no such provider is known'),
    (['--provider', 'gmail'], 'Gmail and Google Workspace: which user? --user: the whole address'),
    (['--provider', 'mailjet'], 'Mailjet: which user? --user: the API key'),
    (['--provider', 'gmail', '--user', 'us', '--url', 'smtp://x'], '--provider goes without --url'),
    (['--user', 'us@example.org'], 'no such provider is known'),
    (['--user', 'us', '--url', 'smtp://you@localhost'], 'the URL names one already'),
])
def test_wrong_usage(send, args, words):
    status, out, err = send(None, *args, '--from', USER)
    assert status == USAGE and words in err, err


@pytest.mark.parametrize('args, user', [(['--provider', 'gmail', '--user', 'us@gmail.com'], 'us@gmail.com'),
                                        (['--provider', 'us@gmx.de'], 'us@gmx.de'), (['--user', 'us@fastmail.com'], 'us@fastmail.com')])
def test_the_user_is_the_sender(send, args, user):
    status, out, err = send(None, *args, '--dry-run')
    assert status == OK and f'From: {user}\n' in out.replace('\r', '')


def test_a_user_beside_the_url(serve, send, certs):
    server, wire = serve()
    status, out, err = send(url(wire, user=''), '--user', USER, '--ca-file', certs['localhost'][0])
    assert status == OK and server.auths() == [(True, b'PLAIN')], err


# host, ports that are open, port that is used: the provider's own order.
@pytest.mark.skipif(os.getuid() != 0, reason='a name of its own needs a mount namespace')
@pytest.mark.parametrize('args, host, ports, used', [
    (['--provider', 'fastmail', '--user', USER], 'smtp.fastmail.com', [465, 587], 465),
    (['--provider', 'gmail.com', '--user', USER], 'smtp.gmail.com', [465, 587], 587),
    (['--provider', 'gmail', '--user', USER], 'smtp.gmail.com', [465], 465),
    (['--provider', 'ann@aol.com', '--user', USER], 'smtp.aol.com', [587], 587),
])
def test_a_provider(send, tmp_path, args, host, ports, used):
    kind = ('ec', '-pkeyopt', 'ec_paramgen_curve:P-256')
    cert = make_certificate(tmp_path, host, [host], *kind)
    address = f'127.{os.getpid() % 200 + 30}.{os.getpid() // 200 % 256}.7'
    (tmp_path / 'hosts').write_text(f'127.0.0.1 localhost\n{address} {host}\n')
    servers = {p: Server(cert, implicit=p == 465, address=(address, p), refusal='534 5.7.9 Application-specific password required') for p in ports}
    inside = ['unshare', '-m', 'sh', '-c', f'mount --bind {tmp_path}/hosts /etc/hosts && exec "$@"', 'x']
    try:
        status, out, err = send(None, *args, '--ca-file', cert[0], program=inside)
        assert status == OK and f'port {used}' in out, err
        assert {p: len(s.auths()) for p, s in servers.items()} == {p: int(p == used) for p in ports}
        status, out, err = send(None, *args, '--ca-file', cert[0], program=inside, secret='wrong horse')
        assert status == REFUSED and f'postern check {host} --login {USER} --ca-file {cert[0]}\n' in err
        assert 'password made for programs' in ' '.join(err.split()), err  # the provider's rule
    finally:
        for s in servers.values():
            s.close()


def test_the_call_does_what_it_says(serve, send, certs, binary):
    """Copied, it looks at the same server, believes it as much, and logs in the same way."""
    _, wire = serve('other.test', mechs='PLAIN LOGIN', refusal='535 5.7.8 wrong', users={})
    status, out, err = send(url(wire), '--pin', fingerprint(certs['other.test'][0]), '--mechanism', 'login')
    call = next(line for line in err.splitlines() if 'sure?' in line).split()[1:]
    p = subprocess.run([binary, *call[1:], '--password-file', '/dev/stdin', '--no-old-tls', '-4'], input=SECRET + '\n', capture_output=True, text=True,
                       timeout=2 * PATIENCE)
    assert 'refused  LOGIN: 535 5.7.8 wrong' in p.stdout, p.stdout + p.stderr
