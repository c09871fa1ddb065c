"""postern check --login at other people's mail servers, in a network of its own, with all that went over the wire."""
import base64
import json
import subprocess

import pytest

from conftest import DNS
from daemons import Exim
from peer import Peer

USER, SECRET = 'ann@exim.test', 'a secret of hers'


class EximWithLogins(Exim):
    """Submission at 587 and 465 for one user; AUTH within TLS only."""

    def configure(self):
        super().configure()
        path = self.path('etc', 'exim4', 'exim4.conf')
        with open(path) as f:
            text = f.read()
        text = text.replace('never_users =\n', 'never_users =\ndaemon_smtp_ports = 25 : 587 : 465\ntls_on_connect_ports = 465\n'
                            "auth_advertise_hosts = ${if eq{$tls_in_cipher}{}{}{*}}\nacl_smtp_mail = mail\n")
        text = text.replace('begin acl\n', '''begin acl
mail:
  accept condition = ${if eq{$received_port}{25}}
  accept authenticated = *
         condition = ${if eq{$authenticated_id}{$sender_address}}
  deny message = that is not your address
''')
        text += '''begin authenticators
plain:
  driver = plaintext
  public_name = PLAIN
  server_prompts = :
  server_condition = ${if and{{eq{$auth2}{%s}}{eq{$auth3}{%s}}}}
  server_set_id = $auth2
''' % (USER, SECRET)
        with open(path, 'w') as f:
            f.write(text)


@pytest.fixture(scope='module')
def world(lab):
    host, far = lab.net.host('exim', '192.0.2.11', '2001:db8::11'), lab.net.host('far', '192.0.2.12', '2001:db8::12')
    lab.me = lab.net.host('me', '192.0.2.9', '2001:db8::9')
    lab.zone('exim.test', [host])
    lab.zone('far.test', [far])
    lab.exim = EximWithLogins(host, 'exim.test', lab.certificate('mx.exim.test'), nameserver=DNS)
    cert = lab.certificate('mx.far.test')
    lab.peers = {port: lab.stack.enter_context(Peer(far, port, cert, implicit=port == 465, users={USER: SECRET})) for port in (465, 587)}
    lab.start_dns()
    lab.stack.enter_context(lab.exim)
    return lab


@pytest.fixture
def login(world, binary, tmp_path):
    def run(name, *args, secret=SECRET):
        (tmp_path / 'secret').write_text(secret + '\n')
        (tmp_path / 'secret').chmod(0o600)
        p = subprocess.run([*world.me.prefix(), binary, 'check', '--json', '--host', '--no-old-tls', '--timeout', '30', '--ca-file', world.ca,
                            '--dns', DNS, '--trust-anchors', world.zones.anchors, '--control', f'{DNS}:53', '--login', USER,
                            '--password-file', str(tmp_path / 'secret'), *args, name], capture_output=True, text=True, timeout=300)
        assert p.stderr == '' and secret not in p.stdout, p.stderr
        found = json.loads(p.stdout)
        return p.returncode, {p['port']: p['login'] for h in found['hosts'] for p in h['ports'] if p.get('login')}, found
    return run


def test_at_an_exim(login):
    status, told, found = login('mx.exim.test')
    assert status == 0, found['findings']
    assert {port: (t['state'], t['mechanism'], t['mail_from']['code']) for port, t in told.items()} == {
        465: ('accepted', 'PLAIN', 250), 587: ('accepted', 'PLAIN', 250)}


def test_a_wrong_password_at_an_exim(login):
    status, told, found = login('mx.exim.test', secret='wrong')
    assert (status, told[465]['state'], told[587]['state']) == (1, 'refused', 'spared')
    assert told[465]['reply']['code'] == 535 and told[465]['causes'][0]['cause'] == 'password-refused'
    assert found['verdict']['use']['port'] == 465  # which is as right as before


def test_a_sender_that_an_exim_does_not_take(login):
    status, told, _ = login('mx.exim.test', '--from', 'bob@exim.test')
    assert (status, told[465]['state'], told[465]['mail_from']['code']) == (1, 'accepted', 550)


@pytest.mark.parametrize('mechanism', ['plain', 'login'])
def test_nothing_on_the_wire(world, login, mechanism):
    """What anybody between could read, of all sessions."""
    status, told, _ = login('mx.far.test', '--mechanism', mechanism)
    assert status == 0 and {t['state'] for t in told.values()} == {'accepted'}
    plain = base64.b64encode(f'\0{USER}\0{SECRET}'.encode())
    for peer in world.peers.values():
        assert any(s.user == USER for s in peer.sessions)
        for s in peer.sessions:
            for word in (SECRET.encode(), USER.encode(), plain, base64.b64encode(USER.encode()), base64.b64encode(SECRET.encode())):
                assert word not in s.clear and word not in s.wire
            assert b'AUTH' not in s.clear


def test_a_certificate_for_another_name(world, login):
    """The server is known by its address only: nobody says that it is who should get the password."""
    before = [len(p.sessions) for p in world.peers.values()]
    status, told, found = login('192.0.2.12')
    assert status == 1 and {t['state'] for t in told.values()} == {'spared'}
    assert found['verdict']['answer'] == 'use-pinned'
    for n, peer in zip(before, world.peers.values()):
        assert all('AUTH' not in line for s in peer.sessions[n:] for line in s.lines)
