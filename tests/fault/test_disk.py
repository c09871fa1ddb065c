"""Disks that are full, read-only or broken: one small disk each for spool, mailboxes, accounts, ledger and
log, and each is full in turn.  The rest of the server goes on, and all of it when there is room again.

The disks are tmpfs in a mount namespace of this process alone; where that may not be made the
tests are skipped.
"""
import errno
import grp
import os
import pwd
import smtplib
import time

import pytest
from disk import Disk
from fault import PATIENCE, STALLED, FaultyServer, Load

SIZE = {'spool': 32, 'mail': 96, 'accounts': 8, 'ledger': 8, 'log': 16}  # MiB


@pytest.fixture(scope='module')
def server(namespace):
    """Every folder is a disk: server.disk['spool'] ..."""
    s = FaultyServer({'listeners': {'relay': {'max_transactions': 1000000}},
                      'spool': {'free_min': '4M', 'segment': '1M'}})
    places = {'spool': s.config['state_dir'] + '/spool', 'accounts': s.config['state_dir'] + '/accounts',
              'ledger': s.config['state_dir'] + '/ledger', 'mail': s.mail_dir, 'log': s.folder + '/logs'}
    os.makedirs(s.config['state_dir'], mode=0o755, exist_ok=True)
    s.disk = {name: Disk(path, SIZE[name]) for name, path in places.items()}
    if os.getuid() == 0:
        os.chown(s.mail_dir, pwd.getpwnam('nobody').pw_uid, grp.getgrnam('nogroup').gr_gid)
    s.log_file = s.folder + '/logs/log'
    try:
        with s:
            s.people('ann', 'bob', 'postmaster')
            yield s
    finally:
        for disk in s.disk.values():
            disk.gone()
        s.close()


def refusal(server, at='mail'):
    """The code of MAIL, or of what comes after it."""
    with smtplib.SMTP('127.0.0.1', server.port['relay'], timeout=STALLED) as c:
        c.ehlo()
        code, _ = c.mail('x@example.com')
        if at == 'mail' or code != 250:
            return code
        c.rcpt('ann@example.org')
        return c.data('Subject: big\r\n\r\n' + 'z' * 1000)[0]


def wait_refusal(server, code, timeout=PATIENCE):
    deadline = time.monotonic() + timeout
    while refusal(server) != code:
        assert time.monotonic() < deadline, server.log_text()[-3000:]
        time.sleep(0.1)


def test_spool_full(server):
    """452 at MAIL, before anything is sent; and 250 again when there is room."""
    with Load(server) as load:
        load.wait_accepted(10)
        begin, full = server.log_end(), False
        while not full:
            server.disk['spool'].fill(leave=1 << 20)
            wait_refusal(server, 452)
            server.wait_log('event=not-accepting', begin=begin)
            n = len(load.accepted)
            time.sleep(0.3)
            more = len(load.accepted) - n
            # What was delivered meanwhile made room, if there was much of it: then the disk is to be filled anew.
            full = server.log_text(begin).count('event=accepting-again') == 0
            begin = begin if full else server.log_end()
        assert more <= len(load.clients)
        server.disk['spool'].empty()
        wait_refusal(server, 250)
        server.wait_log('event=accepting-again', begin=begin)
        load.wait_accepted(10)
    load.books(about='spool full')


def test_spool_really_full(server):
    """Not an octet left, while messages of all sizes are on their way, and while the mailboxes are
    full as well, so that outcomes want to be written where there is no room."""
    server.disk['mail'].fill()
    with Load(server, sizes=(200, 20000, 400000)) as load:
        load.wait_accepted(5)
        server.disk['spool'].fill()
        wait_refusal(server, 452)
        server.disk['mail'].empty()
        time.sleep(0.5)
        server.disk['spool'].empty()
        load.wait_accepted(5)
    load.books(about='spool without an octet')


def test_mailboxes_full(server):
    """Deferred, with the reason; delivered when there is room."""
    begin = server.log_end()
    with Load(server, clients=2, pause=0.01) as load:
        load.wait_accepted(5)
        server.disk['mail'].fill()
        load.wait_accepted(20)
        line = server.wait_log('event=deferred', begin=begin)
        assert 'status=4.3.1' in line and 'the mail system\'s disk is full' in line, line
        assert 'make room' in server.wait_log('event=mailbox-trouble', begin=begin)
        server.disk['mail'].empty()
    load.books(about='mailboxes full')


def test_mailboxes_read_only(server):
    begin = server.log_end()
    with Load(server, clients=2, pause=0.01) as load:
        load.wait_accepted(5)
        server.disk['mail'].read_only(True)
        try:
            load.wait_accepted(10)
            assert 'read-only' in server.wait_log('event=deferred', begin=begin)
        finally:
            server.disk['mail'].read_only(False)
    load.books(about='mailboxes read-only')


def test_accounts_full(server, password='not used here'):
    """Logins and recipients go on, a change says what is wrong and changes nothing."""
    server.disk['accounts'].fill()
    with Load(server, clients=2, pause=0.01) as load:
        p = server.cli('account', 'add', 'new@example.org', '--password-file', '-', input='a long password\n', check=False)
        assert p.returncode != 0 and 'full' in (p.stdout + p.stderr).lower(), p
        with smtplib.SMTP('127.0.0.1', server.port['submission'], timeout=STALLED) as c:
            c.starttls()
            assert c.login('ann@example.org', password)[0] == 235
        load.wait_accepted(10)
    assert 'new@example.org' not in server.cli('account', 'list').stdout
    server.disk['accounts'].empty()
    server.account('new@example.org', 'a long password')
    load.books(about='accounts full')


def test_ledger_full(server):
    """What may be lost is lost; no mail."""
    server.disk['ledger'].fill()
    with Load(server, clients=2, pause=0.01) as load:
        for _ in range(30):
            with smtplib.SMTP('127.0.0.1', server.port['relay'], timeout=STALLED) as c:
                c.ehlo()
                c.docmd('AUTH PLAIN')  # a mishap that ledger is told of
        load.wait_accepted(20)
        time.sleep(0.5)
    server.disk['ledger'].empty()
    load.books(about='ledger full')
    assert 'keeper' in server.cli('status').stdout
    assert server.cli('status', '--clients').returncode == 0


def test_log_full(server):
    """Nobody can be told; all goes on."""
    server.disk['log'].fill()
    with Load(server, clients=2, pause=0.01) as load:
        load.wait_accepted(30)
    server.disk['log'].empty()
    load.books(about='log full')


@pytest.mark.parametrize('fault', ['sync_errno', 'write_errno'])
def test_spool_fails(server, fault):
    """An error of the disk is final: 452, said in the log, until the role is started again."""
    begin = server.log_end()
    with Load(server) as load:
        load.wait_accepted(10)
        setattr(server.fault['queue'], fault, errno.EIO)
        wait_refusal(server, 452)
        server.fault['queue'].clear()
        time.sleep(1.5)
        assert refusal(server) == 452  # it does not pretend that nothing was
        assert 'look into the kernel' in server.wait_log('event=not-accepting', begin=begin)
        os.kill(server.pids()['queue'][0], 9)
        wait_refusal(server, 250)
        load.wait_accepted(10)
    load.books(about=fault)


def test_spool_cannot_be_read(server):
    """What cannot be read back is tried again, and is not given up."""
    with Load(server, clients=2, pause=0.01) as load:
        load.wait_accepted(5)
        server.fault['queue'].read_errno = errno.EIO
        load.wait_accepted(5)
        time.sleep(0.5)
        server.fault['queue'].clear()
    load.books(about='reading the spool')
