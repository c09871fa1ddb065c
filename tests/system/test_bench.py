"""`make bench`: its loader does what it says, and every scenario works.  Nothing here looks at a speed."""
import concurrent.futures
import json
import os
import re
import subprocess
import sys
import tempfile
import time

import pytest

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, TOP)

from bench import machine  # noqa: E402


@pytest.fixture(scope='module')
def loader(binary):
    folder = os.path.dirname(binary)
    if not os.path.exists(os.path.join(folder, 'bench-load')):
        pytest.fail(f'there is no bench-load beside {binary}: run scripts/build test')
    return machine.Loader(folder)


def wait_count(server, address, n):
    deadline = time.monotonic() + 60
    while len(server.messages(address)) < n and time.monotonic() < deadline:
        time.sleep(0.05)
    return server.messages(address)


def connected(port):
    """How many clients here have a connection to it, or have not looked yet whether it is closed."""
    with open(f'/proc/{os.getpid()}/net/tcp') as f:
        lines = [line.split() for line in f if ':' in line]
    return sum(there.endswith(f':{port:04X}') and state in ('01', '08') for _, _, there, state, *_ in lines)


@pytest.mark.parametrize('port, options', [
    ('relay', {}),
    ('relay', {'per_connection': 4}),
    ('relay', {'starttls': True}),
    ('submissions', {'tls': True, 'auth': 'ann@example.org:correct horse battery', 'from': 'ann@example.org'}),
    ('submission', {'starttls': True, 'per_connection': 3, 'auth': 'ann@example.org:correct horse battery',
                    'from': 'ann@example.org'}),
    ('relay', {'size': 300000}),
    ('relay', {'size': 300000, 'starttls': True}),
], ids=lambda v: v if isinstance(v, str) else '-'.join(sorted(v)) or 'plain')
def test_every_message_arrives_whole(server, loader, port, options):
    before = server.messages('bob@example.org')
    result = loader.run(server.port[port], sessions=4, messages=10, **options)
    assert result['messages'] == 10 and result['lost'] == 0
    assert 0 < result['p50_ms'] <= result['p99_ms'] <= result['max_ms']
    assert 0 < result['whole_p50_ms'] <= result['whole_p99_ms'] <= result['whole_max_ms']
    assert result['connections'] >= 10 // options.get('per_connection', 1)
    got = [m for m in wait_count(server, 'bob@example.org', len(before) + 10) if m not in before]
    assert len(got) == 10
    size = options.get('size', 4096)
    for message in got:
        body = message[message.index(b'From: <'):].replace(b'\r\n', b'\n').replace(b'\n', b'\r\n')
        assert size <= len(body) <= size + 1


def test_messages_of_every_size_end_where_they_should(server, loader):
    before = len(server.messages('bob@example.org'))
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        for result in pool.map(lambda size: loader.run(server.port['relay'], sessions=1, messages=1, size=size),
                               range(4096, 4096 + 64)):  # the last line in every length
            assert result['messages'] == 1
    assert len(wait_count(server, 'bob@example.org', before + 64)) == before + 64


def test_recipients_are_named_in_turn(server, loader):
    for i in range(3):
        server.cli('account', 'add', f'user{i}@example.org', '--no-password')
    loader.run(server.port['relay'], sessions=2, messages=4, recipients=3, to='user%u@example.org', to_count=3)
    for i in range(3):
        assert len(wait_count(server, f'user{i}@example.org', 4)) == 4


def test_logins_without_messages(server, loader):
    before = len(server.messages('bob@example.org'))
    result = loader.run(server.port['submissions'], sessions=2, messages=6, per_connection=0, tls=True,
                        auth='ann@example.org:correct horse battery')
    assert result['messages'] == result['connections'] == 6
    assert len(server.messages('bob@example.org')) == before


def test_time_ends_a_run(server, loader):
    result = loader.run(server.port['relay'], sessions=2, messages=100000000, seconds=1)
    assert 0 < result['messages'] < 100000000 and result['seconds'] >= 1


