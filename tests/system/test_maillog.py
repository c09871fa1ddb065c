"""The line in the mail log (syslog(3)) for each message that a program submits: cron and PHP lose what is said on standard
error.  /dev/log is a socket of ours, in a /dev of the command's own."""
import os
import pathlib
import pwd
import re
import select
import shlex
import socket
import subprocess

import pytest
from smtp_peer import CLOSE
from test_sendmail import CONFIG, DATA, LATER, NO_USER, OK, USAGE, Local, account, message, names  # noqa: F401

pytestmark = pytest.mark.skipif(os.getuid() != 0, reason='needs root, for a /dev of its own')

IN_DEV = '''mkdir "$0/dev"; mount --rbind /dev "$0/dev"; mount -t tmpfs tmpfs /dev; ln -s "$0/log" /dev/log
for one in null zero urandom random fd stdin stdout stderr pts ptmx; do ln -s "$0/dev/$one" "/dev/$one"; done'''
SECRET = 'geheim-geheim'


class Log:
    def __init__(self, folder):
        self.folder = folder
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(folder / 'log'))
        os.chmod(folder / 'log', 0o666)

    def lines(self):
        """All that came; each is of facility mail."""
        found = []
        while select.select([self.socket], [], [], 0)[0]:
            text = self.socket.recv(65536).decode()
            priority, _, rest = text.partition('>')
            assert int(priority[1:]) >> 3 == 2 and rest.isprintable() and len(rest) < 2000, text
            assert SECRET not in text
            found.append((int(priority[1:]) & 7, Line(rest)))
        return found


class Line(dict):
    def __init__(self, text):
        assert re.search(r' postern\[\d+\]: \w+ role=(sendmail|send) event=submission ', text), text
        super().__init__(w.split('=', 1) for w in shlex.split(text.split('event=submission ', 1)[1]))


@pytest.fixture
def run(binary, tmp_path):
    """run(program, *args): with a log of its own, and nobody at a terminal; run.log has its lines."""
    log = Log(tmp_path)

    def call(*args, env, stdin=b'', uid=0):
        (tmp_path / 'dev').is_dir() and (tmp_path / 'dev').rmdir()
        run = ['setpriv', f'--reuid={uid}', '--clear-groups'] if uid else []
        p = subprocess.run(['unshare', '--mount', 'sh', '-ec', IN_DEV + '\nexec "$@"', str(tmp_path), *run, *[str(a) for a in args]],
                           input=stdin, capture_output=True, timeout=60, env={'PATH': '/usr/bin:/bin:/usr/sbin:/sbin', **env})
        assert b'Sanitizer' not in p.stderr, p.stderr
        call.err = p.stderr.decode()
        return p.returncode
    call.log = log
    yield call
    log.socket.close()


def only(run, level):
    lines = run.log.lines()
    assert len(lines) == 1, lines
    assert lines[0][0] == level
    return lines[0][1]


INFO, NOTICE, WARNING, ERR = 6, 5, 4, 3


def test_taken(run, names, account, tmp_path):
    with Local(tmp_path) as peer:
        peer.answer['final'] = lambda *_: '250 2.0.0 taken as "q1"'
        # the program that calls it is told, not the shell between
        script = 'exec 2> /dev/null; "$0" -t -i; true'
        assert run('python3', '-c', 'import subprocess, sys; subprocess.run(["sh", "-c", sys.argv[1], sys.argv[2]])', script, names / 'sendmail',
                   env=account(), stdin=message('x', to='bob@example.org, carol@example.org', more='Message-ID: <m1@x.test>\n')) == OK
    line = only(run, INFO)
    assert line['result'] == 'sent' and line['status'] == '0' and line['uid'] == '0' and line['user'] == pwd.getpwuid(0).pw_name
    assert line['by'].startswith('python3') and line['account'] == 'home' and line['host'].endswith('submit.sock')
    assert (line['from'], line['to'], line['recipients']) == ('ann@home.test', 'bob@example.org', '2')
    assert line['message_id'] == '<m1@x.test>' and 'taken as "q1"' in line['text'] and int(line['size']) > 50


