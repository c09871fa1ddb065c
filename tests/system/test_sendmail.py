"""Postern by the names sendmail, mailq and newaliases: each option of doc/sendmail.md, through the Postern of the machine and
through a provider; what a server's answer becomes; callers that are hostile, or dying.

For real programs that call it see tests/interop/test_sendmail_callers.py.
"""
import email
import email.policy
import fcntl
import os
import pathlib
import pwd
import random
import re
import resource
import signal
import socket
import subprocess
import sys
import tempfile
import termios
import threading
import time

import pytest
from conftest import PASSWORD
from server import PATIENCE
from smtp_peer import CLOSE, SmtpPeer

OK, USAGE, DATA, NO_INPUT, NO_USER, NO_HOST, UNAVAILABLE, LATER, NO_PERM, CONFIG = 0, 64, 65, 66, 67, 68, 69, 75, 77, 78
WAYS = ['local', 'provider']


@pytest.fixture(scope='module')
def server(make_server, tmp_path_factory):
    """With ann, bob, carol and dave; its certificate is for localhost."""
    folder = tmp_path_factory.mktemp('certificate')
    cert, key = str(folder / 'cert.pem'), str(folder / 'key.pem')
    subprocess.run(['openssl', 'req', '-x509', '-nodes', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-keyout', key,
                    '-out', cert, '-days', '30', '-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost'],
                   check=True, capture_output=True)
    with open(folder / 'password', 'w') as f:
        f.write(PASSWORD + '\n')
    os.chmod(folder / 'password', 0o600)
    with make_server({'tls': {'certificates': [{'cert': cert, 'key': key}]}, 'local_submission': {'max_size': '10M'}}) as s:
        s.cli('domain', 'add', 'example.org')
        for name in ('ann', 'bob', 'carol', 'dave', 'postmaster'):
            s.account(f'{name}@example.org', PASSWORD)
        s.ways = {
            'local': {'POSTERN_RUNTIME_DIR': s.config['runtime_dir']},
            'provider': {'POSTERN_URL': f'smtp://ann%40example.org@localhost:{s.port["submission"]}', 'SSL_CERT_FILE': cert,
                         'POSTERN_PASSWORD_FILE': str(folder / 'password'), 'POSTERN_RUNTIME_DIR': '/nonexistent'},
        }
        yield s


@pytest.fixture(scope='module')
def names(binary):
    """A folder with the program by its names, for every user."""
    with tempfile.TemporaryDirectory(prefix='sendmail-') as folder:
        os.chmod(folder, 0o755)
        for name in ('sendmail', 'mailq', 'newaliases'):
            os.symlink(os.path.abspath(binary), os.path.join(folder, name))
        yield pathlib.Path(folder)


@pytest.fixture
def call(names):
    """call(env, *args, stdin=b''): exit status, output, errors.  Nothing else is in its environment, as with cron."""
    def run(env, *args, stdin=b'', name='sendmail', **more):
        p = subprocess.run([str(names / name), *args], env={'PATH': '/usr/bin:/bin', **env}, timeout=2 * PATIENCE, capture_output=True,
                           **({'input': stdin} if 'stdin_is' not in more else {'stdin': more.pop('stdin_is')}), **more)
        said = p.stdout.decode(errors='replace'), p.stderr.decode(errors='replace')
        assert 'Sanitizer' not in said[1], said[1]
        return p.returncode, *said
    return run


@pytest.fixture(params=WAYS)
def way(request, server):
    return request.param, server.ways[request.param]


def tag():
    return f'm{random.randrange(1 << 48):x}'


def message(subject, to='bob@example.org', more='', body='hello\n'):
    return f'To: {to}\nSubject: {subject}\n{more}\n{body}'.encode()


def received(server, subject, who='bob', timeout=PATIENCE):
    raw = server.wait_message(f'{who}@example.org', f'Subject: {subject}\n'.encode(), timeout)
    return email.message_from_bytes(raw, policy=email.policy.default)


# ---- each option ----

# arguments; what differs in the message; who gets it; what is in the message that comes (None: not there); only this way
TO_BOB = {'args': ['-i', 'bob@example.org']}
OPTIONS = {
    'plain': {},
    'several': {'args': ['bob@example.org', 'carol@example.org,dave@example.org'], 'to': ['bob', 'carol', 'dave']},
    'list': {'args': ['Bob <bob@example.org>, carol@example.org'], 'to': ['bob', 'carol']},
    '-t': {'args': ['-t'], 'more': 'Cc: carol@example.org\nBcc: Dave <dave@example.org>\n', 'to': ['bob', 'carol', 'dave'],
           'fields': {'Bcc': None, 'Cc': 'carol@example.org', 'To': 'bob@example.org'}},
    '-t and recipients': {'args': ['-t', '-i', 'carol@example.org'], 'to': ['bob', 'carol']},
    '-ti': {'args': ['-ti'], 'body': 'one\n.\ntwo\n', 'text': 'one\n.\ntwo\n'},
    'a dot ends': {'args': ['bob@example.org'], 'body': 'one\n.\ntwo\n', 'text': 'one\n'},
    '-i': {'args': ['-i', 'bob@example.org'], 'body': 'one\n.\ntwo\n..\n.x\n', 'text': 'one\n.\ntwo\n..\n.x\n'},
    '-oi': {'args': ['-oi', 'bob@example.org'], 'body': 'one\n.\ntwo\n', 'text': 'one\n.\ntwo\n'},
    '-f': {'args': ['-f', 'ann@example.org', 'bob@example.org'], 'fields': {'Return-Path': '<ann@example.org>'}},
    '-f attached': {'args': ['-fann@example.org', 'bob@example.org'], 'fields': {'Return-Path': '<ann@example.org>'}},
    '-r': {'args': ['-r', 'ann@example.org', 'bob@example.org'], 'fields': {'Return-Path': '<ann@example.org>'}},
    '-f ""': {'args': ['-f', '', 'bob@example.org'], 'fields': {'Return-Path': '<>'}, 'only': 'local'},
    '-f <>': {'args': ['-f', '<>', 'bob@example.org'], 'fields': {'Return-Path': '<>'}, 'only': 'local'},
    '-f of others': {'args': ['-f', 'list@example.com', 'bob@example.org'], 'fields': {'Return-Path': '<list@example.com>'},
                     'only': 'local'},
    '-F': {'args': ['-F', 'Ann Roe', 'bob@example.org'], 'from': 'Ann Roe <'},
    '-F, and a From': {'args': ['-FAnn Roe', 'bob@example.org'], 'more': 'From: shop@example.com\n', 'from': 'shop@example.com'},
    '-B': {'args': ['-B8BITMIME', 'bob@example.org'], 'more': 'MIME-Version: 1.0\nContent-Type: text/plain; charset=UTF-8\n'
           'Content-Transfer-Encoding: 8bit\n', 'body': 'Grüße\n', 'text': 'Grüße\n'},
    '-B7BIT': {'args': ['-B', '7bit', 'bob@example.org']},
    '-bm': {'args': ['-bm', 'bob@example.org']},
    '--': {'args': ['-i', '--', 'bob@example.org']},
    'ignored': {'args': ['-Am', '-G', '-L', 'tag', '-U', '-m', '-n', '-em', '-oem', '-odb', '-h', '5', '-p', 'x', '-d0.1', '-c',
                         'bob@example.org']},
    'a mailbox file': {'args': ['bob@example.org'], 'before': b'From ann Sun Nov 22 11:00:00 2026\n', 'fields': {'To': 'bob@example.org'}},
    'CRLF': {'args': ['-ti'], 'crlf': True, 'body': 'one\ntwo\n', 'text': 'one\ntwo\n'},
}


