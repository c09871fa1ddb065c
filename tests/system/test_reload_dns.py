"""What is known of the DNS, and of the files of the system, changes while the server runs; sessions and mail stay."""
import os
import smtplib
import sys
import time

import pytest
from server import PATIENCE
from smtp_peer import SmtpPeer

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from zones import Zones  # noqa: E402


@pytest.fixture(scope='module')
def world(make_server, tmp_path_factory):
    folder = tmp_path_factory.mktemp('files')
    hosts, resolv_conf = folder / 'hosts', folder / 'resolv.conf'
    hosts.write_text('127.0.0.9 other.corp\n')
    resolv_conf.write_text('nameserver 127.0.0.1\n')
    for f in (folder, *folder.parents):
        if not os.stat(f).st_mode & 1:
            os.chmod(f, 0o755)
    z = Zones()
    z.add('a.test', {'@': ['MX 10 mx'], 'mx': ['A 127.0.0.1']})
    z.add('bad.test', {'@': ['MX 10 mx'], 'mx': ['A 127.0.0.1']}, kind='bogus')
    with z, SmtpPeer() as peer:
        config = {'relay': {'loopback': True, 'mta_sts': False}, 'listeners': {'relay': {'relay_from': ['127.0.0.1']}}, 'smtp_processes': 2,
                  'dns': {'hosts': str(hosts), 'resolv_conf': str(resolv_conf), 'servers': ['127.0.0.1:1'], 'timeout': '10s'},
                  'routes': {'corp': {'to': ['corp.test'], 'via': 'host', 'hosts': ['mail.corp'], 'port': peer.port},
                             'all': {'to': ['*'], 'via': 'mx', 'port': peer.port}}}
        with make_server(config) as s:
            s.cli('domain', 'add', 'example.org')
            s.account('ann@example.org', 'correct horse battery')
            yield s, z, peer, hosts


def submit(s, to, subject):
    begin = os.path.getsize(s.log_file)
    with smtplib.SMTP('127.0.0.1', s.port['relay'], timeout=PATIENCE) as c:
        assert not c.sendmail('ann@example.org', [to], f'Subject: {subject}\r\n\r\nhello\r\n')
    return s.wait_log('event=accepted', begin=begin).split(' id=')[1].split()[0]


def reload(s, **dns):
    s.config['dns'] = {**s.config['dns'], **dns}
    s.write_config()
    assert not s.json('reload')['restart_needed']


def taken(s, peer, subject, timeout=2 * PATIENCE):
    deadline = time.monotonic() + timeout
    while not any(k[0] == subject for k in peer.taken):
        assert time.monotonic() < deadline, s.log_text()[-3000:]
        s.cli('queue', 'retry', '--all', check=False)
        time.sleep(0.3)


def dns_of(s):
    return {(r['dns']['asked'], r['dns']['validates']) for r in s.json('status')['roles'] if r['role'] == 'smtp'}


def test_other_servers(world):
    """And anchors: from now on signatures are checked; who is in a session stays in it."""
    s, z, peer, _ = world
    submit(s, 'bob@a.test', 'one')
    time.sleep(1)
    assert not peer.taken
    pids = sorted(s.pids()['smtp'])
    with smtplib.SMTP('127.0.0.1', s.port['relay'], timeout=30) as c:
        c.ehlo('c')
        c.mail('ann@example.org')
        reload(s, servers=[f'127.0.0.1:{z.port}'], trust_anchors=z.anchors)
        assert c.rcpt('ann@example.org')[0] == 250 and c.data('Subject: in\r\n\r\nx\r\n')[0] == 250
    taken(s, peer, 'one')
    assert dns_of(s) == {('servers', True)}
    ident = submit(s, 'bob@bad.test', 'two')
    deadline = time.monotonic() + 2 * PATIENCE
    while 'signatures' not in s.json('queue', 'show', ident)['to'][0].get('reason', ''):
        assert time.monotonic() < deadline, s.json('queue', 'show', ident)
        time.sleep(0.2)
    reload(s, validate='no')
    taken(s, peer, 'two')
    assert dns_of(s) == {('servers', False)} and sorted(s.pids()['smtp']) == pids
    assert s.wait_message('ann@example.org', b'Subject: in')


def test_bad_anchors_change_nothing(world, tmp_path):
    s, z, _, _ = world
    reload(s, validate='auto')
    bad = tmp_path / 'anchors'
    bad.write_text('this is no record of the DNS at all\n')
    begin = os.path.getsize(s.log_file)
    reload(s, trust_anchors=str(bad))
    s.wait_log('event=dns-anchors-bad', begin=begin)
    assert dns_of(s) == {('servers', True)}
    reload(s, trust_anchors=z.anchors)


def test_hosts_file_changes(world):
    """Without a word to the server."""
    s, _, peer, hosts = world
    ident = submit(s, 'bob@corp.test', 'three')
    deadline = time.monotonic() + 2 * PATIENCE
    while 'mail.corp' not in s.json('queue', 'show', ident)['to'][0].get('reason', ''):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    hosts.write_text('127.0.0.1 mail.corp\n')
    s.wait_log('event=file-changed')
    taken(s, peer, 'three')


def test_mta_sts_is_switched(world):
    """Role fetch comes and goes with it."""
    s, _, _, _ = world
    for on in (True, False, True, False):
        s.config['relay']['mta_sts'] = on
        s.write_config()
        answer = s.json('reload')
        assert not answer['restart_needed'] and not answer['not_yet']
        deadline = time.monotonic() + PATIENCE
        while any(r['role'] == 'fetch' and r['pid'] for r in s.json('status')['roles'][0].get('children', s.json('status')['roles'])
                  if 'pid' in r) != on:
            assert time.monotonic() < deadline, s.log_text()[-2000:]
            time.sleep(0.1)
        assert all(('mta_sts' in r) == on for r in s.json('status')['roles'] if r['role'] == 'smtp')
    assert 'role-died' not in s.log_text()
