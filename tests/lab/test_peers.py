"""Peers that are slow to trust, too busy, half reachable, or without STARTTLS."""
import json
import os
import time

import pytest

from peer import Peer

NAMES = ['grey', 'busy', 'closed', 'six', 'clear', 'must', 'stalls', 'stalls-must']


@pytest.fixture(scope='module')
def world(lab):
    lab.peers = {}
    for i, name in enumerate(NAMES):
        host = lab.net.host(name, f'192.0.2.{11 + i}', *([f'2001:db8::{11 + i}'] if name == 'six' else []))
        lab.peers[name] = lab.stack.enter_context(Peer(host, 25, lab.certificate(f'mx.{name}.test'), starttls=name not in ('clear', 'must')))
        lab.zone(f'{name}.test', [host], 'unsigned')
    lab.zone('self.test', [lab.us], 'unsigned')
    lab.start_dns()
    lab.start_server({'relay': {'ca_file': lab.ca, 'mta_sts': False, 'connect_timeout': '120s', 'command_timeout': '4s', 'idle': '1s'}, 'smtp_processes': 1,
                      'routes': {'must': {'to': ['must.test', 'stalls-must.test'], 'via': 'mx', 'tls': 'require'}}})
    return lab


def test_greylisting(world):
    """Refused at first, by recipient; taken when it comes again. Nobody is told anything before."""
    peer, since = world.peers['grey'], {}

    def answer(_, line):
        first = since.setdefault(line, time.monotonic())
        return None if time.monotonic() - first > 3 else '451 4.7.1 Greylisting in action, please come back later'
    peer.answers['RCPT'] = answer
    idents = [world.send(f'u{n}@grey.test') for n in range(5)]
    for ident in idents:
        assert world.why(ident, 'Greylisting')['attempts'] == 1
        assert world.wait_events(ident, 'deferred')[0]['class'] == 'greylist'
    assert len(peer.sessions) <= 6
    time.sleep(3)
    for ident in idents:
        world.retried(ident)
    assert sorted(m[1][0] for m in peer.mail) == sorted(f'u{n}@grey.test' for n in range(5))
    assert not [m for m in world.server.messages('ann@ours.test')]


@pytest.mark.skipif('POSTERN_FULL' not in os.environ, reason='takes long: make test-full')
@pytest.mark.parametrize('name, refusal', [('busy', '450 4.7.1 too many messages, slow down'),
                                           ('closed', '421 4.7.0 too many messages from your address, try again later')])
def test_rate_limit(world, name, refusal):
    """So many in so much time, and no more: the site is slowed, and all get there."""
    peer, taken = world.peers[name], []

    def answer(_, line):
        now = time.monotonic()
        if len([t for t in taken if now - t < 8]) >= 5:
            return refusal
        taken.append(now)
        return None
    peer.answers['MAIL'] = answer
    # Nobody is there while they are sent, so that all are due at the same moment.
    world.us.nft(f'out ip daddr {peer.host.address} tcp dport 25 reject with tcp reset')
    for n in range(15):
        world.send(f'u{n}@{name}.test')
    world.us.mend()

    def so_far():
        return sum(line.startswith('MAIL') for s in peer.sessions for line in s.lines), len(peer.sessions)
    # As an operator who knows that it is busy: all again, now and then.
    deadline, before = time.monotonic() + 300, (0, 0)
    while len(peer.mail) < 15:
        assert time.monotonic() < deadline, (len(peer.mail), world.server.log_text()[-3000:])
        world.server.cli('queue', 'retry', '--domain', f'{name}.test', check=False)
        time.sleep(5)
        tried, sessions = (now - then for now, then in zip(so_far(), before))
        before = so_far()
        assert tried <= 30 and sessions <= 12, (tried, sessions)
    world.until(lambda: not world.server.json('queue', 'list', '--domain', f'{name}.test'))
    assert sorted(m[1][0] for m in peer.mail) == sorted(f'u{n}@{name}.test' for n in range(15)), 'once each'
    assert 'event=failed' not in world.server.log_text()


def test_ipv6_broken(world):
    """It has IPv6 addresses, and so have we, and nothing comes through: IPv4 takes over soon."""
    world.us.break_ipv6()
    try:
        peer = world.peers['six']
        ident = world.send('bob@six.test')
        assert ':' not in peer.wait('bob@six.test')[3].address[0]  # long before relay.connect_timeout
        line = world.server.wait_log(f'event=relayed id={ident}')
        assert 'host=mx.six.test' in line
    finally:
        world.us.mend()