@pytest.mark.parametrize('option', OPTIONS)
def test_option(server, call, way, option):
    row, subject = OPTIONS[option], tag()
    if row.get('only', way[0]) != way[0]:
        pytest.skip('a provider takes no such sender')
    stdin = row.get('before', b'') + message(subject, more=row.get('more', ''), body=row.get('body', 'hello\n'))
    if row.get('crlf'):
        stdin = stdin.replace(b'\n', b'\r\n')
    assert call(way[1], *row.get('args', ['bob@example.org']), stdin=stdin) == (OK, '', '')
    for who in row.get('to', ['bob']):
        m = received(server, subject, who)
        assert m['Date'] and m['Message-ID'] and m['From'] and 'Bcc' not in m
        for name, value in row.get('fields', {}).items():
            assert str(m[name]) == value if value else name not in m, (name, m[name])
        assert row.get('from', '') in str(m['From'])
        if 'text' in row:
            assert m.get_content() == row['text']


@pytest.mark.parametrize('args', [['-t', '-i'], ['bob@example.org']])
def test_who_it_is_from(server, call, way, args):
    """If the program does not say: the user of this machine; or the account at the provider."""
    subject = tag()
    assert call(way[1], *args, stdin=message(subject)) == (OK, '', '')
    m = received(server, subject)
    sender = str(m['Return-Path'])
    if way[0] == 'local':
        assert re.fullmatch(rf'<{re.escape(pwd.getpwuid(os.getuid()).pw_name)}@[a-z0-9.-]+>', sender)
    else:
        assert sender == '<ann@example.org>'
    assert m['From'].addresses[0].addr_spec == sender[1:-1]


def test_reports(server, call, way):
    """-N, -R and -V reach the server, and the report that comes has what they asked for."""
    subject = tag()
    assert call(way[1], '-f', 'ann@example.org', '-N', 'success', '-R', 'hdrs', '-V', f'id+{subject}=1', 'bob@example.org',
                stdin=message(subject, body='not to be returned\n')) == (OK, '', '')
    received(server, subject)
    raw = server.wait_message('ann@example.org', f'id+{subject}=1'.encode())
    report = email.message_from_bytes(raw, policy=email.policy.default)
    assert report.get_content_type() == 'multipart/report'
    status = report.get_payload(1).as_string()
    assert f'Original-Envelope-Id: id+{subject}=1' in status and 'Action: delivered' in status
    assert subject.encode() in raw and b'not to be returned' not in raw


def test_verbose(server, call, way):
    status, out, err = call(way[1], '-v', 'bob@example.org', stdin=message(tag()))
    assert status == OK and out == '' and 'sent to 1 of 1' in err
    assert ('submit.sock' if way[0] == 'local' else 'localhost') in err
    status, out, err = call(way[1], '-v', '-v', 'bob@example.org', stdin=message(tag()))
    assert status == OK and 'C: RCPT TO:<bob@example.org>' in err and PASSWORD not in err


def test_nothing_to_do(server, call, way):
    for name, args in [('newaliases', []), ('sendmail', ['-bi']), ('sendmail', ['-I']), ('sendmail', ['-q15m']),
                       ('sendmail', ['-bh'])]:
        assert call(way[1], *args, name=name) == (OK, '', ''), args


REFUSED = {
    'nobody': ([], b'', USAGE, 'no recipient'),
    '-bd': (['-bd'], b'', USAGE, 'postern serve'),
    '-bv': (['-bv', 'bob'], b'', USAGE, 'postern route'),
    '-bt': (['-bt'], b'', USAGE, 'postern route'),
    '-XV': (['-XV', 'bob@example.org'], b'', USAGE, 'VERP'),
    '-Z': (['-Z'], b'', USAGE, '-Z: no such option'),
    '-N': (['-Nsometimes', 'bob@example.org'], b'', USAGE, '-N wants'),
    '-t without': (['-t'], b'Subject: x\n\nx\n', USAGE, 'recipient'),
    '-t, no address': (['-t'], b'To: x y z\n\nx\n', DATA, 'To'),
    'no address': (['@@'], b'Subject: x\n\nx\n', DATA, 'recipient'),
    'no sender': (['-f', 'a b', 'bob@example.org'], b'Subject: x\n\nx\n', DATA, 'sender'),
    'a line end': (['-F', 'x\nBcc: evil@example.org', 'bob@example.org'], b'Subject: x\n\nx\n', DATA, 'From'),
    'a line end in -f': (['-f', 'ann@example.org>\nRCPT TO:<x@y.test', 'bob@example.org'], b'Subject: x\n\nx\n', DATA, 'sender'),
    'NUL': (['bob@example.org'], b'Subject: x\n\nx\0y\n', DATA, 'NUL'),
    'a header without end': (['bob@example.org'], b'X-A: ' + b'x' * 2_000_000, DATA, 'too long'),
    'unknown user': (['nobody@example.org'], b'Subject: x\n\nx\n', NO_USER, 'nobody@example.org was refused: 550'),
    'too large': (['bob@example.org'], b'Subject: x\n\n' + b'x' * 70 * 10 + b'\n' + (b'y' * 70 + b'\n') * 800_000, DATA, 'was refused'),
}


@pytest.mark.parametrize('what', REFUSED)
def test_refused(call, way, what):
    args, stdin, status, words = REFUSED[what]
    got, out, err = call(way[1], *args, stdin=stdin)
    assert (got, out) == (status, '') and words in err, err
    if status != USAGE or what.startswith('-t'):
        assert 'the message was not sent' in err


def test_some_are_refused(server, call, way):
    subject = tag()
    status, out, err = call(way[1], 'bob@example.org', 'nobody@example.org', stdin=message(subject))
    assert status == NO_USER and 'nobody@example.org was refused' in err and 'sent to 1 of 2 recipients' in err
    received(server, subject)


# ---- the queue ----

