"""postern check --login at Debian's Postfix (passwords and tokens by Dovecot) and OpenSMTPD (a table of its own)."""
import base64
import hashlib
import hmac
import json
import os
import subprocess
import time

import pytest

import debian
from conftest import DNS
from daemons import OpenSmtpd, Postfix

SECRET = 'a secret of hers'
KEY = b'the key that tokens are signed with'
MECHANISMS = 'PLAIN LOGIN SCRAM-SHA-256 XOAUTH2 OAUTHBEARER'


class PostfixWithLogins(Postfix):
    """Submission at 587 and 465; Dovecot, in the same mount namespace, answers its questions."""
    users = Postfix.users + ('dovecot:x:9011:9011::/nonexistent:/usr/sbin/nologin\n'
                             'dovenull:x:9012:9012::/nonexistent:/usr/sbin/nologin\n')
    groups = Postfix.groups + 'dovecot:x:9011:\ndovenull:x:9012:\n'

    def setup_commands(self):
        try:
            root = debian.unpacked('dovecot-core')
        except debian.Unavailable as e:
            pytest.skip(str(e))
        return [f'mount -t overlay overlay -o lowerdir={root}/usr:/usr /usr', 'dovecot -F &']

    def configure(self):
        super().configure()
        with open(self.path('etc', 'postfix', 'main.cf'), 'a') as f:
            f.write('smtpd_sasl_type = dovecot\nsmtpd_sasl_path = private/auth\nsmtpd_tls_auth_only = yes\n'
                    f'smtpd_sender_login_maps = inline:{{ann@{self.domain}=ann@{self.domain}}}\n')
        both = ('-o smtpd_sasl_auth_enable=yes -o smtpd_relay_restrictions=permit_sasl_authenticated,reject '
                '-o smtpd_sender_restrictions=reject_sender_login_mismatch -o smtpd_delay_reject=no')
        with open(self.path('etc', 'postfix', 'master.cf'), 'a') as f:
            f.write(f'587 inet n - n - - smtpd -o smtpd_tls_security_level=encrypt {both}\n'
                    f'465 inet n - n - - smtpd -o smtpd_tls_wrappermode=yes {both}\n')
        run, logs = self.path('dovecot'), self.path('logs')
        for folder in (run, logs):
            os.makedirs(folder, exist_ok=True)
        key = self.path('keys', 'default', 'HS256')
        os.makedirs(key, exist_ok=True)
        with open(os.path.join(key, 'default'), 'wb') as f:
            f.write(base64.b64encode(KEY))
        self.write('dovecot/users', f'ann@{self.domain}:{{PLAIN}}{SECRET}\n')
        self.write('dovecot/oauth2.conf.ext', f'introspection_mode = local\nlocal_validation_key_dict = fs:posix:prefix={self.path("keys")}/\n'
                                              'username_attribute = sub\n')
        self.write('dovecot/dovecot.conf', f'''protocols =
base_dir = {run}
state_dir = {run}
log_path = {logs}/dovecot
ssl = no
disable_plaintext_auth = no
auth_mechanisms = {MECHANISMS.lower()}
auth_failure_delay = 0
auth_verbose = yes
service anvil {{
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
passdb {{
  driver = oauth2
  mechanisms = xoauth2 oauthbearer
  args = /etc/dovecot/oauth2.conf.ext
}}
passdb {{
  driver = passwd-file
  mechanisms = plain login scram-sha-256
  args = /etc/dovecot/users
}}
userdb {{
  driver = static
  args = uid=9011 gid=9011 home=/nonexistent
}}
service auth {{
  unix_listener {self.path('queue')}/private/auth {{
    mode = 0666
  }}
}}
''')

    def listens(self):
        return super().listens() and os.path.exists(self.path('queue', 'private', 'auth'))


class OpenSmtpdWithLogins(OpenSmtpd):
    """Submission at 587 and 465, for a table of its own."""

    def configure(self):
        super().configure()
        path = self.path('etc', 'smtpd.conf')
        with open(path) as f:
            text = f.read()
        hashed = subprocess.run(['openssl', 'passwd', '-6', '-stdin'], input=SECRET, capture_output=True, text=True, check=True).stdout.strip()
        ports = (f'listen on eth0 port 465 hostname {self.name} smtps pki {self.name} auth <users>\n'
                 f'listen on eth0 port 587 hostname {self.name} tls-require pki {self.name} auth <users>\n')
        assert 'listen on socket\n' in text
        text = (f'table users {{ "ann@{self.domain}" = "{hashed}" }}\n' + text.replace('listen on socket\n', ports + 'listen on socket\n') +
                'match auth from any for any action "out"\n')
        with open(path, 'w') as f:
            f.write(text)


@pytest.fixture(scope='module')
def world(lab):
    hosts = {'postfix': lab.net.host('postfix', '192.0.2.21', '2001:db8::21'), 'smtpd': lab.net.host('smtpd', '192.0.2.22', '2001:db8::22')}
    lab.me = lab.net.host('me', '192.0.2.29', '2001:db8::29')
    for name, kind in (('postfix', PostfixWithLogins), ('smtpd', OpenSmtpdWithLogins)):
        lab.zone(f'{name}.test', [hosts[name]])
        setattr(lab, name, kind(hosts[name], f'{name}.test', lab.certificate(f'mx.{name}.test'), nameserver=DNS))
    lab.start_dns()
    lab.stack.enter_context(lab.postfix)
    lab.stack.enter_context(lab.smtpd)
    return lab


