"""owner, domain, account, alias and key on a running server: each change holds at once."""
import os
import pty
import re
import shutil
import smtplib
import ssl
import subprocess
import time

import pytest

ANN, BOB = 'ann@example.org', 'bob@example.org'


def session(server, listener='submission'):
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if listener == 'submissions':
        s = smtplib.SMTP_SSL('127.0.0.1', server.port[listener], context=context, timeout=60)
    else:
        s = smtplib.SMTP('127.0.0.1', server.port[listener], timeout=60)
        s.starttls(context=context)
    s.ehlo()
    return s


def auth_plain(s, user, password):
    """Code and text of the reply to AUTH PLAIN; smtplib would raise on a refusal."""
    s.user, s.password = user, password
    try:
        return s.auth('PLAIN', s.auth_plain)
    except smtplib.SMTPAuthenticationError as e:
        return e.smtp_code, e.smtp_error


def login(server, user, password, listener='submission'):
    with session(server, listener) as s:
        return auth_plain(s, user, password)[0]


def mechanisms(server, listener='submissions'):
    with session(server, listener) as s:
        return s.esmtp_features['auth'].split()


def test_password_changes_hold_at_once(server, password):
    server.account('carol@example.org', password)
    assert login(server, 'carol@example.org', password) == 235
    assert login(server, 'CAROL@Example.Org', password) == 235  # remembered
    server.cli('account', 'set', 'carol@example.org', '--password-file', '-', input='another password\n')
    assert login(server, 'carol@example.org', password) == 535
    assert login(server, 'carol@example.org', 'another password') == 235
    server.cli('account', 'set', 'carol@example.org', '--enabled', 'off')
    assert login(server, 'carol@example.org', 'another password') == 535
    server.cli('account', 'remove', 'carol@example.org')
    assert login(server, 'carol@example.org', 'another password') == 535


def test_no_reply_tells_whether_an_account_exists(server, password):
    """One code and one text; and the same work: the shortest times are near each other, sooner or later on a busy machine."""
    server.account('dora@example.org', password)
    server.cli('account', 'set', 'dora@example.org', '--enabled', 'off')
    replies, shortest = set(), {}
    rounds, deadline = 0, time.monotonic() + 120
    while rounds < 5 or max(shortest.values()) >= 2 * min(shortest.values()):
        assert time.monotonic() < deadline, shortest
        for user in ('ann@example.org', 'dora@example.org', 'nobody@example.org', 'nobody@elsewhere.test'):
            with session(server) as s:
                began = time.monotonic()
                replies.add(auth_plain(s, user, 'wrong password'))
                shortest[user] = min(shortest.get(user, 1000), time.monotonic() - began)
        rounds += 1
    assert replies == {(535, b'5.7.8 authentication failed')}


def test_keys(server):
    made = server.cli('key', 'add', ANN, '--name', 'app', '--listener', 'submission', '--sender', 'ann+app@example.org')
    key = made.stdout.strip()
    assert re.fullmatch(r'pk_[a-z2-7]{32}', key)
    assert login(server, ANN, key) == 235
    assert login(server, ANN, key, 'submissions') == 535
    assert login(server, BOB, key) == 535
    with session(server) as s:
        s.login(ANN, key)
        assert s.mail(ANN)[0] == 553
        assert s.mail('ann+app@example.org')[0] == 250
    shown = server.json('key', 'show', ANN, 'app')
    assert shown['last_ip'] == '127.0.0.1' and shown['last_listener'] == 'submission'
    assert 'key' not in shown and key not in server.log_text()
    server.cli('key', 'set', ANN, 'app', '--revoke')
    assert login(server, ANN, key) == 535
    server.cli('key', 'set', ANN, 'app', '--restore', '--any-sender', '--any-listener')
    assert login(server, ANN, key, 'submissions') == 235


def test_scram_is_offered_while_a_domain_has_it(server, password):
    assert 'SCRAM-SHA-256' not in mechanisms(server)
    server.cli('domain', 'set', 'example.org', '--scram', 'on')
    deadline = time.monotonic() + 60
    while 'SCRAM-SHA-256' not in mechanisms(server) and time.monotonic() < deadline:
        time.sleep(0.05)
    server.heard('keeper')
    assert mechanisms(server)[-2:] == ['SCRAM-SHA-256', 'SCRAM-SHA-256-PLUS']
    assert login(server, ANN, password) == 235  # makes the verifier
    assert server.json('domain', 'show', 'example.org')['scram'] is True
    if shutil.which('msmtp'):
        for secret, status in ((password, 0), ('wrong password', 77)):
            p = subprocess.run(['msmtp', '--host=127.0.0.1', f'--port={server.port["submissions"]}', '--tls=on',
                                '--tls-starttls=off', '--tls-certcheck=off', '--auth=scram-sha-256', f'--user={ANN}',
                                f'--passwordeval=echo {secret}', f'--from={ANN}', BOB],
                               input='Subject: by SCRAM\n\nbody\n', text=True, capture_output=True, timeout=120)
            assert p.returncode == status, p.stderr
        server.wait_message(BOB, b'Subject: by SCRAM')
    server.cli('domain', 'set', 'example.org', '--scram', 'off')