def test_queue(server, call):
    env, subject = server.ways['local'], tag()
    assert call(env, '-f', 'ann@example.org', f'{subject}@example.net', stdin=message(subject))[0] == OK
    for name, args in (('mailq', []), ('sendmail', ['-bp'])):
        status, out, err = call(env, *args, name=name)
        assert status == OK and f'{subject}@example.net' in out and err == ''
    status, out, err = call(env, '-q')
    assert status == OK
    assert call(env, '-qRexample.net')[0] == OK
    ident = server.json('queue', 'list', '--recipient', f'{subject}@example.net')[0]['id']
    assert call(env, f'-qI{ident}')[0] == OK
    assert call(env, '-qI--all')[0] == UNAVAILABLE
    server.cli('queue', 'remove', ident)


def test_the_queue_is_not_for_all(server, call, names):
    if os.getuid() != 0:
        pytest.skip('needs root')
    env = {**server.ways['local'], 'HOME': '/nonexistent'}
    for name, args in [('mailq', []), ('sendmail', ['-qRexample.net']), ('sendmail', ['-qI0NOSUCHMSG00'])]:
        status, out, err = call(env, *args, name=name, user=4242)
        assert status == NO_PERM and out == '' and 'control_group' in err
    assert call(env, '-q', user=4242) == (OK, '', '')  # that is for his own


def test_no_queue(server, call):
    assert call(server.ways['provider'], name='mailq') == (OK, 'Mail queue is empty\n', '')
    assert call(server.ways['provider'], '-q') == (OK, '', '')


@pytest.fixture
def keep(binary, tmp_path):
    """keep(subject, to): an id; in an outbox whose server is at the socket of Local(tmp_path)."""
    def run(subject, to):
        p = subprocess.run([binary, 'send', '--queue', '--url', f'unix:{tmp_path}/submit.sock', '--from', 'ann@example.org', '--to', to,
                            '--subject', subject, '--text', 'x'], capture_output=True, text=True, timeout=2 * PATIENCE,
                           env={'HOME': str(tmp_path), 'POSTERN_RUNTIME_DIR': '/nonexistent'})
        assert p.returncode == OK, p.stderr
        return re.search(r'outbox as (\w+)', p.stderr).group(1)
    return run


def test_the_users_own_queue(call, keep, tmp_path):
    env = {'HOME': str(tmp_path), 'POSTERN_RUNTIME_DIR': '/nonexistent'}
    ids = [keep(f's{i}', to) for i, to in enumerate(['a@one.test', 'b@two.test', 'c@two.test'])]
    status, out, err = call(env, name='mailq')
    assert (status, err) == (OK, '') and all(i in out for i in ids)
    status, out, err = call(env, '-q')
    assert status == LATER
    with Local(tmp_path) as peer:
        assert call(env, '-qRthree.test')[0] == OK and not peer.taken
        assert call(env, '-qI0NOSUCHMSG00')[0] == UNAVAILABLE and not peer.taken
        status, out, err = call(env, f'-qI{ids[1]}')
        assert status == OK and peer.taken == {('s1', 'b@two.test'): 1}, err
        assert call(env, '-qRTWO.test')[0] == OK and peer.taken['s2', 'c@two.test'] == 1 and len(peer.taken) == 2
        assert call(env, '-q')[0] == OK and len(peer.taken) == 3
    assert call(env, name='mailq') == (OK, 'Mail queue is empty\n', '')


def test_both_queues(server, call, keep, tmp_path):
    """The server's and the user's own."""
    subject = tag()
    env = {**server.ways['local'], 'HOME': str(tmp_path)}
    own = keep('own', 'a@one.test')
    assert call(env, f'{subject}@example.net', stdin=message(subject))[0] == OK
    status, out, err = call(env, '-bp')
    assert status == OK and f'{subject}@example.net' in out and own in out
    with Local(tmp_path) as peer:
        assert call(env, f'-qI{own}')[0] == OK and peer.taken == {('own', 'a@one.test'): 1}
    server.cli('queue', 'remove', server.json('queue', 'list', '--recipient', f'{subject}@example.net')[0]['id'])


@pytest.fixture
def account(tmp_path):
    """account(more): the environment of a user whose account submits at the socket of Local(tmp_path)."""
    def write(more=''):
        (tmp_path / '.config/postern').mkdir(parents=True, exist_ok=True)
        file = tmp_path / '.config/postern/send.yaml'
        file.write_text(f'accounts:\n  home:\n    url: unix:{tmp_path}/submit.sock\n    from: ann@home.test\n    name: Ann Roe\n{more}')
        file.chmod(0o600)
        return {'HOME': str(tmp_path), 'POSTERN_RUNTIME_DIR': '/nonexistent'}
    return write


def test_an_account_says_who(call, account, tmp_path):
    with Local(tmp_path) as peer:
        kept = []
        peer.answer['final'] = lambda _, data: kept.append(data.decode()) or '250 2.0.0 taken'
        assert call(account(), '-t', stdin=message('x')) == (OK, '', '')
        assert call(account(), '-t', '-FBea', stdin=message('x')) == (OK, '', '')
        assert peer.heard[1].startswith('MAIL FROM:<ann@home.test>')
        assert 'From: Ann Roe <ann@home.test>\r\n' in kept[0] and 'From: Bea <ann@home.test>\r\n' in kept[1]
        (tmp_path / '.config/postern/send.yaml').write_text('accounts: [\n')
        status, out, err = call({'HOME': str(tmp_path), 'POSTERN_RUNTIME_DIR': '/nonexistent'}, '-t', stdin=message('x'))
        assert status == CONFIG and 'send.yaml' in err and 'the message was not sent' in err


# ---- senders that a provider would not take ----

CRON = b'From: root (Cron Daemon)\nTo: bob@example.org\nSubject: %s\nX-Cron-Env: <LOGNAME=root>\n\nout\n'


@pytest.mark.parametrize('how', ['-t', '-bs'])
def test_cron_through_a_provider(server, names, call, tmp_path, how):
    """It lets the owner of an account send as himself: root at this machine is told beside his address, and the
    envelope has it, too.  With `rewrite_from: no` the provider refuses what it is given."""
    (tmp_path / '.config/postern').mkdir(parents=True)
    file = tmp_path / '.config/postern/send.yaml'
    env = {**server.ways['provider'], 'HOME': str(tmp_path)}
    del env['POSTERN_URL']
    account = f'accounts: {{a: {{host: localhost, port: {server.port["submission"]}, user: ann@example.org'

    def send(subject, status):
        if how == '-t':
            assert call(env, '-t', '-i', '-froot', stdin=CRON % subject.encode())[0] == status
            return
        c = Pipe(names, env)
        c.say('EHLO here', '250')
        c.say('MAIL FROM:<root@localhost>', '250')
        c.say('RCPT TO:<bob@example.org>', '250')
        c.say('DATA', '354')
        c.say((CRON % subject.encode()).decode().replace('\n', '\r\n') + '.', '250' if status == OK else '554')
        c.say('QUIT', '221')
        assert c.end()[0] == OK
    file.write_text(account + '}}\n')
    file.chmod(0o600)
    subject = tag()
    send(subject, OK)
    m = received(server, subject)
    assert m['Return-Path'] == '<ann@example.org>' and 'Reply-To' not in m
    assert [a.addr_spec for a in m['From'].addresses] == ['ann@example.org']
    assert re.fullmatch(r'Cron Daemon \(root at [a-z0-9.-]+\)', m['From'].addresses[0].display_name)
    assert re.fullmatch(r'root@[a-z0-9.-]+ \(Cron Daemon\)', m['X-Original-From'])
    file.write_text(account + ', rewrite_from: no}}\n')
    send(tag(), NO_PERM)


