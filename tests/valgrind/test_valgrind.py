"""A whole server under valgrind, without the sandbox (valgrind needs what the sandbox takes
away): mail through every port, wrong ports, the command line, a reload, a role that is
killed.  Not one report, and nothing definitely lost at the end.  Part of make test-full."""
import os
import re
import signal
import smtplib
import socket
import ssl
import stat

import pytest

from server import Server

PASSWORD = 'correct horse battery'
PATIENCE = 600  # under valgrind a password hash takes a minute


@pytest.fixture(scope='module')
def watched(binary, tmp_path_factory):
    wrapper = tmp_path_factory.mktemp('valgrind') / 'postern'
    wrapper.write_text(f'''#!/bin/sh
exec valgrind -q --vgdb=no --trace-children=yes --leak-check=full --errors-for-leak-kinds=definite {binary} "$@"
''')
    wrapper.chmod(wrapper.stat().st_mode | stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH)
    s = Server(str(wrapper), {'smtp_processes': 1}, args=['--no-sandbox'])
    s.patience = PATIENCE
    s.start(timeout=PATIENCE)
    s.binary = binary  # the command line itself need not be watched
    try:
        yield s
    finally:
        s.close()


def unverified():
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def reports(s):
    return [line for line in s.log_text().splitlines() if re.match(r'==\d+==', line)]


def submit(c, subject):
    c.login('ann@example.org', PASSWORD)
    c.sendmail('ann@example.org', ['bob@example.org'], f'Subject: {subject}\r\n\r\n' + 'A line of the body.\r\n' * 20000)


def test_nothing_is_reported(watched):
    s = watched
    s.cli('domain', 'add', 'example.org')
    s.account('ann@example.org', PASSWORD)
    s.account('bob@example.org', PASSWORD)

    with smtplib.SMTP('127.0.0.1', s.port['relay'], timeout=PATIENCE) as c:
        c.sendmail('carol@example.net', ['bob@example.org'], 'Subject: by relay\r\n\r\nhello\r\n')
    with smtplib.SMTP_SSL('127.0.0.1', s.port['submissions'], timeout=PATIENCE, context=unverified()) as c:
        submit(c, 'by submissions')
    for name in ('submission', 'fallback'):
        with smtplib.SMTP('127.0.0.1', s.port[name], timeout=PATIENCE) as c:
            c.starttls(context=unverified())
            submit(c, f'by {name}')
    for subject in ('relay', 'submissions', 'submission', 'fallback'):
        s.wait_message('bob@example.org', f'by {subject}'.encode(), timeout=PATIENCE)

    with pytest.raises(smtplib.SMTPConnectError):
        smtplib.SMTP('127.0.0.1', s.port['submissions'], timeout=PATIENCE)
    for first in (b'GET / HTTP/1.1\r\n\r\n', b'\x16\x03\x01\x00\x05hello', b'\0' * 3000, b'EHLO x\r\nAUTH PLAIN AGFubgBwdw==\r\n'):
        for name in s.port:
            with socket.create_connection(('127.0.0.1', s.port[name]), timeout=PATIENCE) as c:
                c.sendall(first)

    s.cli('queue', 'list')
    s.cli('status')
    s.cli('status', '--clients')
    s.cli('reload')
    pid = next(p['pid'] for p in s.json('status')['roles'] if p['role'] == 'queue')
    begin = os.path.getsize(s.log_file)
    os.kill(pid, signal.SIGKILL)
    s.wait_log('event=queue-loaded', timeout=PATIENCE, begin=begin)
    with smtplib.SMTP('127.0.0.1', s.port['relay'], timeout=PATIENCE) as c:
        c.sendmail('carol@example.net', ['bob@example.org'], 'Subject: after the kill\r\n\r\nhello\r\n')
    s.wait_message('bob@example.org', b'after the kill', timeout=PATIENCE)

    assert s.stop(timeout=PATIENCE) == 0
    assert reports(s) == []
