"""Where mail can never go: hosts that certainly have no address, ourselves, and what a hostile DNS says."""
import os
import smtplib
import sys
import time

import pytest
from server import PATIENCE
from smtp_peer import SmtpPeer

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from zones import Zones  # noqa: E402

HOSTNAME = 'mx.us.test'
MANY = 1500


def odd_names():
    """Names that no host has: octets by their numbers, as a zone file writes them."""
    long = '.'.join(['a' * 63] * 3 + ['b' * 61])
    return [r'mx\032with\032blanks.odd.test.', r'mx\010\013newline.odd.test.', r'mx\000\001\127.odd.test.', r'\034quoted\034.odd.test.',
            r'\200\255\252.odd.test.', r'a\.dot.odd.test.', r'\036\(id\).odd.test.', r'back\\slash.odd.test.', '-.odd.test.', '1.2.3.4.', long + '.']


@pytest.fixture(scope='module')
def world(make_server):
    z = Zones()
    z.add('gone.test', {'@': ['MX 10 one', 'MX 20 two'], 'two': ['TXT "no address"']})
    z.add('implicit.test', {'@': ['TXT "neither"']})
    z.add('half.test', {'@': ['MX 10 one', 'MX 20 mx.ill.test.']})
    z.add('ill.test', {'@': ['MX 10 mx']}, kind='broken')
    z.add('forged.test', {'@': ['MX 10 mx.bad.test.']})
    z.add('bad.test', {'mx': ['A 127.0.0.1']}, kind='bogus')
    z.add('us.test', {'@': ['MX 10 mx'], 'mx': ['A 192.0.2.1']})
    z.add('named.test', {'@': ['MX 10 mx.us.test.', 'MX 10 mx', 'MX 20 mx'], 'mx': ['A 127.0.0.1']})
    z.add('better.test', {'@': ['MX 5 mx', 'MX 10 mx.us.test.', 'MX 20 none'], 'mx': ['A 127.0.0.1']})
    z.add('address.test', {'@': ['MX 10 mx'], 'mx': ['A 127.0.0.1']})
    z.add('zero.test', {'@': ['MX 10 mx'], 'mx': ['A 0.0.0.0', 'AAAA ::ffff:127.0.0.1']})
    z.add('cast.test', {'@': ['MX 10 mx'], 'mx': ['A 224.0.0.1', 'A 255.255.255.255', 'AAAA fe80::1', 'AAAA ff02::1']})
    z.add('chain.test', {'@': ['MX 10 c0'], **{f'c{i}': [f'CNAME c{i + 1}'] for i in range(30)}, 'c30': ['A 127.0.0.1']})
    z.add('ring.test', {'@': ['MX 10 r0'], 'r0': ['CNAME r1'], 'r1': ['CNAME r0']})
    z.add('odd.test', {'@': [f'MX 10 {n}' for n in odd_names()]}, kind='unsigned')
    z.add('many.test', {'@': [f'MX {60000 - n} h{n}' for n in range(MANY)] + ['MX 1 mx'], 'mx': ['A 127.0.0.1']}, kind='unsigned')
    z.add('lost.test', {'@': [f'MX {60000 - n} h{n}' for n in range(MANY)] + ['MX 1 mx.us.test.']}, kind='unsigned')
    z.add('huge.test', {'@': [f'MX 10 h{n}' for n in range(6000)]}, kind='unsigned')  # more than a message of the DNS holds
    with z, SmtpPeer() as peer:
        config = {**z.config(), 'hostname': HOSTNAME, 'postmaster': 'postmaster@example.org', 'smtp_processes': 2,
                  'relay': {'loopback': True, 'mta_sts': False}, 'listeners': {'relay': {'relay_from': ['127.0.0.1']}}}
        config['dns']['timeout'] = '20s'
        config['routes'] = {'all': {'to': ['*'], 'via': 'mx', 'port': peer.port}}
        with make_server(config) as s:
            s.cli('domain', 'add', 'example.org')
            s.account('ann@example.org', 'correct horse battery')
            yield s, z, peer


def submit(s, to, subject='x'):
    begin = os.path.getsize(s.log_file)
    with smtplib.SMTP('127.0.0.1', s.port['relay'], timeout=PATIENCE) as c:
        assert not c.sendmail('ann@example.org', [to], f'Subject: {subject}\r\n\r\nhello\r\n')
    line = s.wait_log('event=accepted', begin=begin)
    return begin, line.split(' id=')[1].split()[0]


failed = []


def is_printable(text):
    return all(c == '\n' or ' ' <= c <= '~' for c in text)


CLASSES = {'5.1.2': 'no-such-domain', '5.4.4': 'no-such-domain', '5.4.6': 'loop'}


