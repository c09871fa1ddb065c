"""postern send --test with a token of OAuth 2 for both: sending, and looking for the message in a real Dovecot, which reads the
token itself (a JWT, introspection_mode = local)."""
import base64
import hashlib
import hmac
import json
import os
import subprocess
import sys
import time

import pytest

from dovecot import Dovecot, server_config

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '../system'))

from test_send_accounts import Tokens  # noqa: E402
from test_send_trial import PASSWORD, REFUSED  # noqa: E402
from test_tls import make_certificate  # noqa: E402

OK, LATER = 0, 75
KEY = b'a key that only the test and Dovecot have'
USER = 'bob@example.org'
OAUTH = '''
auth_mechanisms = %(mechanisms)s
passdb {
  driver = oauth2
  mechanisms = xoauth2 oauthbearer
  args = %(folder)s/oauth2.conf
}
'''
CONF = '''introspection_mode = local
local_validation_key_dict = fs:posix:prefix=%(folder)s/keys/
username_attribute = email
username_format = %%u
'''


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b'=')


def token(user=USER, lives_s=3600):
    head = b64(json.dumps({'alg': 'HS256', 'typ': 'JWT', 'kid': 'default'}).encode())
    now = int(time.time())
    body = b64(json.dumps({'email': user, 'sub': user, 'iat': now - 60, 'nbf': now - 60, 'exp': now + lives_s}).encode())
    return b'.'.join([head, body, b64(hmac.new(KEY, head + b'.' + body, hashlib.sha256).digest())]).decode()


class Provider(Tokens):
    """A server of submission that takes the token, and puts what comes into the mailbox."""

    def take(self, data):
        c = self.dovecot.imap()
        c.login(USER, PASSWORD)
        assert c.append('INBOX', None, None, data)[0] == 'OK'
        c.logout()


