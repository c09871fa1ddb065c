"""What became of a message: `postern trace` and `postern events`."""
import collections
import json
import os
import re
import signal
import smtplib
import subprocess
import time

import pytest

from server import PATIENCE
from test_queue import blocked, kill, role, send, wait_state  # noqa: F401


def trace(server, *args, check=True):
    """The messages that are known, oldest first, each with its events."""
    return server.json('trace', *args)['messages'] if check else server.cli('trace', *args, check=False)


def wait_kinds(server, ident, *kinds, timeout=PATIENCE):
    deadline = time.monotonic() + timeout
    seen = []
    while time.monotonic() < deadline:
        p = server.cli('trace', ident, '--json', check=False)
        messages = json.loads(p.stdout)['messages'] if p.stdout else []
        seen = [e['kind'] for m in messages for e in m['events']]
        if all(k in seen for k in kinds):
            return messages[0]
        time.sleep(0.1)
    raise AssertionError(f'{ident}: {kinds} expected, {seen} known\n' + server.log_text()[-2000:])


def wait_until(what, about=''):
    deadline = time.monotonic() + PATIENCE
    while not (said := what()):
        assert time.monotonic() < deadline, about
        time.sleep(0.05)
    return said


def following(server):
    """How many follow the events, as the ledger sees it."""
    return next((r['events']['followers'] for r in server.json('status')['roles'] if r['role'] == 'ledger'), 0)


FORGOTTEN_S = 21  # the ledger asks anew who follows, and those that were closed are gone


class Follower:
    """`postern events --follow --json`, read as it comes; made, it hears of all that happens from then on."""
    alive = collections.Counter()  # by server

    def __init__(self, server, *args):
        self.server, least, began = server, following(server), time.monotonic()
        self.alive[server] += 1
        self.out = open(os.path.join(server.folder, f'events-{time.monotonic_ns()}'), 'w+')
        self.process = subprocess.Popen(
            [server.binary, 'events', '--follow', '--json', *args],
            stdout=self.out, stderr=subprocess.STDOUT,
            env=dict(server.env, POSTERN_RUNTIME_DIR=server.config["runtime_dir"]))
        while (now := following(server)) <= least:
            waited = time.monotonic() - began
            if waited > FORGOTTEN_S and now >= self.alive[server]:
                break
            assert waited < PATIENCE, 'it does not follow'
            least = min(least, now)
            time.sleep(0.05)

    def events(self):
        with open(self.out.name) as f:
            return [json.loads(line) for line in f if line.endswith('\n')]

    def wait(self, *kinds, timeout=PATIENCE):
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            events = self.events()
            if all(k in [e['kind'] for e in events] for k in kinds):
                return events
            time.sleep(0.05)
        raise AssertionError(f'{kinds} never came: {events}')

    def close(self):
        if self.process.returncode is None:
            self.alive[self.server] -= 1
            self.process.terminate()
            self.process.wait(PATIENCE)
            self.out.close()


def events(server, *args):
    return [json.loads(line) for line in server.cli('events', '--json', *args).stdout.splitlines()]


def kinds(message):
    return [e['kind'] for e in message['events']]


@pytest.fixture
def follower(server):
    followers = []

    def start(*args):
        followers.append(Follower(server, *args))
        return followers[-1]
    yield start
    for f in followers:
        f.close()


