"""Limits are of the whole server, however the kernel spreads connections over its processes; a
ledger that is away or hangs leaves each process its share, and mail goes on."""
import os
import signal
import socket
import threading
import time

import pytest
from raw import PASSWORD, Raw

PROCESSES = 3
SMALL = {'max_sessions_per_ip': 12, 'max_sessions_per_network': 20, 'max_rate_per_ip': 0, 'max_rate_per_network': 0}


def config(**more):
    return dict({'smtp_processes': PROCESSES,
                 'limits': {'exempt_networks': [], 'account_messages': 12, 'account_recipients': 40, 'owner_messages': 20,
                            'uid_messages': 5},
                 'listeners': {'relay': SMALL,
                               'rated': {'role': 'relay', 'port': 26, 'addresses': ['127.0.0.1'], 'max_sessions_per_ip': 1000,
                                         'max_rate_per_ip': 30, 'max_rate_per_network': 50},
                               'six': {'role': 'relay', 'port': 27, 'addresses': ['::1'], 'max_sessions_per_ip': 6}}}, **more)


@pytest.fixture(scope='module')
def shared(make_server):
    with make_server(config()) as s:
        s.cli('domain', 'add', 'example.org')
        for name in ('ann', 'bob', 'eve'):
            s.account(f'{name}@example.org', PASSWORD)
        yield s


def pid_of(server, role):
    """Once it is there."""
    def process():
        main = next(r for r in server.json('status')['roles'] if r['role'] == 'main')
        return next(p for p in main['processes'] if p['role'] == role)

    wait(lambda: process()['ready'], server)
    return process()['pid']


def greetings(server, n, listener='relay', source=None, host='127.0.0.1', keep=None):
    """How many of n connections are greeted; those stay open in `keep`."""
    got = 0
    for _ in range(n):
        c = Raw(server.port[listener], source=source, host=host)
        reply = c.reply()
        if reply.startswith('220'):
            got += 1
        else:
            assert reply.startswith('421 4.7.0'), reply
        if keep is not None and reply.startswith('220'):
            keep.append(c)
        else:
            c.sock.close()
    return got


def close_all(held):
    for c in held:
        c.sock.close()
    held.clear()


def by_share(server):
    """How often a process decided alone, for ledger did not answer within 40 ms: then limits hold less exactly."""
    return sum(r['limits']['by_share'] for r in server.json('status')['roles'] if r['role'] == 'smtp')


def kept_up(server, measure, begin_anew):
    """What measure() returns, if ledger kept up with it; and whether it did, within a minute on this machine."""
    deadline = time.monotonic() + 60
    while True:
        before = by_share(server)
        got = measure()
        if (exact := by_share(server) == before) or time.monotonic() > deadline:
            return got, exact
        begin_anew()


def filled(server, n, least, most, held, at_once=12, **more):
    """Connects n times, and adds those that are greeted to `held`: no more than `most`, and in the end (what processes
    hold ahead goes back in a moment) no less than `least`.  Without ledger each process uses its share, and one at least."""
    deadline = time.monotonic() + 60
    while True:
        own = []
        got, exact = kept_up(server, lambda: greetings(server, n, keep=own, **more), lambda: close_all(own))
        assert got <= (most if exact else 2 * at_once + PROCESSES), (got, exact)
        if got >= least:
            held += own
            return got
        assert time.monotonic() < deadline, got
        close_all(own)
        time.sleep(0.2)


def wait(true, server):
    deadline = time.monotonic() + 60
    while not true():
        assert time.monotonic() < deadline, (server.json('limits'), server.log_text()[-3000:])
        time.sleep(0.05)


def clear(server, *who):
    for w in who:
        server.cli('limits', 'clear', w, check=False)
    server.heard('ledger')


def processes_used(server):
    return sum(1 for r in server.json('status')['roles'] if r['role'] == 'smtp'
               and any(x['name'] == 'relay' and x['sessions'] > 0 for x in r['listeners']))


def test_sessions_of_an_address(shared):
    held = []
    first = filled(shared, 30, 11, 12, held)  # twelve, not twelve for each process
    assert processes_used(shared) > 1
    wait(lambda: any((r['kind'], r['who'], r['locked'], r['limit']) == ('sessions-ip', '127.0.0.1', True, 12) for r in shared.json('limits')), shared)
    # Its network has eight left.
    filled(shared, 15, 6, max(20 - first, 0), held, at_once=20, source='127.0.0.2')
    assert greetings(shared, 2, source='127.0.9.1', keep=held) == 2
    close_all(held)
    filled(shared, 30, 11, 12, held)  # all are free again
    close_all(held)


def test_ipv6_is_counted_by_its_64(shared):
    held = []
    filled(shared, 12, 5, 6, held, at_once=6, listener='six', host='::1')
    close_all(held)


def test_rate_of_an_address(shared):
    def measure():
        got = greetings(shared, 60, 'rated', source='127.0.3.1')
        with Raw(shared.port['rated'], source='127.0.3.1') as c:
            c.expect('421 4.7.0 more than 30 new connections a minute from your address; try again in ')
        return got, got + greetings(shared, 60, 'rated', source='127.0.3.2')

    (got, network), exact = kept_up(shared, measure, lambda: clear(shared, '127.0.3.0/24', '127.0.3.1', '127.0.3.2'))
    if exact:
        assert 25 <= got <= 30 and network <= 50
    assert got < 60 and network <= 2 * 50 + PROCESSES
    assert greetings(shared, 3, 'rated', source='127.0.4.1') == 3
    assert shared.cli('limits', 'clear', '127.0.3.0/24').returncode == 0
    assert shared.cli('limits', 'clear', '127.0.3.1').returncode == 0
    shared.heard('ledger')
    assert greetings(shared, 3, 'rated', source='127.0.3.1') == 3