@pytest.mark.parametrize('options, said', [
    ({'to': 'nobody@example.org'}, 'at RCPT the server answered: 550'),
    ({'size': 60000000}, 'at '),
    ({'tls': True}, 'at '),
], ids=['recipient', 'size', 'no-tls-there'])
def test_what_goes_wrong_ends_the_run(server, loader, options, said):
    with pytest.raises(RuntimeError, match=re.escape(said)):
        loader.run(server.port['relay'], sessions=1, messages=1, **options)


@pytest.mark.parametrize('options', [{}, {'starttls': True}, {'drip': 50}], ids=['plain', 'tls', 'drip'])
def test_connections_are_held(server, loader, options):
    with loader.hold(server.port['relay'], 15, **options) as held:
        assert held['held'] == 15
        with open(f'/proc/{os.getpid()}/net/tcp') as f:
            here = f':{server.port["relay"]:04X}'
            assert sum(line.split()[1].endswith(here) and line.split()[3] == '01' for line in f if ':' in line) == 15
        time.sleep(0.3)


def test_a_closed_connection_is_told(server, make_server, loader):
    with pytest.raises(RuntimeError, match='3 of 3 connections were closed'):
        with make_server({'listeners': {'relay': {'command_timeout': '1s'}}}) as s:
            with loader.hold(s.port['relay'], 3):
                deadline = time.monotonic() + 60
                while connected(s.port['relay']):
                    assert time.monotonic() < deadline
                    time.sleep(0.05)


def run_bench(binary, tmp_path_factory, *args):
    """Its figures by their names, what it printed, and what it left behind."""
    folder = tmp_path_factory.mktemp('bench')
    out, page = folder / 'figures.json', folder / 'page.md'
    page.write_text('# A page\n\n## Measured\n\nlong ago\n')
    with tempfile.TemporaryDirectory(prefix='pb-', dir='/var/tmp') as room:
        os.chmod(room, 0o755)  # the servers' users come through it
        done = subprocess.run([os.path.join(TOP, 'scripts/bench'), '--tiny', '--runs', '1', '--seconds', '1', '--json', str(out), '--doc', str(page),
                               '--programs', os.path.dirname(binary), *args], capture_output=True, text=True, timeout=800,
                              env=dict(os.environ, BENCH_DIR=room))
        left = os.listdir(room)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    text = page.read_text()
    assert text.startswith('# A page\n\n## Measured\n') and 'long ago' not in text and '**Messages delivered' in text
    return {f['name']: f for f in json.loads(out.read_text())['figures']}, done.stdout, left


@pytest.fixture(scope='module')
def figures(binary, tmp_path_factory):
    return run_bench(binary, tmp_path_factory, '--alone')


@pytest.mark.parametrize('name, series', [
    ('accepted-1', 'Postern'), ('accepted-100', 'Postern'), ('slow-disk', 'syncs a message, 50 sessions'),
    ('delivered-1', 'Postern'), ('delivered-5', 'Postern'), ('starttls', 'Postern'), ('logins', 'first'),
    ('logins', 'remembered'), ('idle', 'Postern, 200 plain'), ('idle', 'Postern, 200 TLS 1.3'),
    ('drip', 'messages a second, beside 100'), ('large', 'messages of 4 MB, one recipient'),
    ('relayed-1', 'Postern'), ('relayed-5', 'Postern'), ('relayed-1-tls', 'Postern'), ('long-queue', 'all are loaded after (s)'),
    ('merge', 'to a Postern, TLS and a login')])
def test_every_scenario_gives_its_figure(figures, name, series):
    by_name, out, _ = figures
    if name not in by_name:
        left_out = re.search(rf'\[({name}|{name.rsplit("-", 1)[0]})\] is left out: (.*)', out)
        assert left_out, out
        assert name.startswith('relayed') or left_out[2].startswith('only root')
        pytest.skip(left_out[2])
    assert by_name[name]['series'][series] and all(v > 0 for v in by_name[name]['series'][series])


def test_nothing_is_left_behind(figures):
    assert figures[2] == []


def test_the_peer_is_measured_or_missed_aloud(binary, tmp_path_factory):
    by_name, _, left = run_bench(binary, tmp_path_factory, 'delivered')
    assert left == []
    for figure in by_name.values():
        assert 'Postfix' in figure['series'] or any(n.startswith('Postfix is left out: ') for n in figure['notes'])