def test_every_sender_is_rewritten(call, account, tmp_path):
    """As a contact form writes: from the visitor, who is to get the answer."""
    env = account('    rewrite_from: all\n')
    with Local(tmp_path) as peer:
        kept = []
        peer.answer['final'] = lambda _, data: kept.append(data.decode()) or '250 2.0.0 taken'
        assert call(env, '-t', '-fvisitor@example.com', stdin=message('x', more='From: Vi <visitor@example.com>\n')) == (OK, '', '')
        m = email.message_from_string(kept[0], policy=email.policy.default)
        assert str(m['From']) == '"Vi (visitor at example.com)" <ann@home.test>'
        assert m['Reply-To'] == m['X-Original-From'] == 'Vi <visitor@example.com>'
        assert peer.heard[1].startswith('MAIL FROM:<ann@home.test>')
        assert call(account('    rewrite_from: local\n'), '-t', '-fvisitor@example.com',
                    stdin=message('x', more='From: Vi <visitor@example.com>\n')) == (OK, '', '')
        assert 'From: Vi <visitor@example.com>\r\n' in kept[1] and 'MAIL FROM:<visitor@example.com>' in '\n'.join(peer.heard)


def test_mail_for_root(call, account, tmp_path):
    """Who reads it is told once for the account, not in every crontab."""
    with Local(tmp_path) as peer:
        assert call(account('    local_to: ann@example.net\n'), '-t', '-i', 'carol@example.org',
                    stdin=message('x', to='root, www-data@localhost')) == (OK, '', '')
        assert peer.taken == {('x', 'carol@example.org'): 1, ('x', 'ann@example.net'): 1}


def test_a_home_that_nobody_told(names, account, tmp_path):
    """Cron's environment is not always a whole one."""
    if os.getuid() != 0:
        pytest.skip('needs root')
    account()
    (tmp_path / 'etc').mkdir()
    (tmp_path / 'etc/passwd').write_text(f'root:x:0:0:root:{tmp_path}:/bin/sh\n')
    with Local(tmp_path) as peer:
        script = f'mount -t overlay overlay -o lowerdir={tmp_path}/etc:/etc /etc; exec env -i "$1" -t'
        p = subprocess.run(['unshare', '--mount', 'sh', '-ec', script, 'sh', str(names / 'sendmail')], input=message('x'),
                           capture_output=True, timeout=2 * PATIENCE)
        assert (p.returncode, p.stderr) == (OK, b'')
        assert peer.heard[1].startswith('MAIL FROM:<ann@home.test>')


def test_an_account_that_keeps(call, account, tmp_path):
    """queue: yes.  The program is told that it was taken, and it goes out with the next one."""
    assert call(account(), '-t', stdin=message('x'))[0] == LATER  # without
    env = account('    queue: yes\n')
    status, out, err = call(env, '-t', '-N', 'never', stdin=message('first'))
    assert status == OK and 'kept in the outbox as' in err
    ident = re.search(r'outbox as (\w+)', err).group(1)
    assert ident in call(env, name='mailq')[1]
    with Local(tmp_path) as peer:
        peer.tell('ehlo', '250-peer.test\n250 DSN')
        status, out, err = call(env, '-t', stdin=message('second'))
        assert status == OK and '1 message that waited' in err
        assert peer.taken == {('second', 'bob@example.org'): 1, ('first', 'bob@example.org'): 1}
        assert [line for line in peer.heard if line.startswith('RCPT') and 'NOTIFY=NEVER' in line]
    assert call(env, name='mailq') == (OK, 'Mail queue is empty\n', '')


def test_some_are_kept(call, account, tmp_path):
    env = account('    queue: yes\n')
    with Local(tmp_path) as peer:
        peer.tell('rcpt', ['250 2.1.5 ok', '450 4.2.1 later', '550 5.1.1 nobody'])
        status, out, err = call(env, 'a@one.test', 'b@two.test', 'c@three.test', stdin=message('x'))
        assert status == NO_USER and 'kept in the outbox' in err and 'c@three.test was refused' in err
        peer.tell('rcpt', '250 2.1.5 ok')
        assert call(env, '-q')[0] == OK
        assert peer.taken == {('x', 'a@one.test'): 1, ('x', 'b@two.test'): 1}


def test_bs_keeps(names, account, binary, tmp_path):
    """The client is told that it was taken, and by whom."""
    env = account('    queue: yes\n')
    (tmp_path / '.config/postern/send.yaml').write_text('accounts:\n  home: {url: "smtp://127.0.0.1:1", from: ann@home.test, queue: yes}\n')
    c = Pipe(names, env)
    c.say('EHLO here', '250')
    c.say('MAIL FROM:<ann@example.org>', '250')
    c.say('RCPT TO:<bob@example.org>', '250')
    c.say('DATA', '354')
    said = c.say('Subject: x\r\n\r\nx\r\n.', '250')
    assert 'kept in the outbox as' in said[0]
    c.say('QUIT', '221')
    assert c.end()[0] == OK
    p = subprocess.run([str(names / 'mailq')], env=env, capture_output=True, text=True)
    assert 'bob@example.org' in p.stdout


# ---- SMTP on standard input and output ----

class Pipe:
    def __init__(self, names, env, *args):
        self.p = subprocess.Popen([str(names / 'sendmail'), '-bs', *args], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                  stderr=subprocess.PIPE, env={'PATH': '/usr/bin:/bin', **env})
        self.expect('220')

    def expect(self, code):
        lines = []
        while not lines or lines[-1][3:4] == '-':
            lines.append(self.p.stdout.readline().decode().rstrip('\r\n'))
            assert lines[-1], lines
        assert lines[-1].startswith(code), (lines, code)
        return lines

    def say(self, line, code):
        self.p.stdin.write(line.encode() + b'\r\n')
        self.p.stdin.flush()
        return self.expect(code)

    def end(self):
        out, err = self.p.communicate(timeout=2 * PATIENCE)
        return self.p.returncode, out, err.decode()


