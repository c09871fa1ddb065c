"""A smart host behind walls: which port is tried after which trouble, rule by rule; and each "never", on the wire."""
import base64
import os
import time

import pytest

from peer import Peer

PORTS = [25, 587, 465, 2525]
SECRET = 'a secret of ours'
# What would give it away: in a line of its own, and within AUTH PLAIN.
SECRETS = [SECRET.encode(), base64.b64encode(SECRET.encode()), base64.b64encode(b'\0me\0' + SECRET.encode())]


class Smart:
    """A smart host of its own on the lab, which speaks on all ports."""

    def __init__(self, lab, name, address, **more):
        self.host = lab.net.host(name, address)
        self.name = name
        certificate = lab.certificate('other.test' if more.pop('wrong_name', False) else name + '.test')
        plain = more.pop('no_starttls_on', ())
        self.peer = {p: lab.stack.enter_context(Peer(self.host, p, certificate, implicit=p == 465, starttls=p not in plain,
                                                     users={'me': SECRET}, **more)) for p in PORTS}

    def tried(self):
        """Ports at which somebody spoke to us."""
        return [p for p in PORTS if self.peer[p].sessions]

    def took(self):
        return [p for p in PORTS if self.peer[p].mail]

    def idle(self):
        for p in PORTS:
            self.peer[p].idle()

    def mail(self, to, timeout=60):
        deadline = time.monotonic() + timeout
        while True:
            for p in PORTS:
                if self.peer[p].taken(to):
                    return p, self.peer[p].taken(to)[0]
            assert time.monotonic() < deadline, f'{to} never came to {self.name}: {[s.lines for p in PORTS for s in self.peer[p].sessions]}'
            time.sleep(0.05)

    def leaked(self):
        """Passwords or mail that somebody on the way could have read, or that a server got on port 25."""
        clear = b''.join(self.peer[p].clear for p in PORTS)
        return [s for s in [*SECRETS, b'AUTH', b'MAIL FROM', b'hello'] if s in clear] + self.peer[25].sessions


# name: what is wrong with it
WORLD = {'well': {}, 'refused': {}, 'dropped': {}, 'far': {}, 'refused-all': {}, 'password': {}, 'certificate': {'wrong_name': True},
         'stripped': {'no_starttls_on': (587,)}, 'bare': {'no_starttls_on': (587, 2525), 'auth_in_clear': True}}


@pytest.fixture(scope='module')
def world(lab):
    routes = {}
    lab.smart = {}
    for i, (name, more) in enumerate(WORLD.items()):
        password = os.path.join(lab.folder, name + '.password')
        with open(password, 'w') as f:
            f.write('wrong' if name == 'password' else SECRET)
        address = f'198.51.100.{11 + i}'
        lab.smart[name] = Smart(lab, name, address, **more)
        lab.zones.add(f'{name}.test', {'@': [f'A {address}']}, 'unsigned')
        routes[name] = {'to': [f'by-{name}.test'], 'via': 'smarthost', 'hosts': [f'{name}.test'], 'tls': 'verify', 'user': 'me',
                        'password_file': password}
    lab.start_dns()
    lab.start_server({'relay': {'ca_file': lab.ca, 'mta_sts': False, 'connect_timeout': '4s', 'idle': '1s'}, 'routes': routes, 'smtp_processes': 1})

    def wall(name, what, *ports):
        """Towards that host only."""
        for port in ports:
            lab.us.nft(f'out ip daddr {lab.smart[name].host.address} tcp dport {port} counter {what}')
    lab.wall = wall
    wall('refused', 'reject with tcp reset', 587)
    wall('dropped', 'drop', 587)
    wall('far', 'drop', 587, 465)
    wall('refused-all', 'reject with tcp reset', 587, 465, 2525)
    wall('bare', 'drop', 465)
    return lab