def fails(s, to, status, *words):
    """It fails at once, and all that is shown of it is printable."""
    begin, ident = submit(s, to)
    line = s.wait_log('event=failed', begin=begin)
    assert status in line, line
    assert 'class=' + CLASSES[status] in line, line
    for w in words:
        assert w in line, (w, line)
    failed.append((to, status, words))
    for shown in (s.cli('trace', ident).stdout, s.cli('route', to).stdout, s.cli('events').stdout, s.log_text(begin)):
        assert is_printable(shown), shown


def waits(s, to, status, words):
    begin, ident = submit(s, to)
    deadline = time.monotonic() + 2 * PATIENCE
    while True:
        row = s.json('queue', 'show', ident)['to'][0]
        if words in row.get('reason', ''):
            break
        assert time.monotonic() < deadline, (row, s.log_text(begin)[-3000:])
        time.sleep(0.1)
    assert row['status'] == status, row
    s.cli('queue', 'remove', ident)


def test_no_host_has_an_address(world):
    s, _, _ = world
    fails(s, 'a@gone.test', '5.4.4', 'the mail server of gone.test')


def test_neither_mx_nor_address(world):
    fails(world[0], 'a@implicit.test', '5.1.2', 'neither a mail server nor an address')


@pytest.mark.parametrize('domain, status, words', [('half.test', '4.4.3', 'mx.ill.test'), ('forged.test', '4.7.5', 'mx.bad.test')])
def test_what_is_not_certain_waits(world, domain, status, words):
    """One host that may have an address is enough."""
    waits(world[0], 'a@' + domain, status, words)


def test_our_name_is_in_the_list(world):
    """Also where an equal has an address; and what to do is said."""
    s, _, peer = world
    before = peer.connects
    fails(s, 'a@named.test', '5.4.6', 'loops back', HOSTNAME, 'add the domain here or a route for it, or correct its MX')
    assert peer.connects == before


def test_better_hosts_than_us(world):
    s, _, peer = world
    begin, _ = submit(s, 'a@better.test', 'better')
    s.wait_log('event=relayed', begin=begin)
    assert peer.taken['better', 'a@better.test'] == 1


def change_routes(s, port, loopback=True):
    s.config['routes']['all']['port'] = port
    s.config['relay']['loopback'] = loopback
    s.write_config()
    assert not s.json('reload')['restart_needed']


def test_our_address(world):
    """A listener of ours, and with relay.loopback: no all of the loopback, however it is written."""
    s, _, peer = world
    before = peer.connects
    change_routes(s, s.port['relay'])
    try:
        fails(s, 'a@address.test', '5.4.6', 'mx.address.test')
        change_routes(s, peer.port, loopback=False)
        assert 'loops back' in ' '.join(s.cli('route', 'a@zero.test').stdout.split())
        fails(s, 'b@address.test', '5.4.6', 'mx.address.test')
        fails(s, 'a@zero.test', '5.4.6', 'mx.zero.test')
        fails(s, 'a@[127.0.0.1]', '5.4.6', '[127.0.0.1]')
    finally:
        change_routes(s, peer.port)
    assert peer.connects == before


def test_no_address_of_a_host(world):
    fails(world[0], 'a@cast.test', '5.4.4', 'mx.cast.test')


@pytest.mark.parametrize('step, said', [('ehlo', f'250-{HOSTNAME} hello\n250 STARTTLS'), ('greeting', f'220 {HOSTNAME} ESMTP')])
def test_it_says_our_name(world, step, said):
    s, _, peer = world
    peer.answer[step] = said
    try:
        fails(s, f'{step}@address.test', '5.4.6', 'loops back')
    finally:
        peer.right()


@pytest.mark.parametrize('domain', ['chain.test', 'ring.test'])
def test_aliases_without_end(world, domain):
    """May be mended: it waits."""
    waits(world[0], 'a@' + domain, '4.4.3', domain)


def test_odd_names(world):
    fails(world[0], 'a@odd.test', '5.4.4')


def test_thousands_of_hosts(world):
    """The best is found among them, and we are."""
    s, _, peer = world
    begin, _ = submit(s, 'a@many.test', 'many')
    s.wait_log('event=relayed', begin=begin)
    assert peer.taken['many', 'a@many.test'] == 1
    fails(s, 'a@lost.test', '5.4.6', HOSTNAME)
    waits(s, 'a@huge.test', '4.4.3', 'huge.test')


def test_their_senders_are_told(world):
    """In the same words, printable, in lines that mail may have."""
    s, _, _ = world
    assert failed
    for to, status, words in failed:
        report = s.wait_message('ann@example.org', to.encode()).decode()
        assert f'Status: {status}' in report
        assert is_printable(report.replace('\r\n', '\n').replace('\t', ' ')), report
        assert max(len(line) for line in report.splitlines()) <= 998 and len(report) < 20000
        for w in words:
            assert w in ' '.join(report.split()), (w, report)