def test_bs(server, names, way):
    subjects = [tag(), tag()]
    c = Pipe(names, way[1])
    offered = {line[4:].split()[0] for line in c.say('EHLO here', '250')}
    assert not {'STARTTLS', 'AUTH'} & offered and {'PIPELINING', 'DSN', '8BITMIME', 'SIZE'} <= offered
    for subject in subjects:
        c.say('MAIL FROM:<ann@example.org>', '250')
        c.say('RCPT TO:<bob@example.org>', '250')
        c.say('RCPT TO:<carol@example.org>', '250')
        c.say('DATA', '354')
        c.say(f'From: ann@example.org\r\nSubject: {subject}\r\n\r\n..dot\r\nend\r\n.', '250')
    c.say('QUIT', '221')
    assert c.end()[:2] == (OK, b'')
    for subject in subjects:
        for who in ('bob', 'carol'):
            m = received(server, subject, who)
            assert m.get_content() == '.dot\nend\n' and m['Message-ID'] and m['Return-Path'] == '<ann@example.org>'


def test_bs_refused(server, names, way):
    """The client hears of it, whenever that is known."""
    c = Pipe(names, way[1])
    c.say('EHLO here', '250')
    c.say('MAIL FROM:<ann@example.org>', '250')
    if way[0] == 'local':
        c.say('RCPT TO:<nobody@example.org>', '550 5.1.1')
    else:
        c.say('RCPT TO:<nobody@example.org>', '250')
        c.say('DATA', '354')
        said = c.say('Subject: x\r\n\r\nx\r\n.', '554')
        assert 'nobody@example.org' in said[0] and '550 5.1.1' in said[0]
    c.say('RSET', '250')
    c.say('AUTH PLAIN', '50')
    c.p.stdin.close()
    c.p.stdin = None
    assert c.end()[0] == OK


def test_bs_through_a_provider(server, names):
    """What went to one recipient and not to another must not be tried again with both; and reports that are wanted
    are asked for."""
    c, subject = Pipe(names, server.ways['provider']), tag()
    c.say('EHLO here', '250')
    c.say(f'MAIL FROM:<ann@example.org> RET=HDRS ENVID={subject}', '250')
    c.say('RCPT TO:<bob@example.org> NOTIFY=SUCCESS', '250')
    c.say('RCPT TO:<nobody@example.org>', '250')
    c.say('DATA', '354')
    said = c.say(f'Subject: {subject}\r\n\r\nx\r\n.', '554')
    assert 'sent to 1 of 2 recipients; nobody@example.org: 550' in said[0]
    c.say('MAIL FROM:<ann@example.org>', '250')
    c.say('DATA', '5')
    c.say('QUIT', '221')
    assert c.end()[0] == OK
    received(server, subject)
    server.wait_message('ann@example.org', f'Original-Envelope-Id: {subject}'.encode())


def test_bs_when_nobody_answers(names):
    """The client is to come again, and is not hung up on."""
    c = Pipe(names, {'POSTERN_URL': 'smtp://127.0.0.1:1', 'POSTERN_RUNTIME_DIR': '/nonexistent'})
    c.say('EHLO here', '250')
    for _ in range(2):
        c.say('MAIL FROM:<ann@example.org>', '250')
        c.say('RCPT TO:<bob@example.org>', '250')
        c.say('DATA', '354')
        c.say('Subject: x\r\n\r\nx\r\n.', '451')
    c.say('QUIT', '221')
    status, out, err = c.end()
    assert status == OK and err.count('the message was not sent') == 2


def test_bs_pipelined(server, names, way):
    """All at once, without a wait; and much of it."""
    subjects = [tag() for _ in range(5)]
    body = ('x' * 70 + '\r\n') * 5000
    said = 'EHLO here\r\n' + ''.join(
        f'MAIL FROM:<ann@example.org>\r\nRCPT TO:<bob@example.org>\r\nDATA\r\nSubject: {s}\r\n\r\n{body}.\r\n' for s in subjects) + 'QUIT\r\n'
    p = subprocess.run([str(names / 'sendmail'), '-bs'], input=said.encode(), capture_output=True, timeout=2 * PATIENCE,
                       env={'PATH': '/usr/bin:/bin', **way[1]})
    assert p.returncode == OK, p.stderr
    assert p.stdout.count(b'\r\n354 ') == 5 and p.stdout.rstrip().split(b'\r\n')[-1].startswith(b'221')
    for s in subjects:
        assert len(received(server, s).get_content()) == 71 * 5000


def dialog(names, env, said):
    p = subprocess.run([str(names / 'sendmail'), '-bs'], input=said, capture_output=True, timeout=2 * PATIENCE, env={'PATH': '/usr/bin:/bin', **env})
    return p.returncode, p.stdout.decode(), p.stderr.decode()


MAIL = b'EHLO here\nMAIL FROM:<ann@example.org>\nRCPT TO:<bob@example.org>\nDATA\n'
EVIL = b'MAIL FROM:<ann@example.org>@RCPT TO:<carol@example.org>@DATA@Subject: smuggled-%s@@x@.@'


def test_bs_by_unix_lines(server, names, way):
    """As a script says it, with printf; the message as it lay on a disk, of either kind."""
    one, two = tag(), tag()
    said = MAIL + b'Subject: %s\n\n..dot\nend\n.\n' % one.encode()
    said += MAIL[10:] + b'Subject: %s\r\n\r\nof\r\nanother kind\r\n.\nQUIT\n' % two.encode()
    status, out, err = dialog(names, way[1], said)
    assert (status, err) == (OK, '') and out.count('354 ') == 2 and out.endswith('\r\n') and '\r\n221 ' in out, out
    assert received(server, one).get_content() == '.dot\nend\n'
    assert received(server, two).get_content() == 'of\nanother kind\n'
    c = Pipe(names, way[1])
    c.p.stdin.write(b'EHLO here\n')
    c.p.stdin.flush()
    c.expect('250')
    c.p.stdin.write(b'QUIT\n')
    c.p.stdin.flush()
    c.expect('221')
    assert c.end()[0] == OK


@pytest.mark.parametrize('ours, theirs', [(b'\r\n', b'\n'), (b'\n', b'\r\n')])
def test_bs_smuggles_nothing(server, names, way, ours, theirs):
    """A message that holds the end of a message, and more commands, in the line ends that its program does not use: it
    has looked for no dots there."""
    subject = tag()
    said = MAIL.replace(b'\n', ours) + b'Subject: %s@@before@.@'.replace(b'@', theirs) % subject.encode()
    said += (EVIL % subject.encode()).replace(b'@', theirs) + ours + b'.' + ours + b'QUIT' + ours
    status, out, err = dialog(names, way[1], said)
    assert status == OK and out.count('354 ') == 1 and '\r\n221 ' in out, out
    m = received(server, subject)
    assert 'before\n.\nMAIL FROM:' in m.get_content()
    assert not any(b'smuggled-' + subject.encode() in one for one in server.messages('carol@example.org'))


