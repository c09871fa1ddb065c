"""postern check in a network of its own: each state of a firewall made real, each fault of a server, and the
finding and verdict that must come of it.  A row a case."""
import json
import subprocess

import pytest

from peer import Peer, tlsa
from conftest import DNS

CHECKER, CHECKER6 = '192.0.2.9', '2001:db8::9'


class World:
    def __init__(self, lab, binary):
        self.lab, self.binary = lab, binary
        self.me = lab.net.host('me', CHECKER, CHECKER6)
        self.hosts = {}

    def check(self, *args, timeout=60):
        """(exit status, what it found)"""
        p = subprocess.run([*self.me.prefix(), self.binary, 'check', '--json', '--timeout', '2', '--no-old-tls', '--ca-file',
                            self.lab.ca, '--dns', DNS, '--trust-anchors', self.lab.zones.anchors, '--control', f'{DNS}:53', *args],
                           capture_output=True, text=True, timeout=timeout)
        assert p.stderr == '', p.stderr
        return p.returncode, json.loads(p.stdout)


def codes(found, port=None, levels=('warning', 'problem', 'alarm')):
    return {f['code'] for f in found['findings'] if f['level'] in levels and (port is None or f['port'] == port)}


def states(found, port):
    return [p['state'] for h in found['hosts'] for p in h['ports'] if p['port'] == port]


# A host each: what stands at which port, and which rules it has.  "tls" and "starttls" by a peer with a right
# certificate; what follows a blank makes it otherwise.
HOSTS = {
    'good': {25: 'starttls', 465: 'tls', 587: 'starttls', 2525: 'starttls'},
    'only587': {587: 'starttls'},
    'wrongname': {465: 'tls othername', 587: 'starttls othername'},
    'selfsigned': {465: 'tls selfsigned'},
    'stripped': {587: 'clear'},
    'odd': {465: 'starttls', 587: 'tls'},
    'fallback': {2525: 'starttls'},
}
# Of the host itself: its firewall.
DROPS = {'fallback': [465, 587]}
REJECTS = {}


@pytest.fixture(scope='module')
def world(lab, binary):
    w = World(lab, binary)
    for i, (name, ports) in enumerate(HOSTS.items()):
        host = lab.net.host(name, f'192.0.2.{60 + i}', f'2001:db8::{60 + i:x}')
        right, other = lab.certificate(f'mx.{name}.test'), lab.certificate('another.test')
        for port, what in ports.items():
            kind, *more = what.split()
            cert = other if 'othername' in more else self_signed(lab, f'mx.{name}.test') if 'selfsigned' in more else right
            lab.stack.enter_context(Peer(host, port, cert, implicit=kind == 'tls', starttls=kind == 'starttls',
                                         users={'ann': 'secret'} if port != 25 else None))
        lab.zone(f'{name}.test', [host], 'signed', {'_25._tcp.mx': [tlsa(right[0])], '_465._tcp.mx': [tlsa(right[0])]})
        rules = [f'in tcp dport {p} drop' for p in DROPS.get(name, [])]
        if rules:
            host.nft(*rules)
        w.hosts[name] = host
    lab.start_dns()
    return w


def self_signed(lab, name):
    folder = lab.folder
    subprocess.run(['openssl', 'req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-keyout', 'sk.pem', '-out', 's.pem', '-days', '2',
                    '-subj', '/CN=' + name, '-addext', 'subjectAltName=DNS:' + name], cwd=folder, check=True, capture_output=True)
    return tuple(open(f'{folder}/{f}').read() for f in ('s.pem', 'sk.pem'))


# host: the answer, the port to use, and findings of note that must be there (by port).
@pytest.mark.parametrize('name, answer, port, also, found', [
    ('good', 'use', 465, 587, {}),
    ('only587', 'use', 587, None, {465: {'refused'}, 25: {'refused'}}),
    ('wrongname', 'use-pinned', 465, 587, {465: {'certificate-name', 'dane-mismatch'}}),
    ('selfsigned', 'use-pinned', 465, None, {465: {'certificate-self-signed', 'dane-mismatch'}}),
    ('stripped', 'nothing', None, None, {587: {'no-starttls'}}),
    ('odd', 'use', 465, 587, {465: {'tls-unusual'}, 587: {'tls-unusual'}}),
    ('fallback', 'use', 2525, None, {465: {'filtered'}, 587: {'filtered'}}),
])
def test_a_host(world, name, answer, port, also, found):
    status, saw = world.check(f'mx.{name}.test')
    assert saw['verdict']['answer'] == answer, saw['findings']
    assert status == (0 if answer == 'use' else 1)
    if port:
        assert saw['verdict']['use']['port'] == port
        assert [a['port'] for a in saw['verdict']['also']][:1] == ([also] if also else [])
    for at, expected in found.items():
        assert expected <= codes(saw, at), saw['findings']
    for h in saw['hosts']:
        assert h['lookup'] is None and len(h['ports']) == 8