def test_ipv6_works(world):
    """Another host, by IPv6, when that goes."""
    peer = world.peers['six']
    peer.forget()
    world.server.stop()  # it remembers that it did not
    world.server.start()
    world.send('ann@six.test')
    assert ':' in peer.wait('ann@six.test')[3].address[0]


def test_without_starttls(world):
    """Taken out, or never there: nothing was promised, so it goes in clear, and that is noted."""
    ident = world.send('bob@clear.test')
    assert not world.peers['clear'].wait('bob@clear.test')[3].tls
    assert 'security=clear' in world.server.wait_log(f'event=relayed id={ident}')
    assert world.wait_events(ident, 'attempted')[0]['security'] == 'clear'


def test_without_starttls_required(world):
    ident = world.send('bob@must.test')
    peer = world.peers['must']
    row = world.why(ident, 'STARTTLS')
    assert row['status'].startswith('4.7.'), row
    assert b'MAIL' not in peer.wire and b'hello' not in peer.wire
    peer.starttls = True
    world.retried(ident)
    assert peer.taken('bob@must.test')[0][3].tls and b'MAIL' not in peer.clear


def test_handshake_fails(world):
    """Offered, and it does not work: once more without, at once, and noted."""
    peer = world.peers['clear']
    peer.forget()
    peer.starttls = True
    peer.answers['STARTTLS'] = lambda session, _: session.write('220 2.0.0 go ahead') or session.write('this is no TLS') or session.sock.close() or ''
    ident = world.send('carol@clear.test')
    session = peer.wait('carol@clear.test')[3]
    assert not session.tls and len(peer.sessions) == 2
    assert 'security=clear' in world.server.wait_log(f'event=relayed id={ident}')
    assert world.wait_events(ident, 'attempted')[-1].get('fell_back')


def silent(session, _):
    session.write('220 2.0.0 go ahead')
    while True:
        session.more()


def drips(session, _):
    """A record that never gets whole."""
    session.write('220 2.0.0 go ahead')
    session.more()
    for octet in b'\x16\x03\x03\x40\x00\x02\x00' + bytes(1000):
        session.sock.sendall(bytes([octet]))
        time.sleep(0.2)


def timed_out(world, host):
    """The history's rows of handshakes with that host that took too long."""
    rows = [json.loads(line) for line in world.server.cli('events', '--json').stdout.splitlines()]
    return [e for e in rows if e.get('host') == host and e.get('what') == 'tls-timed-out']


@pytest.mark.parametrize('stall', [silent, drips])
def test_handshake_stalls(world, stall):
    """Whatever comes of it, a handshake has its time; then once more in clear, and that is noted."""
    peer, before = world.peers['stalls'], len(timed_out(world, 'mx.stalls.test'))
    peer.forget()
    peer.answers['STARTTLS'] = stall
    to = f'{stall.__name__}@stalls.test'
    ident = world.send(to)
    session = peer.wait(to, 40)[3]  # a drip would last longer
    first, second = peer.sessions
    assert session is second and not session.tls and second.begun - first.begun > 2.5
    assert 'security=clear' in world.server.wait_log(f'event=relayed id={ident}')
    world.until(lambda: len(timed_out(world, 'mx.stalls.test')) == before + 1)


@pytest.mark.parametrize('stall', [silent, drips])
def test_handshake_stalls_where_tls_is_required(world, stall):
    peer = world.peers['stalls-must']
    peer.forget()
    peer.answers['STARTTLS'] = stall
    ident = world.send(f'{stall.__name__}@stalls-must.test')
    row = world.why(ident, 'handshake took too long', 40)
    assert row['status'] == '4.4.2', row
    assert b'MAIL' not in peer.wire and b'hello' not in peer.wire
    peer.answers.clear()
    world.retried(ident)
    assert peer.taken(f'{stall.__name__}@stalls-must.test')[0][3].tls


def test_our_own_address(world):
    """By which others find us, though no listener names it: it is one of this machine's."""
    ident = world.send('bob@self.test')
    line = world.server.wait_log(f'event=failed id={ident}')
    assert 'status=5.4.6' in line and 'mx.self.test' in line, line
    assert 'loops back' in ' '.join(world.server.cli('route', 'bob@self.test').stdout.split())
