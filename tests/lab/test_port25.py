"""The network blocks port 25, as clouds do: noticed, said once, waited for, and left behind without a herd."""
import datetime
import os
import time

import pytest

from peer import Peer

FAR = ['198.51.100.5', '203.0.113.5', '198.18.0.5', '198.19.0.5', '100.0.0.5', '101.0.0.5']  # all of different owners
WORDS = 'this network blocks outbound port 25'


@pytest.fixture(scope='module')
def world(lab):
    lab.peers = {}
    for i, address in enumerate(FAR):
        host = lab.net.host(f'far{i}', address)
        lab.peers[f'far{i}.test'] = lab.stack.enter_context(Peer(host, 25, lab.certificate(f'mx.far{i}.test')))
        lab.zone(f'far{i}.test', [host], 'unsigned')
    smart = lab.net.host('smart', '192.0.2.30')
    lab.smart = lab.stack.enter_context(Peer(smart, 465, lab.certificate('smart.test'), implicit=True, users={'me': 'secret'}))
    lab.start_dns()
    lab.us.nft('out tcp dport 25 tcp flags & (syn | ack) == syn counter', 'out tcp dport 25 drop')
    password = os.path.join(lab.folder, 'password')
    with open(password, 'w') as f:
        f.write('secret\n')
    lab.start_server({'relay': {'ca_file': lab.ca, 'mta_sts': False, 'connect_timeout': '3s'},
                      'routes': {'smart': {'to': ['by-smart.test'], 'via': 'smarthost', 'hosts': ['192.0.2.30'], 'port': 465,
                                           'tls': 'require', 'user': 'me', 'password_file': password}}})
    return lab


def syns(lab):
    out = lab.us.run('nft', 'list', 'chain', 'inet', 'lab', 'out').stdout
    return int(out.split('counter packets ')[1].split()[0])


def probes(begin):
    """SYNs that may be sent since then: of a connection a minute, each repeated."""
    return 3 * (1 + int((time.monotonic() - begin) / 60))


def wait_verdict(lab, blocked, timeout=120):
    deadline = time.monotonic() + timeout
    while True:
        relay = [r for r in lab.server.json('status')['roles'] if r['role'] == 'queue'][0]['relay']
        if relay['port25_blocked'] is blocked:
            return relay
        assert time.monotonic() < deadline, lab.server.log_text()[-3000:]
        time.sleep(0.1)


def test_noticed(world):
    """Some domains of different networks: their mail waits, and the network is what is blamed."""
    world.sent = {}
    for domain in list(world.peers)[:4]:
        world.sent[domain] = [world.send(f'bob@{domain}')]
    wait_verdict(world, True)
    for domain in list(world.peers):  # more for each, and for those that nobody has tried
        world.sent.setdefault(domain, []).extend(world.send(f'u{n}@{domain}') for n in range(3))
    for ident in sum(world.sent.values(), []):
        row = world.why(ident, WORDS, 60)
        assert not row.get('attempts') and row['state'] == 'queued', row
        assert world.server.json('queue', 'show', ident)['attempts'] <= 1  # none is behind it
    assert not any(p.sessions for p in world.peers.values())


def test_said_once(world):
    s = world.server
    assert s.log_text().count('event=port-25-blocked') == 1
    assert WORDS in s.wait_log('event=port-25-blocked') and ' crit ' in s.wait_log('event=port-25-blocked')
    assert WORDS in s.cli('status').stdout
    assert WORDS in s.cli('queue', 'list').stdout
    ident = world.sent['far0.test'][0]
    assert WORDS in s.cli('queue', 'show', ident).stdout
    assert WORDS in s.cli('trace', ident).stdout
    assert WORDS in s.cli('queue', 'summary').stdout
    assert WORDS in s.cli('route', 'bob@far0.test', check=False).stdout

    def alarms():
        return [line for line in s.cli('events', '--json', '--since', '1h').stdout.splitlines() if '"alarm"' in line]
    world.until(alarms)
    assert len(alarms()) == 1 and 'port-25-blocked' in alarms()[0]


def test_probes_are_sparing(world):
    """For a message more, nothing more is tried."""
    time.sleep(4)  # what was under way when it was noticed
    begin, before = time.monotonic(), syns(world)
    for n in range(5):
        for domain in world.peers:
            world.sent[domain].append(world.send(f'more{n}@{domain}'))
    time.sleep(4)
    assert syns(world) - before <= probes(begin), 'connections are tried that cannot stand'


def test_other_ports_go_on(world):
    ident = world.send('bob@by-smart.test')
    world.smart.wait('bob@by-smart.test')
    world.gone(ident)


def test_restart(world):
    """It is remembered, and nothing is tried at once."""
    begin, before = time.monotonic(), syns(world)
    world.server.stop()
    world.server.start()
    relay = wait_verdict(world, True)
    assert WORDS in relay['alarm']
    for domain in world.peers:
        world.sent[domain].append(world.send(f'after@{domain}'))
        world.why(world.sent[domain][-1], WORDS)
        world.why(world.sent[domain][0], WORDS)
    assert syns(world) - before <= probes(begin)


def test_mended(world):
    """An operator tries one message again: that finds the way free, and all goes, over few connections."""
    # By itself it would look again later.
    world.until(lambda: wait_verdict(world, True)['next_probe'] > (time.time() + 20) * 1000, 120)
    probe = wait_verdict(world, True)['next_probe'] / 1000
    world.us.mend()
    total = {d: len(v) for d, v in world.sent.items()}
    begin = time.monotonic()
    world.server.cli('queue', 'retry', world.sent['far0.test'][0])
    free = world.server.wait_log('event=port-25-open', 120)
    assert datetime.datetime.fromisoformat(free.split()[0].replace('Z', '+00:00')).timestamp() < probe
    while any(len(p.mail) < total[d] for d, p in world.peers.items()):
        assert time.monotonic() < begin + 120, {d: (len(p.mail), total[d]) for d, p in world.peers.items()}
        time.sleep(0.1)
    wait_verdict(world, False)
    for ident in sum(world.sent.values(), []):
        world.gone(ident)
    assert world.server.log_text().count('event=port-25-open') == 1
    for domain, peer in world.peers.items():
        assert len(peer.mail) == total[domain], 'twice'
        assert len(peer.sessions) <= 6, len(peer.sessions)
    assert not any('failed' in line or 'expired' in line for line in world.server.log_text().splitlines() if 'role=queue' in line)
