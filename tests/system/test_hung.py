"""A process that hangs is named, killed and started anew; no mail is lost, the others go on."""
import os
import re
import signal
import smtplib
import time

import pytest

ROLES = ['smtp', 'queue', 'keeper', 'local', 'ledger', 'admin', 'fetch'] if os.environ.get('POSTERN_FULL') else ['smtp', 'queue']
HANG_S = 5  # no busy machine keeps a process waiting so long
HANG = {'hang_timeout': f'{HANG_S}s', 'smtp_processes': 2}


@pytest.fixture(scope='module')
def hanging(make_server):
    with make_server(HANG) as s:
        s.cli('domain', 'add', 'example.org')
        s.account('ann@example.org', 'correct horse battery')
        yield s


def processes(server):
    until = time.monotonic() + 60
    while True:
        try:
            main = [r for r in server.json('status')['roles'] if r['role'] == 'main'][0]
            if all(p['ready'] for p in main['processes']):
                return {(p['role'], p['index']): p for p in main['processes']}
        except RuntimeError:  # admin is being started
            pass
        assert time.monotonic() < until
        time.sleep(0.05)


def send(server, subject, patience=60):
    """Like every mail server: tries again until it is taken."""
    until = time.monotonic() + patience
    while True:
        try:
            with smtplib.SMTP('127.0.0.1', server.port['relay'], timeout=patience) as c:
                c.sendmail('a@example.com', 'ann@example.org', f'Subject: {subject}\r\n\r\nhello\r\n')
            return
        except (OSError, smtplib.SMTPException):
            if time.monotonic() > until:
                raise
            time.sleep(0.1)


@pytest.mark.parametrize('role', ROLES)
def test_stopped_role_is_started_anew(hanging, role):
    before = processes(hanging)
    send(hanging, f'before {role}')
    mark = len(hanging.log_text().encode())
    pid = before[role, 0]['pid']
    begin = time.monotonic()
    os.kill(pid, signal.SIGSTOP)
    try:
        send(hanging, f'during {role}')
        line = hanging.wait_log('event=role-hung', begin=mark)
        assert time.monotonic() - begin >= HANG_S
    finally:
        try:
            os.kill(pid, signal.SIGCONT)
        except ProcessLookupError:
            pass
    assert f' seconds={HANG_S} ' in line
    assert f'role={role} ' in line.split('event=role-hung')[1] and 'state=stopped' in line and 'then=killed' in line
    hanging.wait_log('event=role-died', begin=mark)
    send(hanging, f'after {role}')
    for when in 'before', 'during', 'after':
        hanging.wait_message('ann@example.org', f'Subject: {when} {role}\r\n'.encode().replace(b'\r\n', b'\n'))
    after = processes(hanging)
    assert after[role, 0]['pid'] != pid and after[role, 0]['hangs'] == 1
    # Nobody else was touched.
    assert {k: p['pid'] for k, p in before.items() if k != (role, 0)} == {k: p['pid'] for k, p in after.items() if k != (role, 0)}
    assert re.search('hung, and was killed, 1 time', hanging.cli('status').stdout)


def test_a_server_that_slept_kills_nobody(make_server):
    """All of it was stopped, as when a machine sleeps: everybody is late, nobody hangs."""
    hang_s = 8
    with make_server(dict(HANG, hang_timeout=f'{hang_s}s')) as s:
        pids = [p['pid'] for p in processes(s).values()]
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        time.sleep(hang_s / 4 + 0.5)  # main has asked them once, or twice: they owe an answer when it falls asleep, too
        os.kill(s.process.pid, signal.SIGSTOP)
        time.sleep(hang_s + 2)
        for pid in s.process.pid, *pids:
            os.kill(pid, signal.SIGCONT)
        # Who really hangs from now on is the first who is found, and the only one.
        ledger = processes(s)['ledger', 0]['pid']
        os.kill(ledger, signal.SIGSTOP)
        assert f' pid={ledger} ' in s.wait_log('event=role-hung')
        now = [p['pid'] for p in processes(s).values()]
        assert [n for n, before in zip(now, pids, strict=True) if before != ledger] == [p for p in pids if p != ledger]
        assert s.log_text().count('event=role-hung') == 1