@pytest.fixture(scope='module')
def world(make_server, tmp_path_factory):
    folder = tmp_path_factory.mktemp('token')
    for path in [folder, *folder.parents][:3]:
        os.chmod(path, 0o755)
    (folder / 'keys/default/HS256').mkdir(parents=True)
    (folder / 'keys/default/HS256/default').write_bytes(base64.b64encode(KEY))
    (folder / 'oauth2.conf').write_text(CONF % {'folder': folder})
    subprocess.run(['chmod', '-R', 'a+rX', str(folder)], check=True)
    cert, key = make_certificate(folder, 'localhost', ['localhost'], 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256')
    made = {}

    def dovecot(mechanisms):
        """One that offers these; each is started once."""
        if mechanisms not in made:
            d = Dovecot(s, extra=OAUTH % {'folder': folder, 'mechanisms': mechanisms} + f'ssl_cert = <{cert}\nssl_key = <{key}\n')
            d.cert = cert
            for other in made.values():
                other.stop()
            made.clear()
            made[mechanisms] = d.start()
        return made[mechanisms]
    with make_server(server_config()) as s:
        s.cli('domain', 'add', 'example.org')
        for name in ('bob', 'postmaster'):
            s.account(f'{name}@example.org', PASSWORD)
        yield s, dovecot
        for d in made.values():
            d.stop()


class Home:
    def __init__(self, folder, binary, dovecot):
        self.folder, self.binary, self.dovecot = folder, binary, dovecot
        self.provider = Provider(folder, [465])
        self.provider.dovecot = dovecot
        (folder / '.config/postern').mkdir(parents=True)

    def account(self, *lines):
        file = self.folder / '.config/postern/send.yaml'
        own = [f'host: {self.provider.address}', 'tls: implicit', f'fingerprints: "{self.provider.pin()}"', f'user: {USER}',
               f'token_command: [{self.folder}/token]']
        file.write_text('accounts:\n  a:\n' + ''.join(f'    {line}\n' for line in [*own, *lines]))
        file.chmod(0o600)

    def tokens(self, *tokens):
        """What the command writes, one after the other; the last one from then on."""
        for i, one in enumerate(tokens):
            (self.folder / f't{i}').write_text(one + '\n')
        self.provider.good = tokens[-1]
        (self.folder / 'token').write_text(f'''#!/bin/sh
cd {self.folder}; n=$(cat runs 2> /dev/null || echo 0); echo $((n + 1)) > runs
[ -f t$n ] || n={len(tokens) - 1}; cat t$n
''')
        (self.folder / 'token').chmod(0o700)

    def runs(self):
        return int((self.folder / 'runs').read_text())

    def test(self, *args, status, imap='imaps'):
        env = {'HOME': str(self.folder), 'PATH': os.environ['PATH'], 'POSTERN_RUNTIME_DIR': '/nonexistent', 'ASAN_OPTIONS': 'detect_leaks=0'}
        p = subprocess.run([self.binary, 'send', '--test', '--wait', '30', '--ca-file', self.dovecot.cert, *args, '--imap',
                            f'{imap}://bob%40example.org@localhost:{self.dovecot.port[imap]}'],
                           capture_output=True, text=True, timeout=120, env=env)
        for i in range(3):
            path = self.folder / f't{i}'
            assert not path.exists() or path.read_text().strip() not in p.stdout + p.stderr
        assert p.returncode == status, (p.returncode, p.stdout, p.stderr, self.dovecot.log_text()[-2000:])
        return p.stdout, p.stderr


@pytest.fixture
def home(world, tmp_path):
    made = []

    def make(mechanisms='plain login oauthbearer xoauth2'):
        s, dovecot = world
        made.append(Home(tmp_path, s.binary, dovecot(mechanisms)))
        return made[-1]
    yield make
    for h in made:
        h.provider.close()


@pytest.mark.parametrize('imap', ['imaps', 'imap'])
@pytest.mark.parametrize('mechanisms, taken', [
    ('plain login oauthbearer xoauth2', 'OAUTHBEARER'), ('plain oauthbearer', 'OAUTHBEARER'), ('plain xoauth2', 'XOAUTH2')])
def test_it_arrives(home, mechanisms, taken, imap):
    h = home(mechanisms)
    h.tokens(token())
    h.account()
    out, err = h.test(status=OK, imap=imap)
    assert 'It came, it is in INBOX' in out and h.runs() == 1
    assert f'user=<{USER}>, method={taken}' in h.dovecot.log_text()


@pytest.mark.parametrize('old', ['expired', 'of another'])
def test_a_token_that_is_refused_is_renewed(home, old):
    """As sending does: the command has an old one, and a new one when it is asked again.  The mailbox is opened first."""
    h = home()
    h.tokens(token(lives_s=-30) if old == 'expired' else token('carol@example.org'), token())
    h.account()
    out, err = h.test(status=OK)
    assert 'It came' in out and h.runs() == 2
    assert [t for _, t in h.provider.tokens()] == [h.provider.good]  # the new one serves for both


def test_a_token_that_stays_refused(home):
    """Nothing is sent, and nothing is tried a third time."""
    h = home()
    old = token(lives_s=-30)
    h.tokens(old)
    h.account()
    out, err = h.test(status=REFUSED)
    assert h.runs() == 2 and 'the same token again' in err and 'token' in err.splitlines()[-1] and h.provider.tokens() == []
    h.tokens(old, token(lives_s=-20))
    os.unlink(h.folder / 'runs')
    out, err = h.test(status=REFUSED)
    assert h.runs() == 2 and h.provider.tokens() == []


def test_a_server_without_tokens(home):
    """It is not sent as a password, nor an empty password in its place."""
    h = home('plain login')
    h.tokens(token())
    h.account()
    out, err = h.test(status=REFUSED)
    assert h.provider.tokens() == [] and '--imap-password-file' in err and h.runs() == 1
    assert 'method=PLAIN' not in h.dovecot.log_text()
    # With the password of the mailbox it is seen there, and the token serves for sending only.
    (h.folder / 'secret').write_text(PASSWORD + '\n')
    (h.folder / 'secret').chmod(0o600)
    assert 'It came' in h.test('--imap-password-file', str(h.folder / 'secret'), status=OK)[0] and len(h.provider.tokens()) == 1