def test_from_submission_to_the_mailbox(server, password):
    ident = send(server, password, ['bob@example.org', 'ann@example.org'], 'hi')
    wait_kinds(server, ident, 'accepted', 'delivered')
    wait_until(lambda: kinds(trace(server, ident)[0]).count('delivered') == 2)
    m = wait_until(lambda: next((m for m in trace(server, ident) if m['queue'] is None), None))
    assert kinds(m) == ['accepted', 'delivered', 'delivered']
    a, d, _ = m['events']
    assert m['queue'] is None
    assert {k: a[k] for k in ('from', 'to', 'rcpts', 'listener', 'port', 'ip', 'account', 'auth', 'proto')} == {
        'from': 'ann@example.org', 'to': ['bob@example.org', 'ann@example.org'], 'rcpts': 2,
        'listener': 'submission', 'port': server.port['submission'], 'ip': '127.0.0.1',
        'account': 'ann@example.org', 'auth': 'PLAIN', 'proto': 'ESMTPSA'}
    assert a['tls'].startswith('TLSv1.') and a['message_id'] == f'{ident}@mx.example.org' and a['size'] > 10
    assert d['to'] in a['to'] and d['mailbox'].startswith('example.org/') and d['delay_ms'] >= 0
    # By each of its names, in whatever case.
    for name in (ident.lower(), a['message_id'], f'<{a["message_id"]}>', 'BOB@example.org', 'ann@Example.Org'):
        assert [x['id'] for x in trace(server, name)] == [ident], name
    assert [x['id'] for x in trace(server, '--account', 'ann@example.org')] == [ident]
    text = server.cli('trace', ident).stdout
    assert 'on submission' in text and 'not in the queue' in text
    assert max(len(line) for line in text.splitlines()) < 80


def test_newest_first_and_no_more_than_asked_for(server, password):
    ids = [send(server, password, 'bob@example.org', str(i)) for i in range(4)]
    for ident in ids:
        wait_kinds(server, ident, 'accepted')
    assert [m['id'] for m in trace(server, 'bob@example.org')][-4:] == ids
    p = trace(server, 'bob@example.org', '--limit', '2', check=False)
    assert re.findall(r'^[0-9A-Z]{13}', p.stdout, re.M) == ids[:1:-1]
    assert 'older ones' in p.stdout
    assert [m['id'] for m in trace(server, 'bob@example.org', '--since', '1h', '--limit', '1')] == ids[3:]


def test_what_is_deferred_and_then_removed(server, password, blocked):  # noqa: F811
    ident = send(server, password, 'bob@example.org', 'later')
    m = wait_kinds(server, ident, 'accepted', 'deferred')
    d = next(e for e in m['events'] if e['kind'] == 'deferred')
    assert d['status'].startswith('4.') and d['reason'] and d['next_ms'] > d['time_ms'] and d['attempts'] == 1
    assert m['queue']['state'] == 'deferred' and m['queue']['to'][0]['next'] == d['next_ms']
    text = server.cli('trace', ident).stdout
    assert 'Now: in the queue, deferred; given up at ' in text and 'next try' in text and 'given up at' in text


def test_why_it_does_not_go(server, password):
    """A connection that fails is of no message: who waited for its site finds it all the same."""
    ids = [send(server, password, [f'{n}@example.net'], n) for n in ('one', 'two')]
    for ident in ids:
        wait_kinds(server, ident, 'accepted', 'attempted')
        m = wait_until(lambda: next((m for m in trace(server, ident) if 'connection refused' in m['queue']['to'][0].get('reason', '')), None))
        tried = [e for e in m['events'] if e['kind'] == 'attempted']
        assert tried and all('id' not in e and e['site'] == '127.0.0.1:1' for e in tried), m
        assert 'connection refused' in tried[0]['reason'] and tried[0]['step'] == 'connect'
        assert m['queue']['to'][0]['site'] == '127.0.0.1:1' and 'connection refused' in m['queue']['to'][0]['reason']
        text = server.cli('trace', ident).stdout
        assert 'attempted  127.0.0.1:1 by route nowhere: at connect' in text, text
        assert max(len(line) for line in text.splitlines()) < 80
    assert {e['kind'] for e in events(server, '--site', '127.0.0.1:1')} <= {'attempted', 'site'}
    # It is over: what was tried until then still belongs to it, what is tried for others does not.
    server.cli('queue', 'bounce', ids[0])
    m = wait_kinds(server, ids[0], 'given-up', 'bounced')
    assert 'attempted' in kinds(m)
    server.cli('queue', 'remove', ids[1])


