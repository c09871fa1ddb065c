"""DANE against a real name server: right, wrong, bogus, unsigned, and without STARTTLS."""
import os

import pytest

from peer import Peer, tlsa

# Kind of the zone, and which key its TLSA record names.
WORLD = {'right': ('signed', 'own'), 'wrong': ('signed', 'other'), 'bogus': ('bogus', 'own'), 'unsigned': ('unsigned', 'other'),
         'none': ('signed', None), 'stripped': ('signed', 'own'), 'backup': ('signed', 'other'),
         'locked': ('signed', None), 'loose': ('signed', None)}
# The TLSA records alone are in a zone of this kind, of another key than the host's.
APART = {'locked': 'bogus', 'loose': 'unsigned'}


@pytest.fixture(scope='module')
def world(lab):
    lab.peers = {}
    other = lab.certificate('mx.other.test')
    for i, (name, (kind, key)) in enumerate(WORLD.items()):
        host = lab.net.host(name, f'192.0.2.{11 + i}', f'2001:db8::{11 + i}')
        own = lab.certificate(f'mx.{name}.test')
        record = {'own': own, 'other': other}.get(key)
        hosts, more = [host], {'_25._tcp.mx': [tlsa(record[0])]} if record else {}
        lab.peers[name] = lab.stack.enter_context(Peer(host, 25, own, starttls=name != 'stripped'))
        if name == 'backup':  # the first host has another key than it should, the second the right one
            second = lab.net.host('second', '192.0.2.40')
            cert = lab.certificate('mx2.backup.test')
            lab.peers['second'] = lab.stack.enter_context(Peer(second, 25, cert))
            hosts.append(second)
            more['_25._tcp.mx2'] = [tlsa(cert[0])]
        lab.zone(f'{name}.test', hosts, kind, more)
        if name in APART:
            lab.zones.add(f'_25._tcp.mx.{name}.test', {'@': [tlsa(other[0])]}, APART[name])
    lab.start_dns()
    lab.start_server({'relay': {'ca_file': lab.ca, 'mta_sts': False}})
    return lab


def relayed(lab, ident):
    return lab.server.wait_log(f'event=relayed id={ident}', 60)


def test_right(world):
    ident = world.send('bob@right.test')
    _, _, data, session = world.peers['right'].wait('bob@right.test')
    assert b'\r\n\r\nhello' in data and session.tls
    assert b'hello' not in world.peers['right'].clear and b'MAIL FROM' not in world.peers['right'].clear
    assert 'security=dane' in relayed(world, ident)
    assert world.wait_events(ident, 'attempted')[0]['security'] == 'dane'


def untouched(peer):
    """Nobody wrote a message to it, not even its envelope, not even encrypted."""
    return not peer.mail and not any(line.startswith(('MAIL', 'RCPT', 'DATA')) for s in peer.sessions for line in s.lines)


def test_wrong(world):
    ident = world.send('bob@wrong.test')
    row = world.why(ident, 'TLSA')
    assert row['status'].startswith('4.7.'), row
    peer = world.peers['wrong']
    assert peer.sessions and untouched(peer)
    # Again, by hand: it stays so, and never in clear.
    n = len(peer.sessions)
    world.server.cli('queue', 'retry', ident)
    world.wait_sessions(peer, n + 1)
    peer.idle()
    world.why(ident, 'TLSA')
    assert untouched(peer) and not any(s.tls is None and 'MAIL' in ' '.join(s.lines) for s in peer.sessions)
    # The peer gets its key in order.
    right = world.certificate('mx.wrong.test')
    peer.use(right)
    world.change('wrong.test', {'_25._tcp.mx': [tlsa(right[0])]})
    world.retried(ident)
    assert 'security=dane' in relayed(world, ident)


def test_bogus(world):
    ident = world.send('bob@bogus.test')
    row = world.why(ident, 'DNSSEC')
    assert row['status'].startswith('4.7.'), row
    assert not world.peers['bogus'].sessions, 'a domain whose signatures are wrong was connected to'
    begin = os.path.getsize(world.server.log_file)
    world.server.cli('queue', 'retry', ident)
    world.server.wait_log('event=site-unknown destination="mx bogus.test"', 60, begin)
    assert not world.peers['bogus'].sessions


def test_records_that_cannot_be_learned(world):
    """Whoever tampers with the TLSA records alone does not take them away (RFC 7672 2.1.1)."""
    ident = world.send('bob@locked.test')
    row = world.why(ident, 'TLSA')
    assert row['status'].startswith('4.7.'), row
    assert not world.peers['locked'].sessions


def test_unsigned_records_of_a_signed_host(world):
    """Nobody vouches for them: they count as none."""
    ident = world.send('bob@loose.test')
    assert world.peers['loose'].wait('bob@loose.test')[3].tls
    assert 'security=dane' not in relayed(world, ident)


def test_unsigned(world):
    """A TLSA record that is not signed is no promise, and no hindrance."""
    ident = world.send('bob@unsigned.test')
    assert world.peers['unsigned'].wait('bob@unsigned.test')[3].tls
    assert 'security=encrypted' in relayed(world, ident)


def test_none(world):
    ident = world.send('bob@none.test')
    assert world.peers['none'].wait('bob@none.test')[3].tls
    line = relayed(world, ident)
    assert 'security=encrypted' in line or 'security=verified' in line


def test_stripped(world):
    """Somebody takes STARTTLS out of what it says: DANE says that it must be there."""
    ident = world.send('bob@stripped.test')
    row = world.why(ident, 'STARTTLS')
    assert row['status'].startswith('4.7.'), row
    peer = world.peers['stripped']
    assert untouched(peer) and b'hello' not in peer.wire
    peer.starttls = True
    world.retried(ident)
    assert 'security=dane' in relayed(world, ident)


def test_backup(world):
    """The host that is not who it should be is passed over for one that is."""
    ident = world.send('bob@backup.test')
    assert world.peers['second'].wait('bob@backup.test')[3].tls
    assert untouched(world.peers['backup'])
    assert 'security=dane' in relayed(world, ident)
    assert [e['host'] for e in world.wait_events(ident, 'relayed')] == ['mx2.backup.test']
