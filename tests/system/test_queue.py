"""The queue as an operator sees it: what waits, why, and that nothing is ever lost."""
import os
import re
import signal
import smtplib
import ssl
import subprocess
import threading
import time

import pytest
from server import PATIENCE

ANY = ssl.create_default_context()
ANY.check_hostname, ANY.verify_mode = False, ssl.CERT_NONE


def connect(server, password, user='ann@example.org'):
    c = smtplib.SMTP('127.0.0.1', server.port['submission'], timeout=2 * PATIENCE)
    c.starttls(context=ANY)
    c.login(user, password)
    return c


def send(server, password, to, subject, body='hello\n'):
    """One message; the id that the server gave it."""
    to = [to] if isinstance(to, str) else to
    with connect(server, password) as c:
        c.mail('ann@example.org')
        for address in to:
            code, text = c.rcpt(address)
            assert code == 250, text
        message = f'From: ann@example.org\nTo: {to[0]}\nSubject: {subject}\n\n{body}'
        code, text = c.data(message.replace('\n', '\r\n').encode())
        assert code == 250, text
        return re.search(rb'\b[0-9A-HJKMNP-TV-Z]{13}\b', text).group().decode()


def wait_state(server, ident, state, timeout=PATIENCE):
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        rows = server.json('queue', 'list', '--id', ident)
        if [r['state'] for r in rows] == ([state] if state else []):
            return rows[0] if rows else None
        time.sleep(0.05)
    raise AssertionError(f'{ident} never came to be {state!r}: {rows}\n' + server.log_text()[-2000:])


def role(server, name):
    """What `status` says of one process; empty while it is away."""
    return next((r for r in server.json('status')['roles'] if r['role'] == name), {})


def kill(server, name):
    pid = role(server, name).get('pid')
    if pid:
        os.kill(pid, signal.SIGKILL)
    return pid


@pytest.fixture
def blocked(server):
    """A mailbox that cannot be written to, because a file lies where its folder belongs."""
    domain = os.path.join(server.mail_dir, 'example.org')
    path = os.path.join(domain, 'bob')
    os.makedirs(domain, exist_ok=True)
    st = os.stat(server.mail_dir)
    os.chown(domain, st.st_uid, st.st_gid)
    aside = path + '-aside'
    if os.path.exists(path):
        os.rename(path, aside)
    with open(path, 'w'):
        pass

    def unblock():
        if os.path.isfile(path):
            os.unlink(path)
        if os.path.exists(aside):
            os.rename(aside, path)
    yield unblock
    unblock()


def test_delivered_and_gone(server, password):
    ident = send(server, password, 'bob@example.org', 'delivered-and-gone')
    text = server.wait_message('bob@example.org', b'delivered-and-gone')
    head = text.split(b'\n')
    assert head[0] == b'Return-Path: <ann@example.org>'
    assert head[1] == b'Delivered-To: bob@example.org'
    assert head[2].startswith(b'Received: ')
    assert b'\r' not in text
    wait_state(server, ident, None)
    assert 'no such message' in server.cli('queue', 'show', ident, check=False).stderr
    line = server.wait_log('event=delivered id=' + ident)
    assert 'to=bob@example.org' in line and 'mailbox=example.org/bob' in line


def test_elsewhere_waits_and_says_why(server, password):
    ident = send(server, password, 'someone@example.net', 'waits', 'caf\xe9\n')
    server.wait_log('event=site-trouble site=127.0.0.1')
    row = wait_state(server, ident, 'queued')
    assert row['to'] == ['someone@example.net'] and 'refused' in row['reason'], row
    table = server.cli('queue', 'list').stdout
    assert ident in table and 'refused' in table
    assert ident in server.cli('queue', 'list', '--domain', 'example.net', '--state', 'queued').stdout
    assert ident not in server.cli('queue', 'list', '--domain', 'example.com').stdout
    assert re.search(r'QUEUE: 1 message, 1 queued, the oldest for \d+ s\n', server.cli('status').stdout)

    shown = server.json('queue', 'show', ident)
    assert shown['sender'] == 'ann@example.org' and shown['listener'] == 'submission'
    assert shown['to'][0]['state'] == 'queued' and shown['to'][0]['kind'] == 'remote'
    assert 'Subject: waits' in shown['headers']
    assert 'Subject: waits' in server.cli('queue', 'show', ident).stdout
    raw = server.cli('queue', 'cat', ident).stdout
    assert raw.startswith('Received: ') and 'Subject: waits' in raw and raw.endswith('caf\xe9\n')

    assert server.cli('queue', 'remove', ident).returncode == 0
    gone = server.cli('queue', 'remove', ident, check=False)
    assert gone.returncode == 1 and 'no such message' in gone.stderr
    server.wait_log('event=removed id=' + ident)