def test_the_life_of_a_bounce(server, password):
    """In order: why, who is told, and what became of that."""
    ident = send(server, password, ['gone@example.net'], 'bounce')
    server.cli('queue', 'bounce', ident)
    wait_kinds(server, ident, 'bounced')
    m = wait_until(lambda: next((m for m in trace(server, ident) if m['reports'] and kinds(m['reports'][0])[1:]
                                 and m['reports'][0]['queue'] is None), None))
    report = m['reports'][0]
    assert report['id'] == next(e['dsn'] for e in m['events'] if e['kind'] == 'bounced') and report['queue'] is None
    assert kinds(report) == ['accepted', 'delivered'] and report['events'][0]['of'] == ident
    assert all(e.get('id', ident) == ident for e in m['events'])
    text = ' '.join(server.cli('trace', 'gone@example.net').stdout.split())
    told = f'bounced ann@example.org is told that it failed: report {report["id"]}'
    assert told in text and f'delivered report {report["id"]}: ann@example.org in example.org/ann' in text.split(told)[1], text
    assert [x['id'] for x in trace(server, report['id'])] == [report['id']]
    assert f'report about {ident}, from <> to ann@example.org' in ' '.join(server.cli('trace', report['id']).stdout.split())


def test_nothing_is_known(server):
    p = server.cli('trace', 'nobody@example.net', check=False)
    assert p.returncode == 1 and 'Nothing is known of nobody@example.net' in p.stderr
    assert 'kept for 14 days' in p.stderr or 'The history is empty' in p.stderr
    assert server.cli('trace', '0123456789ABC', check=False).returncode == 1
    assert server.cli('events', '--kind', 'expired', check=False).returncode == 1
    for wrong in (['trace'], ['trace', 'a@b', 'c@d'], ['trace', 'a@b', '--limit', '0'], ['trace', 'a@b', '--since', 'x'],
                  ['trace', 'a@b', '--account', 'c'], ['events', 'x'], ['events', '--since', '1y']):
        assert server.cli(*wrong, check=False).returncode == 2, wrong
    p = server.cli('events', '--kind', 'nonsense', check=False)
    assert p.returncode == 1 and 'no such kind' in p.stderr


def test_events_are_followed(server, password, follower):
    every, local, other = follower(), follower('--domain', 'example.org', '--kind', 'delivered'), follower(
        '--domain', 'example.com')
    ident = send(server, password, 'bob@example.org', 'followed')
    seen = every.wait('accepted', 'delivered')
    assert {e['id'] for e in seen} == {ident}
    assert [e['kind'] for e in local.wait('delivered')] == ['delivered']
    assert other.events() == []
    # A client that comes wrongly is an event, too.
    with smtplib.SMTP('127.0.0.1', server.port['submission'], timeout=PATIENCE) as c:
        c.ehlo('wrong.example.net')
        assert c.mail('ann@example.org')[0] == 530
    wrong = [e for e in every.wait('wrong-port') if e['kind'] == 'wrong-port'][0]
    assert (wrong['what'], wrong['listener'], wrong['helo']) == ('no-starttls', 'submission', 'wrong.example.net')
    # What was before is read by its time.
    past = [json.loads(line) for line in server.cli('events', '--json', '--since', '1h').stdout.splitlines()]
    assert [e['kind'] for e in past if e.get('id') == ident or e['kind'] == 'wrong-port'] == ['accepted', 'delivered', 'wrong-port']
    assert len(server.cli('events', '--id', ident, '--kind', 'accepted', '--kind', 'held').stdout.splitlines()) == 1