@pytest.mark.parametrize('name, port', [('well', 587), ('refused', 465), ('dropped', 465), ('far', 2525), ('stripped', 465)])
def test_next_port(world, name, port):
    """And that one is remembered."""
    smart = world.smart[name]
    for n in range(2):
        ident = world.send(f'bob{n}@by-{name}.test')
        at, (_, _, data, session) = smart.mail(f'bob{n}@by-{name}.test')
        assert at == port and session.tls and session.user == 'me' and b'hello' in data
        assert 'security=verified' in world.server.wait_log(f'event=relayed id={ident}')
        if n == 0:
            smart.idle()  # the next one needs a connection of its own
    if name == 'stripped':
        assert len(smart.peer[587].sessions) == 1 and not any('AUTH' in line for line in smart.peer[587].sessions[0].lines)
        lines = [line for line in world.server.log_text().splitlines() if 'event=starttls-missing' in line and 'stripped' in line]
        assert len(lines) == 1, lines
    assert smart.took() == [port] and not smart.leaked()
    assert smart.tried() == ([587, 465] if name == 'stripped' else [port])


def packets(world, name):
    """By port: what was sent into the wall."""
    out = {}
    for line in world.us.run('nft', 'list', 'chain', 'inet', 'lab', 'out').stdout.splitlines():
        words = line.split()
        if world.smart[name].host.address in words:
            out[int(words[words.index('dport') + 1])] = int(words[words.index('packets') + 1])
    return out


def test_remembered_on_the_wire(world):
    """After test_next_port: 587 was knocked at by the first message alone."""
    before = packets(world, 'refused')
    ident = world.send('carol@by-refused.test')
    world.smart['refused'].mail('carol@by-refused.test')
    world.gone(ident)
    assert packets(world, 'refused') == before


def test_never_25(world):
    """Nobody listens where it may go: it waits, and 25, which is open, is left alone."""
    smart = world.smart['refused-all']
    ident = world.send('bob@by-refused-all.test')
    world.why(ident, 'refused')
    assert all(packets(world, 'refused-all')[p] for p in (587, 465, 2525))
    assert not smart.tried() and not smart.took()


def test_wrong_password(world):
    """It is told to no other port, and the mail waits."""
    smart = world.smart['password']
    ident = world.send('bob@by-password.test')
    world.why(ident, '535')
    assert smart.tried() == [587] and not smart.took() and not smart.leaked()
    assert len(smart.peer[587].sessions) <= 2, 'it was hammered with a wrong password'
    assert not smart.peer[587].mail


def test_wrong_certificate(world):
    """Whoever that is hears no password, and no other port is tried."""
    smart = world.smart['certificate']
    ident = world.send('bob@by-certificate.test')
    row = world.why(ident)
    assert row['status'].startswith('4.7.'), row
    assert smart.tried() == [587] and not smart.took() and not smart.leaked()
    assert not any('AUTH' in line for s in smart.peer[587].sessions for line in s.lines)


def test_no_tls_anywhere(world):
    """It offers AUTH in clear, on both ports that can be reached: it does not get it."""
    smart = world.smart['bare']
    ident = world.send('bob@by-bare.test')
    world.why(ident, 'STARTTLS')
    assert smart.tried() == [587, 2525] and not smart.took() and not smart.leaked()
    begin = os.path.getsize(world.server.log_file)
    world.server.cli('queue', 'retry', ident)
    world.server.wait_log(f'{smart.host.address}) port 587: TLS is required', begin=begin)
    assert len(smart.peer[587].sessions) == 2 and not smart.leaked()
    lines = [line for line in world.server.log_text().splitlines() if 'event=starttls-missing' in line and 'bare' in line]
    assert len(lines) == 1, lines


def test_not_after_the_dot(world):
    """What it says at the end holds: the message goes to no other port, however it is refused."""
    smart = world.smart['well']
    n = {p: len(smart.peer[p].sessions) for p in PORTS}
    smart.peer[587].answers['.'] = '451 4.3.0 not now'
    ident = world.send('dot@by-well.test')
    world.why(ident, 'not now')
    smart.peer[587].answers['.'] = lambda session, _: session.sock.close() or '421 4.3.0 gone'
    world.server.cli('queue', 'retry', ident)
    world.wait_events(ident, 'deferred', 2)
    assert {p: len(smart.peer[p].sessions) for p in PORTS if p != 587} == {p: n[p] for p in PORTS if p != 587}
    smart.peer[587].answers.clear()
    world.retried(ident)
    assert smart.mail('dot@by-well.test')[0] == 587


def test_never_told(world):
    """Neither log nor history know the password."""
    said = world.server.log_text() + world.server.cli('events', '--json', '--since', '1h').stdout
    assert 'AUTH' in said and not [s for s in SECRETS if s.decode() in said]
