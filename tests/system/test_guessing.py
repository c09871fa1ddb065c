"""Guessing passwords is slow, then locked; the owner of the account is not locked out."""
import base64
import os
import signal
import time

import pytest
from raw import PASSWORD, Raw

GUESSING = {'per_address': 4, 'per_network': 0, 'per_account': 5, 'per_known': 3, 'period': '1h', 'lock': '15m'}


def login(server, name, password, source, name_in='submissions', patient=False):
    """The reply to AUTH from that address; patient: of a keeper that is there."""
    deadline = time.monotonic() + 60
    while 'cannot be checked at the moment' in (reply := login_once(server, name, password, source, name_in)) and patient:
        assert time.monotonic() < deadline, server.log_text()[-3000:]
        time.sleep(0.1)
    return reply


def login_once(server, name, password, source, name_in):
    with Raw(server.port[name_in], tls=True, greeting=220, source=source) as c:
        c.ehlo()
        c.send('AUTH PLAIN ' + base64.b64encode(f'\0{name}\0{password}'.encode()).decode() + '\r\n')
        return c.reply()


def role(server, name):
    return next(r for r in server.json('status')['roles'] if r['role'] == name)


def guess(server, name, source, times, start=0, **more):
    return [login(server, name, f'wrong {start + i}', source, **more)[:3] for i in range(times)]


@pytest.fixture(scope='module')
def guarded(make_server):
    with make_server({'guessing': GUESSING, 'limits': {'exempt_networks': []}}) as s:
        s.cli('domain', 'add', 'example.org')
        for name in ('ann', 'bob', 'eve', 'joe', 'kim', 'liv'):
            s.account(f'{name}@example.org', PASSWORD)
        yield s


def test_a_stranger_does_not_lock_an_owner_out(guarded):
    home, elsewhere = '127.0.1.1', '127.0.9.9'
    assert login(guarded, 'ann@example.org', PASSWORD, home).startswith('235')
    with Raw(guarded.port['submissions'], tls=True, greeting=220, source=home) as open_session:
        open_session.ehlo()
        open_session.login('ann@example.org', PASSWORD)
        # Four from one address, the rest from another.
        assert guess(guarded, 'ann@example.org', '127.0.2.1', 5) == ['535'] * 4 + ['454']
        assert guess(guarded, 'ann@example.org', '127.0.3.1', 2, start=10) == ['535', '454']
        locked = login(guarded, 'ann@example.org', PASSWORD, elsewhere)
        assert locked.startswith('454 4.7.0 too many failed logins for this account'), locked
        # The owner: at home, next to it, and in the session that was open.
        assert login(guarded, 'ann@example.org', PASSWORD, home).startswith('235')
        assert login(guarded, 'ann@example.org', PASSWORD, '127.0.1.77').startswith('235')
        open_session.message('ann@example.org', 'bob@example.org', 'Subject: still here\n\nx')
    guarded.wait_message('bob@example.org', b'Subject: still here')
    guarded.wait_log('event=login-locked what=account')
    guarded.wait_log('event=auth-locked listener=submissions ip=127.0.9.9')


def test_a_name_without_account_is_locked_alike(guarded):
    for name, net in (('eve@example.org', '127.0.4'), ('nobody@example.org', '127.0.5')):
        guess(guarded, name, net + '.1', 3)
        guess(guarded, name, net + '.2', 2, start=10)
    replies = {login(guarded, name, PASSWORD, '127.0.8.8') for name in ('eve@example.org', 'nobody@example.org')}
    assert len(replies) == 1 and replies.pop().startswith('454')


def test_many_names_lock_an_address_sooner(guarded):
    got = [login(guarded, f'user{i}@example.org', 'x', '127.0.20.1')[:3] for i in range(3)]
    assert got == ['535'] * 2 + ['454'], 'one counts once, each further name three times'
    assert login(guarded, 'bob@example.org', PASSWORD, '127.0.20.1').startswith('454 4.7.0 too many failed logins from your address')
    assert login(guarded, 'bob@example.org', PASSWORD, '127.0.20.2').startswith('235')


def test_an_old_password_in_a_mail_program_locks_nobody_out(guarded):
    assert [login(guarded, 'joe@example.org', 'last year', '127.0.30.1')[:3] for _ in range(7)] == ['535'] * 7
    assert login(guarded, 'joe@example.org', PASSWORD, '127.0.30.1').startswith('235')


def test_answers_come_slower(make_server):
    times = []
    with make_server({'guessing': {**GUESSING, 'per_address': 20, 'per_account': 20}, 'limits': {'exempt_networks': []}}) as s:
        s.cli('domain', 'add', 'example.org')
        s.account('kim@example.org', PASSWORD)
        for i in range(8):
            begin = time.monotonic()
            assert login(s, 'kim@example.org', f'wrong {i}', f'127.0.40.{i // 3}').startswith('535')
            times.append(time.monotonic() - begin)
    # 250 ms, 500 ms ... 4 s for the last five; how long a login takes besides is the machine's affair.
    assert all(took >= 0.25 * 2 ** i for i, took in enumerate(times[3:])), times
    assert min(times[:3]) < 4, times


def test_what_is_locked_is_listed_and_freed(guarded):
    guess(guarded, 'liv@example.org', '127.0.50.1', 4)
    rows = guarded.json('limits')
    mine = [r for r in rows if r['who'] == '127.0.50.1']
    assert len(mine) == 1 and mine[0]['locked'] and mine[0]['kind'] == 'address' and 0 < mine[0]['seconds'] <= 900
    shown = guarded.cli('limits').stdout
    assert '127.0.50.1' in shown and 'wrong passwords from an address' in shown
    assert guarded.cli('limits', 'clear', '127.0.50.1').stdout
    assert login(guarded, 'liv@example.org', PASSWORD, '127.0.50.1').startswith('235')
    assert guarded.cli('limits', 'clear', '127.0.50.1', check=False).returncode == 1
    guarded.cli('limits', 'clear', '--all')
    assert guarded.json('limits') == []


def test_a_reload_keeps_the_counts(guarded):
    guess(guarded, 'user@example.org', '127.0.60.1', 2)
    guarded.config['guessing'] = dict(GUESSING, per_address=3)
    guarded.write_config()
    guarded.cli('reload')
    guess(guarded, 'user@example.org', '127.0.60.1', 1, start=20)
    assert login(guarded, 'bob@example.org', PASSWORD, '127.0.60.1').startswith('454')


def test_a_new_keeper_knows_where_the_owner_lives(guarded):
    """Counts are forgotten with the process; from where an account logged in is not."""
    keeper = next(p for p in role(guarded, 'main')['processes'] if p['role'] == 'keeper')
    os.kill(keeper['pid'], signal.SIGKILL)
    guarded.wait_log('event=role-died role=keeper')
    assert login(guarded, 'ann@example.org', PASSWORD, '127.0.9.9', patient=True).startswith('235')
    guess(guarded, 'joe@example.org', '127.0.70.1', 3, patient=True)  # each process learns by itself that there is a new one
    guess(guarded, 'joe@example.org', '127.0.71.1', 2, start=10, patient=True)
    assert login(guarded, 'joe@example.org', PASSWORD, '127.0.72.1', patient=True).startswith('454')
    assert login(guarded, 'joe@example.org', PASSWORD, '127.0.30.1', patient=True).startswith('235')
