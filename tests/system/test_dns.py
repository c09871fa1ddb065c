"""The resolver against a real name server: what is found, what is proven, and what goes wrong."""
import json
import os
import subprocess
import sys
import time

import pytest

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(TOP, 'tests'))

from zones import Zones  # noqa: E402

LONG = ' '.join(f'"{chr(97 + i % 26) * 250}"' for i in range(8))


@pytest.fixture(scope='module')
def zones():
    z = Zones()
    z.add('a.test', {
        '@': ['MX 20 mx2', 'MX 10 mx', 'TXT "v=spf1 " "-all"'],
        'mx': ['A 127.0.0.2', 'AAAA ::2'],
        'mx2': ['A 127.0.0.3'],
        '_25._tcp.mx': ['TLSA 3 1 1 ' + '0123456789abcdef' * 4],
        'alias': ['CNAME mx'],
        'out': ['CNAME plain.b.test.'],
        'long': [f'TXT {LONG}'],
        '_submission._tcp': ['SRV 0 1 587 mx'],
        'kept': ['60 A 127.0.0.6'],
        'loop': ['CNAME loop2'],
        'loop2': ['CNAME loop'],
    })
    z.add('b.test', {'@': ['MX 10 mx'], 'plain': ['A 127.0.0.4'], 'in': ['CNAME mx.a.test.']}, kind='unsigned')
    z.add('bad.test', {'@': ['MX 10 mx'], 'mx': ['A 127.0.0.5']}, kind='bogus')
    z.add('old.test', {'@': ['MX 10 mx']}, kind='expired')
    z.add('mute.test', {'@': ['MX 10 mx']}, kind='silent')
    z.add('ill.test', {'@': ['MX 10 mx']}, kind='broken')
    with z:
        yield z


def ask_all(binary, lines, *args, under=(), anchors=None, timeout=300):
    """What dns-ask prints, as a list; its end must be clean."""
    cmd = [*under, os.path.join(os.path.dirname(binary), 'dns-ask'), *args]
    if anchors:
        cmd += ['-a', anchors]
    # LeakSanitizer does not work behind walls.
    env = dict(os.environ, ASAN_OPTIONS='detect_leaks=0' if '-w' in args or under else 'detect_leaks=1')
    p = subprocess.run(cmd, input='\n'.join(lines) + '\n', capture_output=True, text=True, timeout=timeout, env=env)
    assert p.returncode == 0 and p.stderr == '', (p.returncode, p.stderr[-3000:])
    return [json.loads(line) for line in p.stdout.splitlines()]


@pytest.fixture
def ask(binary, zones):
    def go(*lines, args=()):
        return ask_all(binary, lines, '-s', f'127.0.0.1:{zones.port}', *args, anchors=zones.anchors)
    return go


# A question, then: status, secure, records.
TABLE = [
    ('MX a.test', 'ok', True, [[10, 'mx.a.test'], [20, 'mx2.a.test']]),
    ('MX A.TEST', 'ok', True, [[10, 'mx.a.test'], [20, 'mx2.a.test']]),
    ('A mx.a.test', 'ok', True, ['127.0.0.2']),
    ('AAAA mx.a.test', 'ok', True, ['::2']),
    ('TXT a.test', 'ok', True, ['v=spf1 -all']),
    ('TLSA _25._tcp.mx.a.test', 'ok', True, [[3, 1, 1, '0123456789abcdef' * 4]]),
    ('SRV _submission._tcp.a.test', 'ok', True, [[0, 1, 587, 'mx.a.test']]),
    ('CNAME alias.a.test', 'ok', True, ['mx.a.test']),
    ('A alias.a.test', 'ok', True, ['127.0.0.2']),
    # Absence is proven, too.
    ('MX mx.a.test', 'nodata', True, []),
    ('MX none.a.test', 'nxdomain', True, []),
    ('TLSA _25._tcp.mx2.a.test', 'nxdomain', True, []),
    # An unsigned delegation: nothing is, also on the way into it or out of it.
    ('MX b.test', 'ok', False, [[10, 'mx.b.test']]),
    ('MX none.b.test', 'nxdomain', False, []),
    ('A out.a.test', 'ok', False, ['127.0.0.4']),
    ('A in.b.test', 'ok', False, ['127.0.0.2']),
    # What goes wrong has a name.
    ('MX bad.test', 'bogus', False, []),
    ('A none.bad.test', 'bogus', False, []),
    ('MX old.test', 'bogus', False, []),
    ('MX ill.test', 'servfail', False, []),
    ('A loop.a.test', 'servfail', False, []),
]