def test_bs_chunks_by_unix_lines(names, way):
    status, out, err = dialog(names, way[1], MAIL[:-5] + b'BDAT 5 LAST\nQUIT\n')
    assert status == 76 and '421 4.5.0 BDAT wants' in out and 'BDAT wants' in err and '\r\n221 ' not in out


def test_bs_without_a_server(names):
    p = subprocess.run([str(names / 'sendmail'), '-bs'], input=b'', capture_output=True, timeout=2 * PATIENCE,
                       env={'POSTERN_RUNTIME_DIR': '/nonexistent', 'HOME': '/nonexistent'})
    assert p.returncode == CONFIG and p.stdout.startswith(b'554 5.3.5 ') and p.stderr


def test_bs_is_no_relay(server, names, way):
    """As inetd would start it: a stranger is told, and nothing is asked of him."""
    with socket.create_server(('127.0.0.1', 0)) as s, socket.create_connection(s.getsockname()) as client:
        ours = s.accept()[0]
        with ours:
            p = subprocess.run([str(names / 'sendmail'), '-bs'], stdin=ours, stdout=ours, stderr=subprocess.PIPE, timeout=2 * PATIENCE,
                               env={'PATH': '/usr/bin:/bin', **way[1]})
        assert p.returncode == USAGE and client.recv(1000).startswith(b'554 5.7.1')


# ---- what a server's answers become ----

class Local(SmtpPeer):
    """At a socket, as a Postern has it; each line that is heard is kept."""

    def __init__(self, folder):
        super().__init__()
        self.folder, self.heard = str(folder), []
        for step in ('ehlo', 'mail', 'rcpt', 'data'):
            self.tell(step, self.answer[step])

    def tell(self, step, said):
        def answer(_, line):
            self.heard.append(line.decode().strip())
            return said.pop(0) if isinstance(said, list) and len(said) > 1 else said[0] if isinstance(said, list) else said
        self.answer[step] = answer

    def listen(self):
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(os.path.join(self.folder, 'submit.sock'))
        self.listener.listen(200)
        threading.Thread(target=self.accept, args=(self.listener,), daemon=True).start()
        return self

    def env(self):
        return {'POSTERN_RUNTIME_DIR': self.folder}


@pytest.fixture
def local(tmp_path):
    with Local(tmp_path) as peer:
        yield peer


ANSWERS = [  # step, what the server says, status, words
    ('greeting', '554 5.3.2 no', LATER, '554'),
    ('greeting', '421 4.3.2 closing', LATER, '421'),
    ('greeting', CLOSE, LATER, ''),
    ('mail', '550 5.7.1 not as that', NO_PERM, '550 5.7.1 not as that'),
    ('mail', '451 4.3.0 later', LATER, '451'),
    ('mail', '552 5.3.4 too large', DATA, '552'),
    ('rcpt', '550 5.1.1 no such user', NO_USER, 'was refused: 550 5.1.1 no such user'),
    ('rcpt', '550 5.1.2 no such domain', NO_HOST, ''),
    ('rcpt', '450 4.2.1 greylisted', LATER, 'not now: 450'),
    ('rcpt', '553 nobody', NO_USER, ''),
    ('rcpt', CLOSE, LATER, ''),
    ('data', '554 5.5.1 no', UNAVAILABLE, ''),
    ('final', '554 5.6.0 not with this in it', DATA, ''),
    ('final', '550 5.7.1 spam', NO_PERM, ''),
    ('final', '452 4.3.1 the disk is full', LATER, ''),
    ('final', CLOSE, LATER, 'it is not known whether the message was sent'),
]


@pytest.mark.parametrize('step, said, status, words', ANSWERS)
def test_answer(call, local, step, said, status, words):
    local.answer[step] = said
    got, out, err = call(local.env(), 'bob@example.org', stdin=message('x'))
    assert (got, out) == (status, '') and words in err, err
    assert 'the message was not sent' in err or words.startswith('it is not known')


def test_what_lasts_is_told(call, local):
    local.tell('rcpt', ['250 2.1.5 ok', '450 4.2.1 later', '550 5.1.1 nobody'])
    status, out, err = call(local.env(), 'a@example.org', 'b@example.org', 'c@example.org', stdin=message('x'))
    assert status == NO_USER and 'b@example.org not now' in err and 'c@example.org was refused' in err
    assert 'sent to 1 of 3' in err and local.taken == {('x', 'a@example.org'): 1}


def test_wishes_on_the_wire(call, local):
    local.tell('ehlo', '250-peer.test\n250-8BITMIME\n250 DSN')
    assert call(local.env(), '-N', 'failure,delay', '-R', 'full', '-V', 'a+b', 'bob@example.org', stdin=message('x'))[0] == OK
    mail, rcpt = [line for line in local.heard if line[:4] in ('MAIL', 'RCPT')]
    assert mail.endswith(' RET=FULL ENVID=a+2Bb') and rcpt.endswith('<bob@example.org> NOTIFY=FAILURE,DELAY')
    assert call(local.env(), '-N', 'never', 'bob@example.org', stdin=message('x'))[0] == OK
    assert local.heard[-2].endswith(' NOTIFY=NEVER') and 'RET' not in local.heard[-3]


def test_a_server_without_reports(call, local):
    status, out, err = call(local.env(), '-N', 'success', '-V', 'x', 'bob@example.org', stdin=message('x'))
    assert status == OK and 'no reports of success' in err
    assert not any('NOTIFY' in line or 'ENVID' in line for line in local.heard)


def test_nobody_is_there(call, tmp_path):
    """A socket that nobody listens at, a machine without any, a port that is shut."""
    with socket.socket(socket.AF_UNIX) as s:
        s.bind(str(tmp_path / 'submit.sock'))
        status, out, err = call({'POSTERN_RUNTIME_DIR': str(tmp_path)}, 'bob@example.org', stdin=message('x'))
        assert status == LATER and 'the message was not sent' in err
    status, out, err = call({'POSTERN_RUNTIME_DIR': '/nonexistent', 'HOME': '/nonexistent'}, 'bob@example.org', stdin=message('x'))
    assert status == CONFIG and 'the message was not sent' in err
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        url = f'smtp://127.0.0.1:{s.getsockname()[1]}'
        status, out, err = call({'POSTERN_URL': url}, '-f', 'a@b.test', 'bob@example.org', stdin=message('x'))
        assert status == LATER and 'the message was not sent' in err and 'postern check 127.0.0.1' in err