def test_aliases_and_further_addresses(server, password):
    server.cli('alias', 'add', 'team@example.org', ANN, BOB)
    server.cli('account', 'set', ANN, '--add-address', 'info@example.org')
    with session(server) as s:
        s.login(ANN, password)
        s.sendmail('team@example.org', ['team@example.org', 'info+x@example.org'], 'Subject: to the team\n\nbody\n')
        assert s.mail(BOB)[0] == 553
    server.wait_message(ANN, b'to the team')
    server.wait_message(BOB, b'to the team')
    assert sum(b'to the team' in m for m in server.messages(ANN)) == 1
    server.cli('alias', 'set', 'team@example.org', '--remove', ANN)
    assert [t['text'] for t in server.json('alias', 'show', 'team@example.org')['targets']] == [BOB]


@pytest.mark.parametrize('args, status, words', [
    (['account', 'add', 'x@nowhere.test', '--no-password'], 1, 'postern domain add nowhere.test'),
    (['account', 'add', 'ann'], 1, 'not a mail address'),  # said before a password is asked for
    (['account', 'add', 'a/b@example.org', '--no-password'], 1, 'becomes a folder'),
    (['account', 'show', 'nobody@example.org'], 1, 'postern account add nobody@example.org'),
    (['account', 'set', ANN, '--password', 'secret'], 2, 'never an argument'),
    (['account', 'set', ANN, '--password=secret'], 2, 'never an argument'),
    (['account', 'set', ANN, '--enabled', 'maybe'], 2, 'takes on or off'),
    (['account', 'grow'], 2, "there is no 'postern account grow'"),
    (['account'], 2, 'usage: postern account'),
    (['domain', 'remove', 'example.org'], 1, '--with-accounts'),
    (['key', 'add', ANN], 2, 'name is missing'),
    (['key', 'add', ANN, '--name', 'n', '--listener', 'sumbission'], 1, 'there are: '),
    (['owner', 'remove', 'default'], 1, 'still has domains'),
    (['account', 'list', '--socket', '/nonexistent/socket'], 3, 'postern serve'),
])
def test_what_is_refused_says_what_to_do(server, args, status, words):
    p = server.cli(*args, check=False)
    assert (p.returncode, words in p.stderr) == (status, True), p.stderr


def test_passwords_that_are_refused(server):
    for secret, words in (('short', 'shorter than 8'), ('pk_' + 'a' * 32, 'looks like an API key'), ('', 'empty')):
        p = server.cli('account', 'set', ANN, '--password-file', '-', input=secret + '\n', check=False)
        assert p.returncode == 1 and words in p.stderr, p.stderr


def test_the_prompt_asks_twice_and_shows_nothing(server):
    env = dict(server.env, POSTERN_RUNTIME_DIR=server.config['runtime_dir'])
    for first, second, status in (('a good password', 'a good password', 0), ('a good password', 'another', 1)):
        pid, fd = pty.fork()
        if pid == 0:
            os.execve(server.binary, ['postern', 'account', 'set', BOB, '--password'], env)
        shown = b''
        for answer in (first, second):
            while not shown.rstrip().endswith(b':'):
                shown += os.read(fd, 1000)
            os.write(fd, answer.encode() + b'\n')
            shown += b'\n'
        try:
            while more := os.read(fd, 1000):
                shown += more
        except OSError:
            pass
        os.close(fd)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == status
        assert b'good' not in shown and b'another' not in shown
    assert login(server, BOB, 'a good password') == 235


def test_mail_for_postmaster_is_never_lost(make_server, password):
    with make_server({'postmaster': ''}) as s:
        s.cli('domain', 'add', 'example.org')
        s.account(ANN, password)
        with smtplib.SMTP('127.0.0.1', s.port['relay'], timeout=60) as c:
            c.sendmail('', ['abuse@example.org'], 'Subject: a complaint\n\nbody\n')
        s.wait_message('example.org@_postmaster', b'a complaint')
        s.cli('domain', 'set', 'example.org', '--postmaster', ANN)
        with smtplib.SMTP('127.0.0.1', s.port['relay'], timeout=60) as c:
            c.sendmail('', ['postmaster@example.org'], 'Subject: a question\n\nbody\n')
        s.wait_message(ANN, b'a question')