def test_a_message_id_that_we_made(run, names, account, tmp_path):
    with Local(tmp_path) as peer:
        kept = []
        peer.answer['final'] = lambda _, data: kept.append(data.decode()) or '250 2.0.0 taken'
        assert run(names / 'sendmail', '-t', env=account(), stdin=message('x')) == OK
    assert f'Message-ID: {only(run, INFO)["message_id"]}\r\n' in kept[0]


FAILURES = {  # what goes wrong: arguments, standard input, status, level, what is told
    'an option': (['-Z'], b'', USAGE, ERR, '-Z: no such option'),
    'no recipient': (['-t'], b'Subject: x\n\n', USAGE, ERR, 'recipient: missing'),
    'no address': (['a b'], b'\n', DATA, ERR, "recipient: 'a b' is no address"),
    'NUL': (['bob@example.org'], b'\n\0', DATA, ERR, 'message: a NUL octet in it'),
}


@pytest.mark.parametrize('what', FAILURES)
def test_before_any_server(run, names, account, what):
    args, stdin, status, level, text = FAILURES[what]
    assert run(names / 'sendmail', *args, env=account(), stdin=stdin) == status
    line = only(run, level)
    assert line['result'] == 'failed' and line['status'] == str(status) and line['text'] == text


def test_what_a_server_says(run, names, account, tmp_path):
    """Its words cannot forge a line or a field."""
    with Local(tmp_path) as peer:
        peer.tell('rcpt', ['250 2.1.5 ok', '550 5.1.1 nobody" result=sent \x1b[31m\xe9'])
        assert run(names / 'sendmail', 'a@example.org', 'b@example.org', env=account(), stdin=message('x')) == NO_USER
        line = only(run, ERR)
        assert line['result'] == 'failed' and line['sent'] == '1' and line['recipients'] == '2'
        assert line['text'].startswith('550 5.1.1 nobody" result=sent ')
        peer.tell('rcpt', '450 4.2.1 later')
        assert run(names / 'sendmail', 'a@example.org', env=account(), stdin=message('x')) == LATER
        line = only(run, WARNING)
        assert line['result'] == 'deferred' and line['text'] == '450 4.2.1 later'
        peer.tell('rcpt', '250 ok')
        peer.answer['final'] = CLOSE
        assert run(names / 'sendmail', 'a@example.org', env=account(), stdin=message('x')) == LATER
        assert only(run, WARNING)['result'] == 'unsure'


def test_no_server_and_no_account(run, names, account, tmp_path):
    assert run(names / 'sendmail', '-t', env={'HOME': '/nonexistent', 'POSTERN_RUNTIME_DIR': '/nonexistent'}, stdin=message('x')) == CONFIG
    assert 'by which server?' in only(run, ERR)['text']
    env = account('    qeue: yes\n')
    assert run(names / 'sendmail', '-t', env=env, stdin=message('x')) == CONFIG
    assert "qeue: no such name; did you mean 'queue'?" in only(run, ERR)['text']
    assert run(names / 'sendmail', '-bs', env=env) == CONFIG
    assert 'qeue' in only(run, ERR)['text']


def test_secrets_stay_out(run, names, tmp_path):
    """What a password's command says when it fails is shown to who calls, and kept out of a log that others read."""
    (tmp_path / '.config/postern').mkdir(parents=True)
    file = tmp_path / '.config/postern/send.yaml'
    file.write_text('accounts: {a: {host: 127.0.0.1, port: 1, user: ann@example.org, '
                    f'password_command: [sh, -c, "echo {SECRET} >&2; exit 1", {SECRET}]}}}}\n')
    file.chmod(0o600)
    env = {'HOME': str(tmp_path), 'POSTERN_RUNTIME_DIR': '/nonexistent'}
    assert run(names / 'sendmail', '-v', '-v', '-t', env=env, stdin=message('x')) == LATER
    assert SECRET in run.err
    line = only(run, WARNING)
    assert line['account'] == 'a' and 'no password' in line['text']