@pytest.mark.parametrize('left', ['nothing', 'a socket'])
@pytest.mark.parametrize('mode', ['send', '-bs'])
def test_a_server_that_restarts(names, tmp_path, left, mode):
    """Its folder is there, and the socket not yet; or one of before, at which nobody listens."""
    env = {'POSTERN_RUNTIME_DIR': str(tmp_path), 'HOME': '/nonexistent'}
    said = b'EHLO x\r\nMAIL FROM:<a@b.test>\r\nRCPT TO:<bob@example.org>\r\nDATA\r\nSubject: x\r\n\r\nx\r\n.\r\nQUIT\r\n'
    if left == 'a socket':
        with socket.socket(socket.AF_UNIX) as s:
            s.bind(str(tmp_path / 'submit.sock'))
    p = subprocess.Popen([str(names / 'sendmail'), *(['-t'] if mode == 'send' else ['-bs'])], stdin=subprocess.PIPE,
                         stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=env)
    p.stdin.write(message('x') if mode == 'send' else said)
    p.stdin.close()
    p.stdin = None
    time.sleep(1)
    assert p.poll() is None
    if left == 'a socket':
        os.unlink(tmp_path / 'submit.sock')
    with Local(tmp_path) as peer:
        out, err = p.communicate(timeout=2 * PATIENCE)
        assert (p.returncode, err) == (OK, b'') and peer.taken == {('x', 'bob@example.org'): 1}


def test_a_restart(make_server, names):
    subject = tag()
    with make_server() as s:
        s.cli('domain', 'add', 'example.org')
        s.account('bob@example.org', PASSWORD)
        s.stop()
        p = subprocess.Popen([str(names / 'sendmail'), '-t'], stdin=subprocess.PIPE, stderr=subprocess.PIPE,
                             env={'POSTERN_RUNTIME_DIR': s.config['runtime_dir'], 'HOME': '/nonexistent'})
        p.stdin.write(message(subject))
        p.stdin.close()
        p.stdin = None
        time.sleep(0.5)
        s.start()
        assert (p.communicate(timeout=2 * PATIENCE)[1], p.returncode) == (b'', OK)
        received(s, subject)


def test_a_wrong_password(server, call, tmp_path):
    (tmp_path / 'wrong').write_text('not this one\n')
    status, out, err = call({**server.ways['provider'], 'POSTERN_PASSWORD_FILE': str(tmp_path / 'wrong')}, 'bob@example.org',
                            stdin=message('x'))
    assert status == NO_PERM and 'the message was not sent' in err and 'not this one' not in err


def test_a_sender_of_others(server, call):
    status, out, err = call(server.ways['provider'], '-f', 'bob@example.org', 'bob@example.org', stdin=message('x'))
    assert status in (NO_PERM, DATA) and 'the message was not sent' in err


def test_a_certificate_of_nobody(server, call):
    env = {**server.ways['provider'], 'SSL_CERT_FILE': '/etc/ssl/certs/ca-certificates.crt'}
    status, out, err = call(env, 'bob@example.org', stdin=message('x'))
    assert status == UNAVAILABLE and 'the message was not sent' in err


# ---- callers that are hostile, careless, or dying ----

def test_no_file_is_the_callers_choice(server, call, tmp_path):
    """What has opened machines by PHP's fifth argument to mail()."""
    secret, log = tmp_path / 'secret', tmp_path / 'shell.php'
    secret.write_text('O DeliveryMode=none\n')
    before = sorted(os.listdir(tmp_path))
    subject = tag()
    status, out, err = call(server.ways['local'], '-i', f'-C{secret}', f'-X{log}', f'-OQueueDirectory={tmp_path}', f'-oQ{tmp_path}',
                            '-O', f'LogFile={log}', '-t', '-be', '${run{/bin/true}}', stdin=message(subject), cwd=tmp_path)
    assert status == USAGE  # -be is Exim's, and no option here
    status, out, err = call(server.ways['local'], '-i', f'-C{secret}', f'-X{log}', f'-OQueueDirectory={tmp_path}', f'-oQ{tmp_path}',
                            '-O', f'LogFile={log}', '-t', stdin=message(subject), cwd=tmp_path)
    assert (status, out, err) == (OK, '', '')
    assert sorted(os.listdir(tmp_path)) == before
    received(server, subject)


@pytest.mark.parametrize('closed', [[0], [1], [2], [1, 2], [0, 1, 2]])
def test_closed_descriptors(server, names, way, closed):
    """None of the sockets is taken for standard output, and no message is made of nothing."""
    subject = tag()
    read, write = os.pipe()
    os.write(write, message(subject))
    os.close(write)
    script = ' '.join(f'{fd}{"<" if fd == 0 else ">"}&-' for fd in closed)
    p = subprocess.run(['sh', '-c', f'exec "$0" -v -i bob@example.org {script}', str(names / 'sendmail')], stdin=read,
                       stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=2 * PATIENCE, env={'PATH': '/usr/bin:/bin', **way[1]})
    os.close(read)
    if 0 in closed:
        assert p.returncode == NO_INPUT
        if 2 not in closed:
            assert b'there is no message' in p.stderr
    else:
        assert p.returncode == OK, p.stderr
        received(server, subject)


def test_standard_input_is_no_message(server, call, way, tmp_path):
    fd = os.open(tmp_path, os.O_RDONLY)
    status, out, err = call(way[1], 'bob@example.org', stdin_is=fd)
    os.close(fd)
    assert status == NO_INPUT and 'the message was not sent' in err


def test_nobody_reads_what_it_says(names, way):
    """Neither dies of it: the status is what counts."""
    read, write = os.pipe()
    os.close(read)
    p = subprocess.run([str(names / 'sendmail'), '-v', 'nobody@example.org', 'bob@example.org'], input=message(tag()), stdout=write,
                       stderr=write, timeout=2 * PATIENCE, env={'PATH': '/usr/bin:/bin', **way[1]})
    os.close(write)
    assert p.returncode == NO_USER


@pytest.mark.parametrize('env, status', [({'POSTERN_URL': 'smtp://127.0.0.1:1'}, DATA), ({}, CONFIG)])
def test_whoever_writes_comes_to_his_end(names, env, status):
    """Else it is a broken pipe that he dies of, and nobody reads why."""
    p = subprocess.Popen([str(names / 'sendmail'), '-i', 'bob@example.org'], stdin=subprocess.PIPE, stderr=subprocess.PIPE,
                         env={'POSTERN_RUNTIME_DIR': '/nonexistent', 'HOME': '/nonexistent', **env})
    p.stdin.write(b'Subject: x\n\n\0' if status == DATA else b'Subject: x\n\n')
    for _ in range(40):
        p.stdin.write(b'x' * 70_000 + b'\n')
        p.stdin.flush()
        time.sleep(0.01)
    out, err = p.communicate(timeout=2 * PATIENCE)
    assert p.returncode == status and b'the message was not sent' in err


def wait_read(p):
    """Until all that was written to it is read."""
    deadline = time.monotonic() + PATIENCE
    while int.from_bytes(fcntl.ioctl(p.stdin, termios.FIONREAD, bytes(4)), sys.byteorder):
        assert time.monotonic() < deadline, 'it does not read'
        time.sleep(0.05)