def test_hold_release_and_retry(server, password, blocked):
    ident = send(server, password, 'bob@example.org', 'held-back')
    row = wait_state(server, ident, 'deferred')
    assert 'folder' in row['reason'] and row['next'] > time.time() * 1000
    server.cli('queue', 'hold', ident)
    wait_state(server, ident, 'held')
    blocked()
    server.cli('queue', 'retry', ident)
    # What comes later is delivered meanwhile.
    send(server, password, 'ann@example.org', 'after-the-held')
    server.wait_message('ann@example.org', b'after-the-held')
    wait_state(server, ident, 'held')  # hold outweighs retry
    server.cli('queue', 'release', ident)
    server.wait_message('bob@example.org', b'held-back')
    wait_state(server, ident, None)


def test_filters_with_all(server, password):
    idents = [send(server, password, f'u{i}@example.net', f'many-{i}') for i in range(3)]
    assert server.cli('queue', 'remove', check=False).returncode == 2
    assert server.json('queue', 'hold', '--all', '--recipient', 'u1@example.net') == {'done': 1}
    assert [r['id'] for r in server.json('queue', 'list', '--state', 'held')] == [idents[1]]
    assert server.json('queue', 'remove', '--all', '--domain', 'example.net') == {'done': 3}


def test_usage(server):
    for args in (['queue'], ['queue', 'lst'], ['queue', 'show'], ['queue', 'hold'], ['queue', 'list', '--limit', '0']):
        assert server.cli(*args, check=False).returncode == 2, args
    bad = server.cli('queue', 'list', '--state', 'lost', check=False)
    assert bad.returncode == 1 and 'no such state' in bad.stderr
    bad = server.cli('queue', 'cat', 'x', check=False)
    assert bad.returncode == 1 and 'not a message id: x\n' in bad.stderr
    bad = server.cli('queue', 'hold', '1JM9GSR600V5N', 'y', check=False)
    assert bad.returncode == 1
    assert 'no such message: 1JM9GSR600V5N\n' in bad.stderr and 'not a message id: y\n' in bad.stderr


def test_a_cut_list_says_so(server, password):
    idents = [send(server, password, f'cut{i}@example.net', 'cut') for i in range(2)]
    cut = server.cli('queue', 'list', '--domain', 'example.net', '--limit', '1')
    assert idents[0] in cut.stdout and idents[1] not in cut.stdout and 'the first 1;' in cut.stderr
    whole = server.cli('queue', 'list', '--domain', 'example.net', '--limit', '3')
    assert idents[1] in whole.stdout and whole.stderr == ''
    server.cli('queue', 'remove', *idents)


