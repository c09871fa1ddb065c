"""Clocks that are set, by hours and by days, ahead and back, while the server runs; and a machine that
slept.  Nothing expires at once, nothing waits for days, sessions go on, and ids stay unique.
"""
import os
import re
import smtplib
import ssl
import time

import pytest
from fault import PATIENCE, Load

HOUR, DAY = 3600, 86400
NS = 10**9


def jump(server, seconds):
    for fault in server.fault.values():
        fault.wall_ns = fault.wall_ns + seconds * NS


def sleep_for(server, seconds):
    """As after a suspend: the clock that counts it moved with the wall's."""
    for fault in server.fault.values():
        fault.boot_ns = fault.boot_ns + seconds * NS
        fault.wall_ns = fault.wall_ns + seconds * NS


def send(server, subject):
    with smtplib.SMTP('127.0.0.1', server.port['relay'], timeout=PATIENCE) as c:
        c.ehlo()
        c.mail('')  # whom nobody has to tell that it is late
        c.rcpt('ann@example.org')
        code, text = c.data(f'Subject: {subject}\r\n\r\nx\r\n')
        assert code == 250
        return re.search(r'as (\w{13})$', text.decode()).group(1)


def state(server, ident):
    return server.queue()[ident]


@pytest.fixture
def blocked(server):
    """A mailbox that cannot be written to; ended by unblock()."""
    new = os.path.join(server.mailbox('ann@example.org'), 'new')
    if not os.path.isdir(new):
        send(server, 'clock-first')
        server.wait_message('ann@example.org')
    os.rename(new, new + '.away')
    open(new, 'w').close()

    def unblock():
        if os.path.isfile(new):
            os.unlink(new)
            os.rename(new + '.away', new)

    yield unblock
    unblock()
    server.wait_delivered()


def deferred(server, subject):
    begin = server.log_end()
    ident = send(server, subject)
    server.wait_log(f'event=deferred id={ident}', begin=begin)
    return ident


@pytest.mark.parametrize('by', [-30 * DAY, -2 * HOUR, 2 * HOUR, 30 * DAY])
def test_deferred_mail(server, blocked, by):
    """It keeps its place in the plan: neither given up nor put off."""
    ident, begin = deferred(server, f'clock-{by}'), server.log_end()
    planned = state(server, ident)['next'] / 1000
    jump(server, by)
    line = server.wait_log('event=clock-set', begin=begin)
    assert f'direction={"ahead" if by > 0 else "back"}' in line and abs(int(re.search(r'by_s=(\d+)', line).group(1)) - abs(by)) < 60
    now = state(server, ident)
    assert now['state'] == 'deferred'
    assert abs(now['next'] / 1000 - by - planned) < 60
    blocked()
    server.cli('queue', 'retry', ident)
    server.wait_delivered()
    assert server.delivered('ann')[f'clock-{by}'] == 1
    jump(server, -by)
    assert 'event=failed' not in server.log_text(begin)


def test_slept(server, blocked, full):
    """What fell due meanwhile is tried within a minute, and that is no clock that was set."""
    if not full:
        pytest.skip('takes a minute: in test-full')
    ident, begin = deferred(server, 'slept'), server.log_end()
    blocked()
    sleep_for(server, 8 * HOUR)
    server.wait_log(f'event=delivered id={ident}', timeout=120, begin=begin)
    assert 'event=clock-set' not in server.log_text(begin)


def test_sessions_and_ids(server):
    """Sessions go on over a jump; ids are unique, and never sort before an older one's of the same process."""
    ids = []
    context = ssl._create_unverified_context()
    with smtplib.SMTP('127.0.0.1', server.port['relay'], timeout=PATIENCE) as held, Load(server) as load:
        held.ehlo()
        for by in (DAY, -2 * DAY, 400 * DAY, -399 * DAY):
            jump(server, by)
            load.wait_accepted(10)
            assert held.noop()[0] == 250
            held.mail('x@example.com')
            held.rcpt('bob@example.org')
            code, text = held.data(f'Subject: held{by}\r\n\r\nx\r\n')
            assert code == 250
            ids.append(text.decode().split()[-1])
            with smtplib.SMTP('127.0.0.1', server.port['submission'], timeout=PATIENCE) as c:
                c.starttls(context=context)
                assert c.login('bob@example.org', 'not used here')[0] == 235
    load.books(about='jumps')
    assert ids == sorted(ids), ids
    log = re.findall(r'event=accepted id=(\w+)', server.log_text())
    assert len(log) == len(set(log))


def test_restart_in_the_past(server, blocked):
    """A server that is started with a clock far behind has mail from the future: it is delivered all the same."""
    ident = deferred(server, 'from-the-future')
    server.stop()
    jump(server, -300 * DAY)
    blocked()
    server.start()
    # If it is planned, then for soon by the clock as it is now.
    planned = (server.queue() or {}).get(ident, {}).get('next', 0) / 1000
    assert planned < time.time() - 300 * DAY + 5 * HOUR
    server.wait_delivered()
    assert server.delivered('ann')['from-the-future'] == 1