def test_history_survives_the_ledger_and_a_restart(server, password, follower):
    ident = send(server, password, 'bob@example.org', 'one')
    wait_kinds(server, ident, 'accepted', 'delivered')
    f = follower()
    killed = kill(server, 'ledger')
    wait_until(lambda: role(server, 'ledger').get('pid') not in (None, killed))
    second = send(server, password, 'bob@example.org', 'two')
    wait_kinds(server, second, 'accepted', 'delivered')
    assert kinds(trace(server, ident)[0]) == ['accepted', 'delivered']
    # Who followed goes on in the new one.
    wait_until(lambda: second in open(f.out.name).read())
    f.close()
    server.stop()
    server.start()
    assert kinds(trace(server, ident)[0]) == ['accepted', 'delivered']


def test_a_damaged_history_is_set_aside(server, password):
    ident = send(server, password, 'bob@example.org', 'one')
    wait_kinds(server, ident, 'accepted', 'delivered')
    server.stop()
    path = os.path.join(server.config['state_dir'], 'ledger', 'events.db')
    with open(path, 'r+b') as f:
        f.write(b'\xff' * os.path.getsize(path))
    server.start()
    server.wait_log('event=history-set-aside')
    assert os.path.exists(path + '.damaged')
    second = send(server, password, 'bob@example.org', 'two')
    wait_kinds(server, second, 'accepted', 'delivered')
    assert server.cli('trace', ident, check=False).returncode == 1


def test_a_ledger_that_hangs_slows_no_mail(server, password):
    def three(name):
        began = time.monotonic()
        ids = [send(server, password, 'bob@example.org', f'{name}-{i}') for i in range(3)]
        server.wait_message('bob@example.org', f'Subject: {name}-2'.encode())
        return ids, time.monotonic() - began

    server.config['hang_timeout'] = '10m'  # else it is ended where this takes long
    server.write_config()
    server.cli('reload')
    _, usual = three('usual')
    pid, begin = role(server, 'ledger')['pid'], os.path.getsize(server.log_file)
    os.kill(pid, signal.SIGSTOP)
    try:
        ids, took = three('hung')
        # Nobody ended it, so it was not waited for; each of the three would have been.
        assert 'event=role-' not in server.log_text(begin)
        assert took < 10 + 5 * usual
    finally:
        os.kill(pid, signal.SIGCONT)
    # Once it goes on it hears of all that waited.
    wait_kinds(server, ids[-1], 'accepted', 'delivered')


def test_who_meets_a_limit_is_an_event(make_server, password):
    with make_server({'limits': {'account_messages': 2}}) as s:
        s.cli('domain', 'add', 'example.org')
        s.account('ann@example.org', password)
        f = Follower(s, '--kind', 'limit')
        try:
            for i in range(2):
                send(s, password, 'ann@example.org', str(i))
            for _ in range(3):
                with pytest.raises(AssertionError):
                    send(s, password, 'ann@example.org', 'too many')
            e = f.wait('limit')
            assert [(x['what'], x['account'], x['max']) for x in e] == [('account-messages', 'ann@example.org', 2)]
        finally:
            f.close()
        assert 'account-messages of ann@example.org' in s.cli('events', '--kind', 'limit').stdout


@pytest.mark.parametrize('name', ['local', 'queue'])
def test_who_may_get_it_twice_is_an_event(make_server, password, name):
    """A process dies with a delivery in its hands: whether it was done nobody knows, and trace says so."""
    with make_server({'hang_timeout': '10m'}) as s:
        s.cli('domain', 'add', 'example.org')
        s.account('ann@example.org', password)
        pids = {n: role(s, n)['pid'] for n in ('local', 'queue')}
        os.kill(pids['local'], signal.SIGSTOP)
        ident = send(s, password, 'ann@example.org', 'once or twice')
        wait_state(s, ident, 'active')
        os.kill(pids[name], signal.SIGKILL)
        if name != 'local':
            os.kill(pids['local'], signal.SIGCONT)
        m = wait_kinds(s, ident, 'in-doubt', 'delivered')
        assert kinds(m).count('in-doubt') == 1
        assert 'ann@example.org may get it twice: the ' in s.cli('trace', ident).stdout
