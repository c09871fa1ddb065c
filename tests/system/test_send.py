"""postern send, against a Postern, and against servers that are wrong in one way: what it says, its exit status,
and above all what it never says to whom."""
import base64
import email
import email.policy
import hashlib
import json
import os
import random
import socket
import ssl
import subprocess
import threading
import time

import pytest
from conftest import PASSWORD
from server import PATIENCE
from smtp_peer import SmtpPeer
from test_tls import make_certificate

OK, REFUSED, USAGE, NO_SERVER, LATER = 0, 1, 2, 3, 75
SECRET = 'a secret of this user'


@pytest.fixture
def secret(tmp_path):
    """secret(text): a file whose first line that is."""
    def write(text=PASSWORD):
        path = tmp_path / 'password'
        path.write_text(text + '\nnot this line\n')
        os.chmod(path, 0o600)
        return str(path)
    return write


@pytest.fixture
def send(binary):
    """send(*args): exit status, output, errors; PASSWORD is in neither."""
    def run(*args, stdin=None, env=None):
        base = {k: v for k, v in os.environ.items() if not k.startswith('POSTERN_')}
        base.update({'POSTERN_RUNTIME_DIR': '/nonexistent'}, **(env or {}))
        p = subprocess.run([binary, 'send', *args], input=stdin, capture_output=True, text=True, timeout=120,
                           env=base)
        said = p.stdout + p.stderr
        for secret in (PASSWORD, SECRET):
            plain = base64.b64encode(b'\0us\0' + secret.encode()).decode()
            assert secret not in said and plain not in said and base64.b64encode(secret.encode()).decode() not in said
        return p.returncode, p.stdout, p.stderr
    return run