def test_dane_is_held_against_what_is_shown(world):
    _, saw = world.check('mx.good.test', '-p', '25,465,587')
    at = {(p['port'], ':' in p['address']): p['tls']['dane'] for p in saw['hosts'][0]['ports']}
    assert at == {(25, False): 'match', (25, True): 'match', (465, False): 'match', (465, True): 'match', (587, False): 'none',
                  (587, True): 'none'}


def test_domain_has_hosts(world):
    """By MX, where it has nothing else; and as other servers see it."""
    status, saw = world.check('good.test', '--mx')
    assert [h['host'] for h in saw['hosts']] == ['mx.good.test']
    assert saw['hosts'][0]['from'] == 'MX 10 of good.test'
    assert {p['port'] for p in saw['hosts'][0]['ports']} == {25}
    assert 'dane' in codes(saw, 25, ('good',))
    assert status == 0, saw['findings']


# What the checker's own network does: rules of its output, of its input, or of the host.
@pytest.mark.parametrize('rules, port, state, code, local', [
    (['out tcp dport 465 reject'], 465, 'refused', 'local-rule', True),
    (['out tcp dport 465 reject with icmpx admin-prohibited'], 465, 'prohibited', 'local-rule', True),
    (['in tcp sport 465 drop'], 465, 'filtered', 'filtered', False),
])
def test_own_firewall(world, rules, port, state, code, local):
    world.me.nft(*rules)
    try:
        _, saw = world.check('mx.good.test')
    finally:
        world.me.mend()
    assert set(states(saw, port)) == {state}, saw['hosts']
    assert code in codes(saw, port), saw['findings']
    assert {p['local'] for h in saw['hosts'] for p in h['ports'] if p['port'] == port} == {local}
    assert saw['verdict']['use']['port'] == 587


@pytest.mark.parametrize('rule, state, code', [
    ('in tcp dport 465 drop', 'filtered', 'filtered'),
    ('in tcp dport 465 reject with tcp reset', 'refused', 'refused'),
    ('in tcp dport 465 reject', 'refused', 'refused'),
    ('in tcp dport 465 reject with icmpx admin-prohibited', 'prohibited', 'prohibited'),
    ('in tcp dport 465 reject with icmpx host-unreachable', 'unreachable', 'unreachable'),
])
def test_firewall_of_the_host(world, rule, state, code):
    host = world.hosts['good']
    host.nft(rule)
    try:
        _, saw = world.check('mx.good.test')
    finally:
        host.mend()
    assert set(states(saw, 465)) == {state}, saw['hosts']
    assert code in codes(saw, 465), saw['findings']
    assert not any(p['local'] for p in saw['hosts'][0]['ports'])
    assert saw['verdict']['use']['port'] == 587


def test_ipv6_that_leads_nowhere(world):
    world.me.break_ipv6()
    try:
        _, saw = world.check('mx.good.test')
    finally:
        world.me.mend()
    assert 'ipv6-broken' in codes(saw), saw['findings']
    assert saw['verdict']['use'] == {'host': 'mx.good.test', 'port': 465, 'encryption': 'SSL/TLS'}


def test_no_network(world):
    world.me.nft('out meta l4proto tcp drop')
    try:
        status, saw = world.check('mx.good.test')
    finally:
        world.me.mend()
    assert saw['control'] == 'down' and 'no-network' in codes(saw), saw['findings']
    assert status == 1


def test_port_25_is_blocked(world):
    far = world.lab.net.host('far', '198.51.100.25')
    world.lab.stack.enter_context(Peer(far, 25, world.lab.certificate('mx.far.test')))
    world.me.drop(25)
    try:
        _, saw = world.check('--host', 'mx.good.test', '198.51.100.25')
        assert 'port-25-blocked' in codes(saw), saw['findings']
        assert saw['verdict']['use']['port'] == 465
    finally:
        world.me.mend()
    _, saw = world.check('--host', 'mx.good.test', '198.51.100.25')
    assert 'port-25-blocked' not in codes(saw)


def test_as_slow_as_the_slowest_port(world):
    """Eight looks at two silent ports and two good ones, over both families: not their sum."""
    _, saw = world.check('mx.fallback.test')
    assert saw['took_ms'] < 2 * 2000 + 1500
