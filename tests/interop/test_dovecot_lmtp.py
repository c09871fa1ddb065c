"""Mail handed to Dovecot by LMTP, as doc/dovecot.md says; Dovecot writes the mailboxes."""
import json
import os
import re
import time

import pytest

from dovecot import Dovecot, server_config
from test_dovecot import ANN, BOB, MESSAGES, PASSWORD, message, send


@pytest.fixture(scope='module')
def pair(make_server):
    s = make_server(server_config('postern.conf, for LMTP'))
    assert s.config['delivery']['lmtp'] == 'unix:/run/dovecot/postern'
    s.config['delivery']['lmtp'] = f'unix:{s.folder}/dovecot/run/postern'
    s.write_config()
    with s:
        s.cli('domain', 'add', 'example.org')
        for name in ('ann', 'bob', 'postmaster'):
            s.account(f'{name}@example.org', PASSWORD)
        # Dovecot makes the mailboxes: the folder must be its user's.
        with Dovecot(s, 'dovecot.conf, for LMTP') as d:
            yield s, d


def wait_empty(s, timeout=120):
    deadline = time.monotonic() + timeout
    while s.json('queue', 'list'):
        assert time.monotonic() < deadline, s.cli('queue', 'list').stdout + s.log_text()[-2000:]
        time.sleep(0.05)


def wait_count(d, user, n, timeout=120):
    deadline = time.monotonic() + timeout
    while len(got := d.messages_imap(user, PASSWORD)) < n:
        assert time.monotonic() < deadline
        time.sleep(0.2)
    return got


def test_every_octet_comes_back(pair):
    s, d = pair
    sent = {name: message(name, text) for name, text in MESSAGES.items()}
    sent['large'] = message('large', b'Subject: large\r\n\r\n' + b''.join(b'%06d %s\r\n' % (i, b'z' * (i % 90)) for i in range(100000)))
    for m in sent.values():
        send(s, ANN, m)
    wait_empty(s)
    by_imap, by_pop3 = d.messages_imap(ANN, PASSWORD), d.messages_pop3(ANN, PASSWORD)
    assert len(by_imap) == len(by_pop3) == len(sent)
    for name, m in sent.items():
        mark = b'Message-ID: <%s@example.net>' % name.replace(' ', '-').encode()
        for got in (next(g for g in by_imap if mark in g), next(g for g in by_pop3 if mark in g)):
            assert got.endswith(m), name
            added = re.sub(rb'\r\n[ \t]+', b' ', got[:-len(m)]).splitlines()
            assert {line.partition(b':')[0] for line in added} == {b'Return-Path', b'Delivered-To', b'Received'}, added
            assert b'Return-Path: <outside@example.net>' in added and b'Delivered-To: ann@example.org' in added


def test_dovecot_stopped_mail_waits(pair):
    s, d = pair
    before = len(d.messages_imap(BOB, PASSWORD))
    d.stop()
    try:
        begin = os.path.getsize(s.log_file)
        send(s, BOB, message('patient', b'Subject: patient\r\n\r\nhere I am\r\n'))
        s.wait_log('event=site-trouble', begin=begin)
        # The first trouble may be that of a lane that was left from before.
        deadline = time.monotonic() + 60
        while 'cannot connect' not in json.dumps(queued := s.json('queue', 'list')):
            assert time.monotonic() < deadline, queued
            time.sleep(0.05)
        assert len(queued) == 1
    finally:
        d.start()
    assert b'patient@' in wait_count(d, BOB, before + 1)[-1]
    wait_empty(s)


def test_one_full_one_fine(pair):
    """Two recipients of one transaction, each with its own answer."""
    s, d = pair
    for name in ('full', 'fine'):
        s.account(f'{name}@example.org', PASSWORD)
    s.cli('account', 'set', 'full@example.org', '--quota', '20K')
    large = b'x' * 76 + b'\r\n'
    send(s, 'full@example.org', message('fill', b'Subject: fill\r\n\r\n' + large * 200))
    wait_empty(s)
    begin = os.path.getsize(s.log_file)
    send(s, ['full@example.org', 'fine@example.org'], message('both', b'Subject: both\r\n\r\n' + large * 100))
    line = s.wait_log('event=deferred', begin=begin)
    assert 'to=full@example.org' in line and 'status=4.2.2' in line, line
    assert 'to=fine@example.org' in s.wait_log('event=delivered', begin=begin)
    assert len(d.messages_imap('fine@example.org', PASSWORD)) == 1
    assert len(d.messages_imap('full@example.org', PASSWORD)) == 1
    s.cli('account', 'set', 'full@example.org', '--quota', '200K')
    s.cli('queue', 'retry', '--all')
    assert b'both@' in wait_count(d, 'full@example.org', 2)[-1]
    assert len(d.messages_imap('fine@example.org', PASSWORD)) == 1


def test_an_account_that_went_meanwhile(pair):
    s, d = pair
    s.account('gone@example.org', PASSWORD)
    d.stop()
    try:
        begin = os.path.getsize(s.log_file)
        send(s, 'gone@example.org', message('late', b'Subject: late\r\n\r\n\r\n'))
        s.wait_log('event=site-trouble', begin=begin)
        s.cli('account', 'remove', 'gone@example.org')
    finally:
        d.start()
    assert 'status=5.1.1' in s.wait_log('event=failed', begin=begin, timeout=120)  # the site is tried again at longer and longer intervals
    s.cli('queue', 'remove', '--all', '--yes')


def test_aliases_and_plus_addresses(pair):
    s, d = pair
    before = len(d.messages_imap(BOB, PASSWORD))
    s.cli('alias', 'add', 'team@example.org', ANN, BOB)
    send(s, ['team@example.org', 'bob+list@example.org'], message('team', b'Subject: team\r\n\r\nall\r\n'))
    wait_empty(s)
    assert len(d.messages_imap(BOB, PASSWORD)) == before + 1