def pin_of(port):
    """The fingerprint of the certificate at this port of 127.0.0.1."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with socket.create_connection(('127.0.0.1', port)) as s, context.wrap_socket(s) as tls:
        return hashlib.sha256(tls.getpeercert(binary_form=True)).hexdigest()


def received(server, subject, timeout=PATIENCE):
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        for raw in server.messages('bob@example.org'):
            m = email.message_from_bytes(raw, policy=email.policy.default)
            if m['Subject'] == subject:
                return m
        time.sleep(0.05)
    raise AssertionError(f'{subject} did not come')


# ---- a Postern ----

@pytest.mark.parametrize('scheme, listener', [('smtp', 'submission'), ('smtps', 'submissions'), ('smtp', 'fallback')])
def test_to_a_postern(server, send, secret, scheme, listener):
    subject = f'by {listener} {random.randrange(1 << 40)}'
    url = f'{scheme}://ann%40example.org@127.0.0.1:{server.port[listener]}'
    status, out, err = send('--url', url, '--password-file', secret(), '--pin', pin_of(server.port['submissions']),
                            '--to', 'bob@example.org', '--subject', subject, '--text', 'Grüße\n', '-v')
    assert (status, out.count('sent to 1 of 1')) == (OK, 1), err
    assert 'verified' in out
    m = received(server, subject)
    assert m['From'] == 'ann@example.org' and m.get_content() == 'Grüße\n'


def test_attachment_and_blind_copy(server, send, secret, tmp_path):
    subject = f'with a file {random.randrange(1 << 40)}'
    data = random.randbytes(3 << 20)  # more than fits into memory of a lane
    (tmp_path / 'data.bin').write_bytes(data)
    (tmp_path / 'page.html').write_text('<p>hello</p>')
    status, out, err = send('--url', f'smtps://ann@example.org@127.0.0.1:{server.port["submissions"]}',
                            '--password-file', secret(), '--pin', pin_of(server.port['submissions']),
                            '--to', 'Ann <ann@example.org>', '--bcc', 'bob@example.org', '--subject', subject,
                            '--text', 'see there', '--html', str(tmp_path / 'page.html'),
                            '--attach', str(tmp_path / 'data.bin'), '--header', 'X-Job: 7')
    assert status == OK, err
    assert 'sent to 2 of 2' in out
    m = received(server, subject)
    assert 'Bcc' not in m and m['X-Job'] == '7'
    part = next(m.iter_attachments())
    assert part.get_filename() == 'data.bin' and part.get_content() == data


def test_a_message_that_is_ready(server, send, secret):
    subject = f'ready {random.randrange(1 << 40)}'
    text = f'From: ann@example.org\nTo: bob@example.org\nSubject: {subject}\n\n.one dot\n.\nend\n'
    status, out, err = send('--url', f'smtps://ann%40example.org@127.0.0.1:{server.port["submissions"]}',
                            '--password-file', secret(), '--pin', pin_of(server.port['submissions']),
                            '--message', '-', stdin=text)
    assert status == OK, err
    m = received(server, subject)
    assert m['Message-ID'] and m.get_content() == '.one dot\n.\nend\n'


def test_the_socket_of_this_machine(server, send):
    """No URL, no login: who runs it is known there by his uid."""
    subject = f'local {random.randrange(1 << 40)}'
    status, out, err = send('--from', 'root@example.org', '--to', 'bob@example.org', '--subject', subject, '-v',
                            env={'POSTERN_RUNTIME_DIR': server.config['runtime_dir']})
    assert status == OK, err
    received(server, subject)


def test_json_and_a_recipient_that_is_none(server, send, secret):
    status, out, err = send('--url', f'smtps://ann%40example.org@127.0.0.1:{server.port["submissions"]}',
                            '--password-file', secret(), '--pin', pin_of(server.port['submissions']), '--json',
                            '--trace', '--to', 'bob@example.org, nobody@example.org', '--text', 'x')
    j = json.loads(out)
    assert status == REFUSED and j['exit'] == REFUSED and not j['sent'] and j['reached']
    assert [(r['address'], r['result'], r['code']) for r in j['recipients']] == [
        ('bob@example.org', 'sent', 250), ('nobody@example.org', 'failed', 550)]
    assert j['security'] == 'verified' and j['failure'] is None
    assert 'C: AUTH' in j['tries'][-1]['transcript'] and 'C: RCPT' in j['tries'][-1]['transcript']


def test_wrong_password(server, send, secret):
    status, out, err = send('--url', f'smtp://ann%40example.org@127.0.0.1:{server.port["submission"]}',
                            '--password-file', secret('not the password'), '--pin', pin_of(server.port['submissions']),
                            '--to', 'bob@example.org', '--text', 'x', '--trace')
    assert status == REFUSED
    assert '535' in err and 'password' in err and 'postern check 127.0.0.1 -p' in err
    assert 'not the password' not in err


def test_a_certificate_of_nobody(server, send, secret):
    status, out, err = send('--url', f'smtps://ann%40example.org@127.0.0.1:{server.port["submissions"]}',
                            '--password-file', secret(), '--to', 'bob@example.org', '--text', 'x', '--trace')
    assert status == REFUSED
    assert '--pin' in err and 'AUTH' not in err and 'postern check 127.0.0.1 -p' in err


# ---- what goes where ----

class Server:
    """On an address of loopback and at the ports of submission; `wrong` says how, and each line that is heard is
    written down with its port, and whether it was in TLS."""

    def __init__(self, folder, ports, wrong=None):
        self.address = f'127.{random.randrange(16, 63)}.{random.randrange(256)}.{random.randrange(1, 255)}'
        self.wrong, self.heard, self.came, self.sockets = wrong, [], [], []
        self.cert, key = make_certificate(folder, 'server', ['server.test'], 'ec', '-pkeyopt',
                                          'ec_paramgen_curve:P-256')
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(self.cert, key)
        for port in ports:
            try:
                s = socket.create_server((self.address, port))
            except PermissionError:
                pytest.skip('the ports of submission are for root')
            self.sockets.append(s)
            threading.Thread(target=self.listen, args=(s, port), daemon=True).start()

    def pin(self):
        with open(self.cert) as f:
            return hashlib.sha256(ssl.PEM_cert_to_DER_cert(f.read())).hexdigest()

    def listen(self, s, port):
        while True:
            try:
                c = s.accept()[0]
            except OSError:
                return
            self.came.append(port)
            threading.Thread(target=self.serve, args=(c, port), daemon=True).start()

    def serve(self, c, port):
        try:
            if port == 465:
                c = self.context.wrap_socket(c, server_side=True)
            self.talk(c, port, port == 465)
        except OSError:
            pass
        finally:
            c.close()

    def talk(self, c, port, tls, greets=True):
        file = c.makefile('rwb')

        def say(*lines):
            file.write(b''.join(line.encode() + b'\r\n' for line in lines))
            file.flush()
        if greets:
            say('220 server.test')
        while line := file.readline().strip():
            self.heard.append((port, tls, line))
            verb = line[:4].upper()
            if verb == b'EHLO':
                offers = 'AUTH PLAIN' if tls or self.wrong == 'no starttls' else 'STARTTLS'
                say('250-server.test', '250 ' + offers)
            elif verb == b'STAR':
                say('220 go')
                self.talk(self.context.wrap_socket(c, server_side=True), port, True, greets=False)
                return
            elif verb == b'AUTH':
                say('535 5.7.8 no' if self.wrong == 'password' else '235 2.7.0 in')
            elif verb == b'RCPT' and self.wrong == 'later':
                say('450 4.7.1 later')
            elif verb == b'DATA':
                say('354 go')
                while file.readline() not in (b'.\r\n', b''):
                    pass
                say('250 2.0.0 taken')
                if self.wrong == 'hangs up':
                    file.readline()  # the next MAIL is under way by then
                    c.close()
                    return
            elif verb == b'QUIT':
                say('221 bye')
                return
            else:
                say('250 2.0.0 ok')

    def close(self):
        for s in self.sockets:
            s.shutdown(socket.SHUT_RDWR)
            s.close()


@pytest.fixture
def serve(tmp_path):
    made = []

    def make(*args, **more):
        made.append(Server(tmp_path, *args, **more))
        return made[-1]
    yield make
    for s in made:
        s.close()


def to(server, *more):
    return ('--url', f'smtp://us@{server.address}', '--from', 'us@server.test', '--to', 'them@server.test',
            '--text', 'x', *more)


def test_the_ports_in_turn(serve, send, secret):
    """Nobody at 587: then 465; and no other."""
    server = serve([465, 2525, 25])
    status, out, err = send(*to(server, '--password-file', secret(SECRET), '--pin', server.pin(), '-v'))
    assert status == OK, err
    assert server.came == [465] and 'port 465' in out
    assert f'{server.address} port 587: refused' in err


def test_never_to_25(serve, send, secret):
    server = serve([25])
    status, out, err = send(*to(server, '--password-file', secret(SECRET), '--pin', server.pin()))
    assert status == NO_SERVER
    assert server.came == [] and f'postern check {server.address}' in err


@pytest.mark.parametrize('wrong, status', [('password', REFUSED), ('certificate', REFUSED)])
def test_never_to_another_port(serve, send, secret, wrong, status):
    """After a password or a certificate that is wrong."""
    server = serve([587, 465, 2525, 25], wrong=wrong)
    pin = '00' * 32 if wrong == 'certificate' else server.pin()
    got, out, err = send(*to(server, '--password-file', secret(SECRET), '--pin', pin))
    assert got == status, err
    assert server.came == [587]
    assert not any(line.startswith(b'MAIL') for _, _, line in server.heard)
    logins = [(tls, line) for _, tls, line in server.heard if line.startswith(b'AUTH')]
    assert [tls for tls, _ in logins] == ([True] if wrong == 'password' else [])


@pytest.mark.parametrize('user', ['us@', ''])
def test_never_in_clear(serve, send, secret, user):
    """A server that offers AUTH, and no STARTTLS, at each port but 465: neither a password nor a message."""
    server = serve([587, 2525], wrong='no starttls')
    status, out, err = send('--url', f'smtp://{user}{server.address}', '--from', 'us@server.test', '--to',
                            'them@server.test', '--text', 'x', '--password-file', secret(SECRET), '--pin', server.pin())
    assert status == REFUSED, err
    assert 'STARTTLS' in err
    assert not any(line.startswith((b'AUTH', b'MAIL')) for _, _, line in server.heard)


@pytest.mark.parametrize('wrong, connections', [(None, 1), ('hangs up', 3)])
def test_many_recipients(serve, send, secret, wrong, connections):
    """As many at once as every server takes; each gets it once, also where the server takes one message only."""
    server = serve([465], wrong=wrong)
    people = [f'p{i}@server.test' for i in range(250)]
    status, out, err = send('--url', f'smtps://us@{server.address}', '--from', 'us@server.test', '--to', ', '.join(people),
                            '--text', 'x', '--password-file', secret(SECRET), '--pin', server.pin())
    assert status == OK, err
    assert 'sent to 250 of 250' in out
    said = [line.decode() for _, _, line in server.heard]
    assert [line for line in said if line.startswith('RCPT')] == [f'RCPT TO:<{p}>' for p in people]
    assert sum(line.startswith('MAIL') for line in said) == 3 and len(server.came) == connections


def test_later(serve, send, secret):
    server = serve([587], wrong='later')
    status, out, err = send(*to(server, '--password-file', secret(SECRET), '--pin', server.pin()))
    assert status == LATER and '450 4.7.1 later' in err


def test_a_silent_server(send, secret):
    with socket.create_server(('127.0.0.1', 0)) as s:
        status, out, err = send('--url', f'smtp://us@127.0.0.1:{s.getsockname()[1]}', '--timeout', '1', '--to',
                                'a@b.test', '--from', 'c@d.test', '--text', 'x', '--password-file', secret(SECRET))
    assert status in (NO_SERVER, LATER), err


def test_a_clear_server_at_another_port(send, secret):
    with SmtpPeer() as peer:
        status, out, err = send('--url', f'smtp://127.0.0.1:{peer.port}', '--from', 'a@b.test', '--to', 'c@d.test',
                                '--text', 'x')
        assert status == REFUSED and 'STARTTLS' in err
        assert not peer.taken


# ---- words ----

@pytest.mark.parametrize('args, words', [
    (['--url', f'smtp://us:{SECRET.replace(" ", "")}@server.test', '--to', 'a@b.test'], 'a password in a URL'),
    (['--url', 'smtp://us@server.test:25', '--to', 'a@b.test'], 'port 25 is for servers'),
    (['--url', 'smtp://us@server.test:465', '--to', 'a@b.test'], 'smtps://'),
    (['--url', 'http://server.test', '--to', 'a@b.test'], 'begins with smtp://'),
    (['--to', 'a@b.test'], 'by which server?'),
    (['--url', 'smtp://server.test', '--to', 'a@b.test'], 'from whom?'),
    (['--url', 'smtp://server.test', '--from', 'a@b.test'], 'to whom?'),
    (['--url', 'smtp://server.test', '--message', '-', '--subject', 'x'], 'the message is ready'),
    (['--url', 'smtp://server.test', '--from', 'a@b.test', '--to', 'a@b.test', '--pin', 'abc'], 'not understood'),
])
def test_wrong_usage(send, args, words):
    status, out, err = send(*args)
    assert status == USAGE and words in err, err
    assert SECRET.replace(' ', '') not in err


def test_dry_run(send):
    status, out, err = send('--dry-run', '--url', 'smtp://us%40server.test@server.test', '--to', 'Jörg <j@b.test>',
                            '--bcc', 'k@b.test', '--subject', 'Grüße', '--text', 'x')
    m = email.message_from_string(out, policy=email.policy.default)
    assert status == OK and m['Subject'] == 'Grüße' and m['From'] == 'us@server.test' and 'Bcc' not in m
    assert 'to <j@b.test>' in err and 'to <k@b.test>' in err


def test_a_header_that_would_be_two(send):
    status, out, err = send('--dry-run', '--url', 'smtp://server.test', '--from', 'a@b.test', '--to', 'c@d.test',
                            '--subject', 'x\nBcc: e@f.test', '--text', 'x')
    assert status == REFUSED and 'Subject' in err