def send(server, name, n, to=('bob@example.org',)):
    """n messages, a connection each, so that they spread; how many were taken, and the first refusal."""
    taken, refusal = 0, None
    for _ in range(n):
        with Raw(server.port['submissions'], tls=True, greeting=220) as c:
            c.ehlo()
            c.login(f'{name}@example.org', PASSWORD)
            c.send(f'MAIL FROM:<{name}@example.org>\r\n')
            reply = c.reply()
            for address in to:
                if reply.startswith('250'):
                    c.send(f'RCPT TO:<{address}>\r\n')
                    reply = c.reply()
            if reply.startswith('250'):
                c.say('DATA', 354)
                c.send('Subject: counted\r\n\r\nx\r\n.\r\n')
                c.expect('250')
                taken += 1
            else:
                refusal = refusal or reply
    return taken, refusal


def test_messages_of_an_account_and_of_its_owner(shared):
    def measure():
        return *send(shared, 'ann', 15), *send(shared, 'eve', 11)

    (taken, refusal, more, owners), exact = kept_up(shared, measure, lambda: clear(shared, '--all'))
    if exact:
        assert 11 <= taken <= 12
        # The owner has eight left, whichever account sends.
        assert taken + more <= 20 and more >= 6
        assert refusal.startswith('450 4.7.1 account ann@example.org has reached the limit of 12 messages in 60 minutes; try again in ')
        assert owners.startswith("450 4.7.1 the owner of this account's domain has reached the limit of 20 messages")
        wait(lambda: {(r['kind'], r['who']) for r in shared.json('limits')} >=
             {('account-messages', 'ann@example.org'), ('owner-messages', 'default')}, shared)
    # What an administrator clears is free; and a reload keeps the rest.
    clear(shared, 'default')
    shared.config['limits']['account_messages'] = 14
    shared.write_config()
    shared.cli('reload')
    before = by_share(shared)
    taken, _ = send(shared, 'ann', 4)
    if exact and by_share(shared) == before:
        assert 1 <= taken <= 3
    clear(shared, '--all')


def test_a_local_user_has_a_limit(shared):
    path = os.path.join(shared.config['runtime_dir'], 'submit.sock')
    taken = 0
    with Raw(path, greeting=220) as c:
        c.ehlo()
        for _ in range(5):
            c.message('cron@example.org', 'bob@example.org', 'Subject: from cron\n\nx')
            taken += 1
        c.say('MAIL FROM:<cron@example.org>', '450 4.7.1 this user has reached the limit of 5 messages in 60 minutes')
    # What was begun and not stored is not counted.
    clear(shared, str(os.getuid()))
    with Raw(path, greeting=220) as c:
        c.ehlo()
        for _ in range(9):
            c.say('MAIL FROM:<cron@example.org>', 250)
            c.say('RSET', 250)
        for _ in range(5):
            c.message('cron@example.org', 'bob@example.org', 'Subject: from cron\n\nx')


def test_ledger_killed_under_load(shared):
    """Nobody waits for it, shares hold, and its successor counts on."""
    held, slow, errors, stop = [], [], [], threading.Event()

    def load():
        while not stop.is_set():
            begin = time.monotonic()
            try:
                with Raw(shared.port['relay'], greeting=220, source='127.0.7.1') as c:
                    c.ehlo()
                    c.message('x@elsewhere.test', 'bob@example.org', 'Subject: while ledger dies\n\nx')
                    c.say('QUIT', 221)
                    c.at_end()  # the next one finds its room free, in a process with a share of four
            except (AssertionError, OSError) as e:
                errors.append(repr(e))
            slow.append(time.monotonic() - begin)

    threads = [threading.Thread(target=load) for _ in range(3)]
    for t in threads:
        t.start()
    most = 2 * 12 + PROCESSES  # twice the limit, and one a process (policy/limit.h)
    assert greetings(shared, 30, keep=held) <= most
    for _ in range(2):
        begin = os.path.getsize(shared.log_file)
        os.kill(pid_of(shared, 'ledger'), signal.SIGKILL)
        shared.wait_log('event=role-died role=ledger', begin=begin)
        # Those that are in stay; nobody gets more than a share on top.
        more = []
        assert len(held) + greetings(shared, 12, keep=more) <= most
        close_all(more)
        time.sleep(0.5)  # of the load
    stop.set()
    for t in threads:
        t.join()
    assert not errors, errors[:3]
    assert len(slow) > 5 and max(slow) < 30, max(slow)
    close_all(held)
    filled(shared, 30, 11, 12, held)
    close_all(held)


def test_a_ledger_that_hangs_keeps_nobody_waiting(shared):
    pid, held = pid_of(shared, 'ledger'), []
    os.kill(pid, signal.SIGSTOP)
    try:
        begin = time.monotonic()
        got = greetings(shared, 20, source='127.0.8.1', keep=held)
        took = time.monotonic() - begin
        assert 4 <= got <= 12, 'at least one process used its share, and all together no more than the limit'
        assert took < 20, took  # it hangs for 30 s before it is killed
    finally:
        os.kill(pid, signal.SIGCONT)
    close_all(held)
    shared.cli('status')