def test_table(ask):
    """All at once, over one resolver."""
    found = {(a['type'] + ' ' + a['name'], len(a['records'])): a for a in ask(*(row[0] for row in TABLE))}
    wrong = []
    for line, status, secure, records in TABLE:
        kind, name = line.split()
        a = found[(f'{kind} {name.lower()}', len(records))]
        if (a['status'], a['secure'], sorted(a['records'], key=str)) != (status, secure, records):
            wrong.append((line, a))
    assert not wrong


def test_why_it_is_bogus(ask):
    a, b = ask('MX bad.test', 'MX old.test')
    assert a['why'] and b['why'] and a['ttl'] == 0
    assert 'expired' in a['why'] + b['why']


def test_alias_is_named(ask):
    a, = ask('A alias.a.test')
    assert a['alias'] and a['canonical'] == 'mx.a.test'


def test_large_answers_come_over_tcp(ask):
    a, = ask('TXT long.a.test')
    assert a['status'] == 'ok' and a['secure'] and len(a['records'][0]) == 2000


def test_silence_ends_in_time(ask):
    a, = ask('MX mute.test', args=['-t', '1500'])
    assert a['status'] == 'timeout' and 1400 < a['ms'] < 20000


def test_silence_hinders_nobody(ask):
    answers = ask('MX mute.test', 'MX a.test', 'MX b.test', args=['-t', '10000'])
    # In the order in which they came; and the resolver gives up by itself before our time is over.
    assert [a['status'] for a in answers[:2]] == ['ok', 'ok'] and answers[2]['status'] in ('timeout', 'servfail')


def test_too_many_at_once(ask):
    *answers, status = ask(*['MX mute.test'] * 30, 'MX a.test', 'status', args=['-t', '5000', '-q', '20'])
    assert sum(a['status'] == 'memory' for a in answers) == 11
    assert status['refused'] == 11