def test_five_megabytes(server, password):
    body = ''.join(f'{i:070d}\n' for i in range(5 * 1024 * 1024 // 71))
    send(server, password, 'bob@example.org', 'large-one', body)
    got = server.wait_message('bob@example.org', b'Subject: large-one')
    assert got.split(b'\n\n', 1)[1].decode() == body


def test_hundred_recipients(server, password):
    to = [f'u{i}@example.net' for i in range(99)] + ['bob@example.org']
    ident = send(server, password, to, 'hundred')
    server.wait_message('bob@example.org', b'Subject: hundred')
    deadline = time.monotonic() + PATIENCE
    while True:
        row = wait_state(server, ident, 'queued')
        shown = server.json('queue', 'show', ident)['to']
        # The message is in the mailbox before its outcome is known; and now and then the others are tried.
        if row['open'] == 99 and [r['state'] for r in shown] == ['queued'] * 99 + ['delivered']:
            break
        assert time.monotonic() < deadline, (row, shown)
        time.sleep(0.05)
    assert (row['recipients'], row['open'], len(row['to'])) == (100, 99, 5)
    assert [r['address'] for r in shown] == to
    server.cli('queue', 'remove', ident)


def test_queue_and_local_killed(make_server, password):
    """Whatever was answered with 250 arrives, though the processes that kept it are killed under load."""
    with make_server() as s:
        s.cli('domain', 'add', 'example.org')
        for name in ('ann', 'bob'):
            s.account(f'{name}@example.org', password)
        accepted, stop = [], threading.Event()

        def submit(worker):
            n = 0
            while not stop.is_set():
                n += 1
                subject = f'kill-{worker}-{n}-'
                try:
                    send(s, password, 'bob@example.org', subject)
                    accepted.append(subject)
                except (AssertionError, smtplib.SMTPException, OSError):
                    time.sleep(0.1)  # it was not accepted; that is fair

        workers = [threading.Thread(target=submit, args=(i,)) for i in range(3)]
        for w in workers:
            w.start()
        try:
            for name in ('local', 'queue', 'local', 'queue'):
                time.sleep(1.5)
                killed = kill(s, name)
                deadline = time.monotonic() + PATIENCE
                while role(s, name).get('pid') in (None, killed):
                    assert time.monotonic() < deadline, f'{name} did not come back'
                    time.sleep(0.1)
            deadline = time.monotonic() + 2 * PATIENCE
            before = len(accepted)
            while len(accepted) < before + 5 or len(accepted) <= 20:
                assert time.monotonic() < deadline, s.log_text()[-3000:]
                time.sleep(0.1)
        finally:
            stop.set()
            for w in workers:
                w.join()
        deadline = time.monotonic() + 3 * PATIENCE  # pauses grow up to a minute while local is away
        while s.json('queue', 'list') and time.monotonic() < deadline:
            time.sleep(0.2)
        assert s.json('queue', 'list') == []
        text = b''.join(s.messages('bob@example.org'))
        assert [a for a in accepted if a.encode() not in text] == []


def test_full_spool_refuses_before_data(make_server, password):
    """Under spool.free_min the answer is 452, before the message is sent in vain."""
    with make_server({'spool': {'free_min': '1000G'}}) as s:
        s.cli('domain', 'add', 'example.org')
        s.account('ann@example.org', password)
        with connect(s, password) as c:
            code, text = c.mail('ann@example.org')
            if code == 250:
                code, text = c.rcpt('ann@example.org')
            assert code == 452, text
        s.wait_log('event=not-accepting')


def test_full_mail_disk_defers(make_server, password, tmp_path):
    """Mailboxes on a disk that is full: deferred with the reason, delivered once there is room."""
    disk = tmp_path / 'mail'
    disk.mkdir()
    if os.getuid() != 0 or subprocess.run(['mount', '-t', 'tmpfs', '-o', 'size=256k,mode=0777', 'tmpfs', disk],
                                          stderr=subprocess.DEVNULL).returncode != 0:
        pytest.skip('needs to mount a small tmpfs: root with CAP_SYS_ADMIN')
    for parent in list(disk.parents)[:4]:
        if str(parent).startswith('/tmp/'):
            parent.chmod(0o755)
    try:
        with make_server({'mailboxes': {'dir': str(disk)}}) as s:
            s.mail_dir = str(disk)
            s.cli('domain', 'add', 'example.org')
            s.account('ann@example.org', password)
            filler = disk / 'filler'
            with open(filler, 'wb') as f:
                try:
                    f.write(b'x' * 1000000)
                except OSError:
                    pass
            ident = send(s, password, 'ann@example.org', 'no-room', 'x' * 70 + '\n')
            row = wait_state(s, ident, 'deferred')
            assert 'full' in row['reason']
            filler.unlink()
            s.cli('queue', 'retry', ident)
            s.wait_message('ann@example.org', b'no-room')
    finally:
        subprocess.run(['umount', '-l', disk], check=False)