def test_kept_and_what_waited(run, names, account, tmp_path):
    env = account('    queue: yes\n')
    assert run(names / 'sendmail', '-t', env=env, stdin=message('first')) == OK
    line = only(run, NOTICE)
    ident = line['kept']
    assert line['result'] == 'kept' and ident in run.err
    assert run(names / 'sendmail', '-q', env=env) == LATER
    assert run.log.lines() == []  # it waits on
    with Local(tmp_path):
        assert run(names / 'sendmail', '-t', env=env, stdin=message('second')) == OK
        (one, first), (two, second) = run.log.lines()
        assert (one, two) == (INFO, INFO) and 'kept' not in first and second['kept'] == ident
        assert first['result'] == second['result'] == 'sent'
    os.unlink(tmp_path / 'submit.sock')
    assert run(names / 'sendmail', '-t', env=env, stdin=message('third')) == OK
    ident = only(run, NOTICE)['kept']
    with Local(tmp_path) as peer:
        peer.tell('rcpt', '550 5.1.1 nobody')
        assert run(names / 'sendmail', '-q', env=env) != OK
        assert 'bob@example.org: failed: 550 5.1.1 nobody' in run.err
        line = only(run, ERR)
        assert line['kept'] == ident and line['result'] == 'failed' and '550 5.1.1 nobody' in line['text']


def test_bs(run, names, account, tmp_path):
    """A line for each message that we answer for; through the socket of this machine the server has its own."""
    (tmp_path / '.config/postern').mkdir(parents=True)
    env = account()
    said = b'EHLO x\r\nMAIL FROM:<a@b.test>\r\nRCPT TO:<bob@example.org>\r\nDATA\r\nSubject: x\r\n\r\nx\r\n.\r\n'
    with Local(tmp_path):
        assert run(names / 'sendmail', '-bs', env={'POSTERN_RUNTIME_DIR': str(tmp_path)}, stdin=said + b'QUIT\r\n') == OK
        assert run.log.lines() == []
    env['POSTERN_URL'] = 'smtp://127.0.0.1:1'
    assert run(names / 'sendmail', '-bs', env=env, stdin=said + said[8:] + b'QUIT\r\n') == OK
    assert [(level, line['result'], line['from']) for level, line in run.log.lines()] == [(WARNING, 'deferred', 'a@b.test')] * 2


def test_send_by_a_program(run, binary, account, tmp_path):
    """And not by somebody at a terminal, who reads what it says."""
    send = [binary, 'send', '--to', 'bob@example.org', '--subject', 'x', '--text', 'x']
    with Local(tmp_path):
        assert run(*send, env=account()) == OK
        assert only(run, INFO)['result'] == 'sent'
        assert run(*send, '--dry-run', env=account()) == OK
        assert run(binary, 'send', '--list', env=account()) == OK
        assert run('script', '-qec', shlex.join(send), '/dev/null', env=account()) == OK
        assert run.log.lines() == []
    assert run(*send, env=account()) == 3
    line = only(run, WARNING)
    assert line['result'] == 'deferred' and line['status'] == '3' and line['account'] == 'home'
    assert run(*send, '--nonsense', env=account()) == 2
    assert only(run, ERR)['result'] == 'failed'


def test_another_user(run, names, account, tmp_path):
    """As www-data has it: by his number, if that has no name."""
    with Local(tmp_path) as peer:
        os.chmod(tmp_path / 'submit.sock', 0o666)
        for folder in [tmp_path, *tmp_path.parents]:
            if folder.stat().st_uid == 0 and folder != pathlib.Path('/') and not folder.stat().st_mode & 1:
                folder.chmod(folder.stat().st_mode | 0o11)
        assert run(names / 'sendmail', '-t', env={'POSTERN_RUNTIME_DIR': str(tmp_path)}, stdin=message('x'), uid=54321) == OK, run.err
        assert peer.taken
    line = only(run, INFO)
    assert line['uid'] == '54321' and 'user' not in line


def test_without_a_log(names, account, tmp_path):
    """As in a container: nothing is said of it."""
    with Local(tmp_path):
        p = subprocess.run([str(names / 'sendmail'), '-t'], env=account(), input=message('x'), capture_output=True, timeout=60)
        assert (p.returncode, p.stdout, p.stderr) == (OK, b'', b'')