@pytest.mark.parametrize('question, pause, again', [('A kept.a.test', 1500, False), ('MX a.test', 2200, True)])
def test_cached_for_its_time(binary, zones, question, pause, again):
    """What is asked a second time, a while after the first answer; a question in vain may be repeated."""
    kind, name = question.split()
    with subprocess.Popen([os.path.join(os.path.dirname(binary), 'dns-ask'), '-s', f'127.0.0.1:{zones.port}', '-a', zones.anchors],
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as p:
        for wait in (pause, 1):
            begin = len(zones.asked)
            p.stdin.write(f'{question}\nsleep {wait}\nstatus\n')
            p.stdin.flush()
            assert json.loads(p.stdout.readline())['status'] == 'ok'
            assert 'asked' in json.loads(p.stdout.readline())
        assert ((name, kind) in zones.asked[begin:]) == again
        p.stdin.close()
        assert p.wait(60) == 0


def test_changes_are_seen(ask, zones):
    records = zones.zones['b.test'].records
    zones.change('b.test', {'@': ['MX 5 other']})
    try:
        assert ask('MX b.test')[0]['records'] == [[5, 'other.b.test']]
    finally:
        zones.change('b.test', records)


def test_without_anchors_nothing_is_secure_or_bogus(binary, zones):
    a, b, status = ask_all(binary, ['MX a.test', 'MX bad.test', 'status'], '-s', f'127.0.0.1:{zones.port}')
    assert (a['status'], a['secure'], b['status'], b['secure']) == ('ok', False, 'ok', False)
    assert status['way'] == 'servers' and not status['validates']


def test_behind_the_walls(ask):
    """The same where no file can be opened, from the first question on."""
    answers = ask('MX a.test', 'MX bad.test', 'TXT long.a.test', args=['-w'])
    assert sorted(a['status'] for a in answers) == ['bogus', 'ok', 'ok']


def test_hosts_file(ask, tmp_path):
    hosts = tmp_path / 'hosts'
    hosts.write_text('127.0.0.1 localhost\n# a comment\n192.0.2.7 mail.corp MAIL # the smart host\n2001:db8::7 mail\n'
                     '192.0.2.8 mx.a.test\n')
    answers = ask('host A mail', 'sleep 1', 'host AAAA mail', 'sleep 1', 'host AAAA mail.corp', 'sleep 1', 'host A mx.a.test',
                  'sleep 1', 'A mx.a.test', args=['-h', str(hosts)])
    assert [(a['status'], a['records']) for a in answers] == [
        ('ok', ['192.0.2.7']), ('ok', ['2001:db8::7']), ('nodata', []), ('ok', ['192.0.2.8']), ('ok', ['127.0.0.2'])]
    assert not answers[3]['secure'] and answers[4]['secure']


def test_search_list(ask, tmp_path):
    conf = tmp_path / 'resolv.conf'
    conf.write_text('search none.test a.test\nnameserver 127.0.0.1\n')
    answers = ask('host A mx', 'sleep 1', 'host A nowhere', 'sleep 1', 'host A mx.a.test', 'sleep 1', 'A mx',
                  args=['-r', str(conf)])
    assert [(a['status'], a['canonical']) for a in answers] == [
        ('ok', 'mx.a.test'), ('nxdomain', 'nowhere'), ('ok', 'mx.a.test'), ('nxdomain', 'mx')]


def test_a_server_tells_whom_it_asks(make_server, zones):
    with make_server(zones.config()) as s:
        assert 'signatures are checked' in s.wait_log('event=dns')
        smtp = [r for r in s.json('status')['roles'] if r['role'] == 'smtp']
        assert all((r['dns']['asked'], r['dns']['validates']) == ('servers', True) for r in smtp)
        assert s.log_text().count('event=dns ') == 1


def test_a_server_without_its_files_starts(make_server):
    config = {'dns': {'trust_anchors': '/nonexistent/anchors', 'hosts': '/nonexistent/hosts', 'servers': ['127.0.0.1:9']}}
    with make_server(config) as s:
        assert 'no DANE' in s.wait_log('event=dns ')
        assert s.log_text().count('event=dns-file-unreadable') >= 2


# ---- where to ask: each in a network namespace of its own ----

full = pytest.mark.skipif('POSTERN_FULL' not in os.environ, reason='takes its time: make test-full')


def in_namespace(binary, case):
    if os.getuid() != 0:
        pytest.skip('needs root')
    p = subprocess.run(['unshare', '-n', sys.executable, os.path.join(TOP, 'tests/dns/namespace.py'), case,
                        os.path.join(os.path.dirname(os.path.abspath(binary)), 'dns-ask')],
                       capture_output=True, text=True, timeout=300)
    assert p.returncode == 0, p.stderr[-3000:]
    *answers, status = [json.loads(line) for line in p.stdout.splitlines()]
    return {a['name']: (a['status'], a['secure']) for a in answers}, (status['way'], status['validates'])


def test_recursion_from_the_root(binary):
    answers, way = in_namespace(binary, 'recursion')
    assert way == ('recursion', True)
    assert answers == {'a.example': ('ok', True), 'mx.b.example': ('ok', False), 'out.a.example': ('ok', False),
                       'bad.example': ('bogus', False), 'none.example': ('nxdomain', True)}


def test_port_53_is_blocked(binary):
    """Found out behind the walls, and the server of resolv.conf is asked, signatures included."""
    answers, way = in_namespace(binary, 'blocked')
    assert way == ('blocked', True)
    assert answers == {'a.test': ('ok', True), 'bad.test': ('bogus', False)}


def test_port_53_is_blocked_and_signatures_are_kept_from_us(binary):
    answers, way = in_namespace(binary, 'stripped')
    assert way == ('blocked', False) and answers == {'a.test': ('ok', False)}


@full
def test_unless_they_must_be_checked(binary):
    answers, way = in_namespace(binary, 'stripped_strict')
    assert way == ('blocked', True) and answers == {'a.test': ('bogus', False)}


@full
def test_a_network_that_is_down_is_not_one_that_blocks(binary):
    answers, way = in_namespace(binary, 'down')
    assert way == ('recursion', True) and answers == {'a.example': ('timeout', False)}