@pytest.mark.parametrize('number', [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_while_it_reads(server, names, call, way, number):
    subject = tag()
    # A shell that runs tests in its background leaves SIGINT ignored, and what is ignored stays so.
    p = subprocess.Popen(['env', '--default-signal=INT,HUP', str(names / 'sendmail'), '-i', 'bob@example.org'],
                         stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={'PATH': '/usr/bin:/bin', **way[1]})
    p.stdin.write(message(subject))
    p.stdin.flush()
    wait_read(p)
    p.send_signal(number)
    out, err = p.communicate(timeout=2 * PATIENCE)
    assert p.returncode == -number and b'the message was not sent' in err
    after = tag()  # what comes later is there
    assert call(server.ways['local'], 'bob@example.org', stdin=message(after)) == (OK, '', '')
    received(server, after)
    assert not any(subject.encode() in m for m in server.messages('bob@example.org'))


def test_a_signal_while_it_sends(names, local):
    reached = threading.Event()

    def hang(session, _):
        reached.set()
        return None
    local.answer['final'] = hang
    p = subprocess.Popen([str(names / 'sendmail'), 'bob@example.org'], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                         stderr=subprocess.PIPE, env=local.env())
    p.stdin.write(message('x'))
    p.stdin.close()
    p.stdin = None
    assert reached.wait(PATIENCE)
    p.send_signal(signal.SIGTERM)
    out, err = p.communicate(timeout=2 * PATIENCE)
    assert p.returncode == -signal.SIGTERM and b'it is not known whether the message was sent' in err


def test_a_signal_when_the_answer_is_known(names, call, account, tmp_path):
    """While another message goes out that waited: what is told is about this one."""
    env = account('    queue: yes\n')
    assert call(env, '-t', stdin=message('first'))[0] == OK
    reached = threading.Event()

    def answer(session, data):
        if b'Subject: first' not in data:
            return '250 2.0.0 taken'
        reached.set()
        return None
    with Local(tmp_path) as peer:
        peer.answer['final'] = answer
        p = subprocess.Popen([str(names / 'sendmail'), '-t'], stdin=subprocess.PIPE, stderr=subprocess.PIPE, env=env)
        p.stdin.write(message('second'))
        p.stdin.close()
        p.stdin = None
        assert reached.wait(PATIENCE)
        p.send_signal(signal.SIGTERM)
        out, err = p.communicate(timeout=2 * PATIENCE)
        assert (p.returncode, err) == (OK, b'') and peer.taken == {('second', 'bob@example.org'): 1}


def test_a_signal_that_the_caller_ignores(server, names, way):
    subject = tag()
    p = subprocess.Popen(['sh', '-c', 'trap "" HUP; exec "$0" -i bob@example.org', str(names / 'sendmail')], stdin=subprocess.PIPE,
                         stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={'PATH': '/usr/bin:/bin', **way[1]})
    head, body = message(subject).split(b'\n', 1)
    p.stdin.write(head + b'\n')
    p.stdin.flush()
    wait_read(p)
    p.send_signal(signal.SIGHUP)
    out, err = p.communicate(body, timeout=2 * PATIENCE)
    assert (p.returncode, err) == (OK, b'')
    received(server, subject)


def test_a_file_that_may_not_grow(call, way):
    """ulimit -f of a user."""
    status, out, err = call(way[1], 'bob@example.org', stdin=message('x', body='x' * 70 + '\n' * 100_000),
                            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000)))
    assert status == LATER and 'the message was not sent' in err


def test_many_recipients(server, names, local):
    to = [f'user{i}@example.org' for i in range(1000)]
    p = subprocess.run([str(names / 'sendmail'), '-i', *to], input=message('many'), capture_output=True, timeout=2 * PATIENCE, env=local.env())
    assert p.returncode == OK, p.stderr
    assert local.taken == {('many', one): 1 for one in to}


def test_help_and_the_long_name(server, binary, names, call):
    short = call({}, '--help')
    p = subprocess.run([binary, 'help', 'sendmail'], capture_output=True, text=True)
    assert short == (OK, p.stdout, '') and 'sysexits' in p.stdout
    subject = tag()
    p = subprocess.run([binary, 'sendmail', '-ti', '-h', '5', '-F', '--help'], input=message(subject), capture_output=True,
                       env={**os.environ, **server.ways['local']})
    assert (p.returncode, p.stdout, p.stderr) == (OK, b'', b'')
    assert received(server, subject)['From'].addresses[0].display_name == '--help'


MACHINES = {  # its name, /etc/hosts, /etc/mailname: the domain
    'mailname': ('vm', '127.0.1.1 vm.example.net vm\n', 'Example.Com\nsecond line\n', 'example.com'),
    'hosts': ('vm', '127.0.0.1 localhost\n127.0.1.1 vm.example.net vm\n', '', 'vm.example.net'),
    'dots': ('vm.example.org', '127.0.1.1 other.example.net vm.example.org\n', 'not a domain\n', 'vm.example.org'),
    'a label': ('vm', '127.0.0.1 localhost\n', '', 'vm'),
    'nonsense': ('v m', '', '@\n', 'localhost'),
}


@pytest.mark.parametrize('machine', MACHINES)
def test_the_domain_of_this_machine(server, names, tmp_path, machine):
    if os.getuid() != 0:
        pytest.skip('needs root')
    host, hosts, mailname, domain = MACHINES[machine]
    (tmp_path / 'hosts').write_text(hosts)
    (tmp_path / 'mailname').write_text(mailname)
    subject = tag()
    script = f'echo "$2" > /proc/sys/kernel/hostname; mount -t overlay overlay -o lowerdir={tmp_path}:/etc /etc; exec "$1" -t'
    p = subprocess.run(['unshare', '--mount', '--uts', 'sh', '-ec', script, 'sh', str(names / 'sendmail'), host], capture_output=True, timeout=2 * PATIENCE,
                       input=message(subject, more='Cc: www\n', to='bob@example.org'), env={'PATH': '/usr/bin:/bin', **server.ways['local']})
    assert (p.returncode, p.stderr) == (OK, b'')
    m = received(server, subject)
    user = pwd.getpwuid(os.getuid()).pw_name
    assert m['Return-Path'] == f'<{user}@{domain}>' and m['Cc'] == f'www@{domain}' and f'@{domain}>' in m['Message-ID']


def test_a_user_without_a_name(server, names):
    """In containers users are numbers."""
    if os.getuid() != 0:
        pytest.skip('needs root')
    subject = tag()
    p = subprocess.run([str(names / 'sendmail'), 'bob@example.org'], input=message(subject), capture_output=True, timeout=2 * PATIENCE,
                       user=54321, group=54321, env=server.ways['local'])
    assert (p.returncode, p.stderr) == (OK, b'')
    assert str(received(server, subject)['Return-Path']).startswith('<uid54321@')