@pytest.fixture
def login(world, binary, tmp_path):
    def run(name, *args, secret=SECRET):
        (tmp_path / 'secret').write_text(secret + '\n')
        (tmp_path / 'secret').chmod(0o600)
        cmd = [*world.me.prefix(), binary, 'check', '--host', '-4', '--no-old-tls', '--timeout', '10', '--ca-file', world.ca, '--dns', DNS,
               '--trust-anchors', world.zones.anchors, '--control', f'{DNS}:53', '--login', f'ann@{name}.test', '--password-file',
               str(tmp_path / 'secret'), *args]
        p = subprocess.run([*cmd, '--json', f'mx.{name}.test'], capture_output=True, text=True, timeout=120)
        people = subprocess.run([*cmd, f'mx.{name}.test'], capture_output=True, text=True, timeout=120).stdout
        assert p.stderr == '' and secret not in p.stdout + people, p.stderr
        found = json.loads(p.stdout)
        return p.returncode, {p['port']: p['login'] for h in found['hosts'] for p in h['ports'] if p.get('login')}, ' '.join(people.split())
    return run


def states(told):
    return {port: (t['state'], t['mechanism'], t['mail_from'] and t['mail_from']['code']) for port, t in told.items()}


# Mechanism that is asked for, that is taken
RIGHT = [((), 'SCRAM-SHA-256'), (('--mechanism', 'plain'), 'PLAIN'), (('--mechanism', 'login'), 'LOGIN')]


@pytest.mark.parametrize('args, mechanism', RIGHT)
def test_right(login, args, mechanism):
    status, told, _ = login('postfix', *args)
    assert status == 0 and states(told) == {465: ('accepted', mechanism, 250), 587: ('accepted', mechanism, 250)}


@pytest.mark.parametrize('args, mechanism', RIGHT)
def test_wrong_password(login, args, mechanism):
    """Of which there is one try, not one a port: a server counts them."""
    status, told, people = login('postfix', *args, secret='wrong')
    first, second = told[465], told[587]
    assert (status, first['state'], first['mechanism'], first['reply']['code'], second['state']) == (1, 'refused', mechanism, 535, 'spared')
    assert first['causes'][0]['cause'] == 'password-refused', first
    assert '587 skipped it was refused at port 465 already' in people


def test_a_mechanism_that_is_not_there(login):
    status, told, people = login('postfix', '--mechanism', 'scram-sha-256-plus')
    assert status == 1 and told[465]['state'] == 'failed'
    assert told[465]['why'].startswith('the server does not offer that mechanism, only: ')


def test_a_sender_that_a_postfix_does_not_take(login):
    status, told, people = login('postfix', '--from', 'bob@postfix.test')
    assert (status, told[465]['state'], told[465]['mail_from']['code']) == (1, 'accepted', 553)
    assert 'but mail from bob@postfix.test is not: 553 5.7.1' in people


def test_at_an_opensmtpd(login):
    """OpenSMTPD 6.8 with OpenSSL 3 offers TLS and cannot do it: no password is said, and it says whose fault it is."""
    status, told, people = login('smtpd')
    if told:  # a newer one
        assert status == 0 and states(told) == {465: ('accepted', 'PLAIN', 250), 587: ('accepted', 'PLAIN', 250)}
        assert login('smtpd', secret='wrong')[1][465]['reply']['code'] == 535
        return
    assert status == 1 and 'not tried: there is no port where a password would be safe' in people
    assert 'Whoever runs the server must look at its TLS settings and its log.' in people


def token(sub, seconds=600, key=KEY):
    def part(value):
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b'=')
    now = int(time.time())
    text = part({'alg': 'HS256', 'typ': 'JWT'}) + b'.' + part({'sub': sub, 'iat': now - 1000, 'nbf': now - 1000, 'exp': now + seconds})
    return (text + b'.' + base64.urlsafe_b64encode(hmac.new(key, text, hashlib.sha256).digest()).rstrip(b'=')).decode()


@pytest.mark.parametrize('mechanism', ['xoauth2', 'oauthbearer'])
def test_a_token(login, mechanism):
    status, told, _ = login('postfix', '--mechanism', mechanism, secret=token('ann@postfix.test'))
    assert status == 0 and states(told) == {port: ('accepted', mechanism.upper(), 250) for port in (465, 587)}


@pytest.mark.parametrize('mechanism', ['xoauth2', 'oauthbearer'])
def test_a_token_that_has_expired(login, mechanism):
    status, told, people = login('postfix', '--mechanism', mechanism, secret=token('ann@postfix.test', seconds=-10))
    first = told[465]
    assert (status, first['state'], first['reply']['code'], told[587]['state']) == (1, 'refused', 535, 'spared')
    assert '"status"' in first['before']
    assert first['causes'][0]['cause'] == 'token-refused' and 'app password' not in people and 'The server refused the token' in people


@pytest.mark.parametrize('wrong', [token('ann@postfix.test', key=b'another'), 'no.token.atall'])
def test_a_token_that_cannot_be_checked(login, wrong):
    """To this Dovecot its signature is trouble of its own, as Postfix says: nothing was refused."""
    status, told, people = login('postfix', '--mechanism', 'xoauth2', secret=wrong)
    first = told[465]
    assert (status, first['state'], told[587]['state']) == (1, 'refused', 'spared')
    if first['reply']['code'] == 454:
        assert first['causes'][0]['cause'] == 'server-trouble' and 'put off XOAUTH2: 454' in people
        assert 'at port 465 the server put it off' in people
    else:
        assert first['reply']['code'] == 535 and first['causes'][0]['cause'] == 'token-refused'
