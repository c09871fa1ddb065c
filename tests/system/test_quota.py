"""Quotas of mailboxes: set for an account, kept at delivery, shown."""
import os
import re
import signal
import smtplib
import time

import pytest
from server import PATIENCE

PASSWORD = 'correct horse battery'


def send(s, to, size, subject='x'):
    with smtplib.SMTP('127.0.0.1', s.port['relay'], timeout=60) as c:
        c.sendmail('outside@example.net', to, f'Subject: {subject}\r\n\r\n' + 'x' * 70 + '\r\n' + ('y' * 98 + '\r\n') * (size // 100))


@pytest.fixture(scope='module')
def s(make_server):
    with make_server({'mailboxes': {'quota': '1M'}, 'hang_timeout': '10m'}) as server:
        server.cli('domain', 'add', 'example.org')
        yield server


def names(s, address):
    return os.listdir(os.path.join(s.mailbox(address), 'new'))


def show(s, address):
    return s.json('account', 'show', address)


def wait_used(s, address, messages):
    """It is counted a moment after it lies there."""
    deadline = time.monotonic() + PATIENCE
    while show(s, address)['used']['messages'] != messages:
        assert time.monotonic() < deadline, show(s, address)
        time.sleep(0.05)


def test_set_and_shown(s):
    s.cli('account', 'add', 'a@example.org', '--no-password')
    assert show(s, 'a@example.org')['quota'] == 1 << 20
    assert show(s, 'a@example.org')['used'] == {'octets': 0, 'messages': 0}
    for given, quota in (('500M', 500 << 20), ('2G', 2 << 30), ('none', 0), ('12345', 12345), ('default', 1 << 20)):
        s.cli('account', 'set', 'a@example.org', '--quota', given)
        assert show(s, 'a@example.org')['quota'] == quota
    for wrong in ('much', '1X', '-1', '1.5G', '', '99999999999G'):
        p = s.cli('account', 'set', 'a@example.org', '--quota', wrong, check=False)
        assert p.returncode == 1 and 'is not a quota' in p.stderr, wrong
    s.cli('account', 'add', 'b@example.org', '--no-password', '--quota', '10K')
    assert show(s, 'b@example.org')['quota'] == 10 << 10
    card = s.cli('account', 'show', 'b@example.org').stdout
    assert re.search(r'\nkeys +0\n', card) and re.search(r'\nmailbox +0\.0K in 0 messages, 0 % of 10K\n', card), card
    s.cli('account', 'set', 'b@example.org', '--quota', 'none')
    assert 'no quota' in s.cli('account', 'show', 'b@example.org').stdout


def test_a_quota_without_its_unit_is_warned_of(s):
    """Who writes 2 means 2G; a mailbox of two octets would refuse all mail."""
    p = s.cli('account', 'add', 'odd@example.org', '--no-password', '--quota', '2')
    assert p.stderr == 'warning: a quota of 2 octets holds hardly a message: write a unit, such as 2G\n'
    assert 'write a unit' in show(s, 'odd@example.org')['warning']
    p = s.cli('account', 'set', 'odd@example.org', '--quota', '2G')
    assert p.stderr == '' and 'warning' not in show(s, 'odd@example.org')


def test_full_waits_and_arrives_when_there_is_room(s):
    s.cli('account', 'add', 'full@example.org', '--no-password', '--quota', '20K')
    for i in range(3):
        send(s, 'full@example.org', 6000, f'number {i}')
        s.wait_message('full@example.org', b'number %d' % i)
    begin = len(s.log_text())
    send(s, 'full@example.org', 6000, 'one more')
    assert 'status=4.2.2' in s.wait_log('event=deferred', begin=begin)
    assert 'step=quota' in s.wait_log('event=mailbox-trouble', begin=begin)
    used = show(s, 'full@example.org')['used']
    sizes = [os.path.getsize(os.path.join(s.mailbox('full@example.org'), 'new', n)) for n in names(s, 'full@example.org')]
    assert used == {'octets': sum(sizes), 'messages': 3}
    os.unlink(os.path.join(s.mailbox('full@example.org'), 'new', names(s, 'full@example.org')[0]))
    s.cli('queue', 'retry', '--all')
    s.wait_message('full@example.org', b'one more')
    wait_used(s, 'full@example.org', 3)


def test_the_other_recipient_gets_it(s):
    s.cli('account', 'add', 'tight@example.org', '--no-password', '--quota', '5K')
    s.cli('account', 'add', 'wide@example.org', '--no-password', '--quota', 'none')
    send(s, 'tight@example.org', 4000, 'fits')
    s.wait_message('tight@example.org', b'fits')
    begin = len(s.log_text())
    send(s, ['tight@example.org', 'wide@example.org'], 3000, 'both')
    s.wait_message('wide@example.org', b'both')
    assert 'to=tight@example.org' in s.wait_log('event=deferred', begin=begin)
    assert not any(b'both' in m for m in s.messages('tight@example.org'))
    s.cli('account', 'set', 'tight@example.org', '--quota', '50K')  # holds at once
    s.cli('queue', 'retry', '--all')
    s.wait_message('tight@example.org', b'both')


def test_what_can_never_fit_fails(s):
    s.cli('account', 'add', 'small@example.org', '--no-password', '--quota', '5K')
    begin = len(s.log_text())
    send(s, 'small@example.org', 9000)
    assert 'status=5.2.3' in s.wait_log('event=failed', begin=begin)


def test_a_body_in_a_file_is_counted(s):
    s.cli('account', 'add', 'large@example.org', '--no-password', '--quota', '3M')
    send(s, 'large@example.org', 2 << 20, 'first')
    s.wait_message('large@example.org', b'first')
    begin = len(s.log_text())
    send(s, 'large@example.org', 2 << 20, 'second')
    assert 'status=4.2.2' in s.wait_log('event=deferred', begin=begin)
    assert os.listdir(os.path.join(s.mailbox('large@example.org'), 'tmp')) == []


def test_a_keeper_that_is_silent_holds_no_mail_back(s):
    s.cli('account', 'add', 'silent@example.org', '--no-password', '--quota', '5K')
    send(s, 'silent@example.org', 4000, 'fits')
    s.wait_message('silent@example.org', b'fits')
    begin = len(s.log_text())
    send(s, 'silent@example.org', 4000, 'does not')
    s.wait_log('event=deferred', begin=begin)
    keeper = next(r['pid'] for r in s.json('status')['roles'] if r['role'] == 'keeper')
    begin = len(s.log_text())
    os.kill(keeper, signal.SIGSTOP)
    try:
        s.cli('queue', 'retry', '--all')
        s.wait_message('silent@example.org', b'does not')
        assert 'event=role-' not in s.log_text(begin)  # it is silent still, and nobody has ended it for that
    finally:
        os.kill(keeper, signal.SIGCONT)
    # It is counted all the same.
    wait_used(s, 'silent@example.org', 2)


def test_refused_for_good_where_that_is_wanted(s):
    s.cli('account', 'add', 'final@example.org', '--no-password', '--quota', '5K')
    send(s, 'final@example.org', 4000, 'fits')
    s.wait_message('final@example.org', b'fits')
    s.config['mailboxes']['full'] = 'refuse'
    s.write_config()
    s.cli('reload')
    begin = len(s.log_text())
    send(s, 'final@example.org', 4000, 'too much')
    assert 'status=5.2.2' in s.wait_log('event=failed', begin=begin)
