"""The Unix socket: local programs submit without a password, known by uid."""
import contextlib
import os
import re
import subprocess
import sys
import time

import pytest
from raw import TIMEOUT, Raw


def test_local_socket(server):
    with Raw(os.path.join(server.config['runtime_dir'], 'submit.sock'), greeting=220) as c:
        assert not {'STARTTLS', 'AUTH'} & set(c.ehlo())
        c.message('cron@mx.example.org', ['bob@example.org', 'x@elsewhere.test'], 'Subject: from cron\n\nhello', '250 2.0.0')
        c.say('MAIL FROM:<>', 250)
        c.say('RCPT TO:<nobody@example.org>', '550 5.1.1')
    m = server.wait_message('bob@example.org', b'Subject: from cron')
    assert f'uid {os.getuid()}'.encode() in m
    # A script need not know how to write these.
    assert b'Message-ID: <' in m and b'Date: ' in m
    assert f' uid={os.getuid()} ' in server.wait_log('event=accepted') and 'listener=@local' in server.wait_log('event=accepted')


def test_wishes(server):
    """What submission offers to accounts it offers here: hold it (RFC 4865), and how urgent it is (RFC 6710)."""
    with Raw(os.path.join(server.config['runtime_dir'], 'submit.sock'), greeting=220) as c:
        offered = c.ehlo()
        assert {'FUTURERELEASE', 'MT-PRIORITY'} <= set(offered), offered
        c.say('MAIL FROM:<later@mx.example.org> HOLDFOR=99999999', '501 5.5.4')
        c.say('MAIL FROM:<later@mx.example.org> HOLDFOR=3600 MT-PRIORITY=-4', '250')
        c.say('RCPT TO:<bob@example.org>', 250)
        c.say('DATA', 354)
        c.send('Subject: later\r\n\r\nx\r\n.\r\n')
        ident = c.expect('250 2.0.0').split()[-1]
    shown = server.json('queue', 'list', '--sender', 'later@mx.example.org')
    assert len(shown) == 1 and shown[0]['id'] in ident, (shown, ident)
    shown = server.json('queue', 'show', shown[0]['id'])
    assert shown['class'] == 'bulk' and 3500 < shown['hold_until'] / 1000 - time.time() <= 3600
    text = server.cli('queue', 'show', shown['id']).stdout
    assert re.search(r'^class +bulk$', text, re.M) and re.search(r'^held +until \d', text, re.M), text
    server.cli('queue', 'remove', shown['id'])


def test_unix_line_ends_in_a_body_are_made_right(server):
    with Raw(os.path.join(server.config['runtime_dir'], 'submit.sock'), greeting=220) as c:
        c.ehlo()
        c.envelope('cron@mx.example.org', 'bob@example.org')
        c.say('DATA', 354)
        c.send('Subject: unix lines\n\none\ntwo\n\r\n.\r\n')
        c.expect('250 2.0.0')
    m = server.wait_message('bob@example.org', b'Subject: unix lines').replace(b'\r\n', b'\n')
    assert b'\n\none\ntwo\n' in m


def test_another_user(server):
    """Each is known by the kernel's word, and nobody needs to be root."""
    if os.getuid() != 0:
        pytest.skip('needs root')
    script = ('import socket, sys; s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); f = s.makefile("rwb")\n'
              'def say(line):\n f.write(line + b"\\r\\n"); f.flush(); return f.readline()\n'
              'f.readline(); say(b"HELO localhost"); say(b"MAIL FROM:<www@anywhere.test>"); say(b"RCPT TO:<bob@example.org>")\n'
              'say(b"DATA"); sys.exit(not say(b"Subject: as another user\\n\\nx\\r\\n.").startswith(b"250"))')
    subprocess.run([sys.executable, '-c', script, os.path.join(server.config['runtime_dir'], 'submit.sock')], user=4242, check=True,
                   timeout=TIMEOUT)
    m = server.wait_message('bob@example.org', b'Subject: as another user')
    assert b'(uid 4242)' in m and b'with SMTP ' in m and b'Return-Path: <www@anywhere.test>' in m
    assert 'listener=@local' in server.wait_log(' uid=4242 ')


def test_sessions_of_one_user(server):
    """Nobody takes the socket from all others: the 51st session of a user in a process is refused."""
    path = os.path.join(server.config['runtime_dir'], 'submit.sock')
    with contextlib.ExitStack() as stack:
        processes = sum(r['role'] == 'smtp' for r in server.json('status')['roles'])
        replies = [stack.enter_context(Raw(path)).reply() for _ in range(50 * processes + 1)]
        assert any(r.startswith('421 4.7.0') for r in replies)
        assert sum(r.startswith('220') for r in replies) >= 50
    # All are closed here; that the server sees it takes a moment.
    deadline = time.monotonic() + TIMEOUT
    while True:
        with Raw(path) as c:
            if c.reply().startswith('220'):
                break
        assert time.monotonic() < deadline
        time.sleep(0.05)
