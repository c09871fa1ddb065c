"""The accounts file of postern send: which account is taken, where its secret comes from, and what is never said."""
import base64
import email
import email.policy
import json
import os
import shutil
import subprocess
import time

import pytest
from server import PATIENCE
from test_send import LATER, NO_SERVER, OK, REFUSED, USAGE, Server

CONFIG = 78
SECRET, TOKEN, OLD = 'the secret of work', 'ya29.new-token', 'ya29.old-token'


class Tokens(Server):
    """It takes a token by XOAUTH2, and what is no good it refuses as such servers do; it has PLAIN, too."""
    good, after = TOKEN, 0  # after: so many messages it hangs up, once

    def talk(self, c, port, tls, greets=True):
        file = c.makefile('rwb')

        def say(*lines):
            file.write(b''.join(line.encode() + b'\r\n' for line in lines))
            file.flush()
        if greets:
            say('220 server.test')
        while line := file.readline().strip():
            self.heard.append((port, tls, line))
            words = line.split()
            if words[0].upper() == b'EHLO':
                say('250-server.test', '250 AUTH PLAIN LOGIN XOAUTH2 OAUTHBEARER' if tls else '250 STARTTLS')
            elif words[0].upper() == b'STARTTLS':
                say('220 go')
                self.talk(self.context.wrap_socket(c, server_side=True), port, True, greets=False)
                return
            elif words[0].upper() == b'AUTH':
                said = base64.b64decode(words[2]).decode()
                if f'auth=Bearer {self.good}\1' in said:
                    say('235 2.7.0 in')
                    continue
                say('334 ' + base64.b64encode(b'{"status":"401","schemes":"bearer"}').decode())
                self.heard.append((port, tls, file.readline().strip()))
                say('535 5.7.8 Username and Password not accepted')
            elif words[0].upper() == b'DATA':
                say('354 go')
                data = b''
                while (text := file.readline()) not in (b'.\r\n', b''):
                    data += text
                self.take(data)
                say('250 2.0.0 taken')
                self.after -= 1
                if self.after == 0:
                    return
            elif words[0].upper() == b'QUIT':
                say('221 bye')
                return
            else:
                say('250 2.0.0 ok')

    def take(self, data):
        """A message came."""

    def tokens(self):
        """Those that were tried, with the mechanism of each."""
        tried = [line.split() for _, tls, line in self.heard if line.startswith(b'AUTH')]
        return [(words[1].decode(), base64.b64decode(words[2]).decode().partition('Bearer ')[2].strip('\1'))
                for words in tried]


@pytest.fixture
def serve(tmp_path):
    made = []

    def make(kind=Server, ports=(465,), **more):
        made.append(kind(tmp_path, list(ports), **more))
        return made[-1]
    yield make
    for s in made:
        s.close()


class Home:
    """A user's home, with his accounts file in it."""
    def __init__(self, folder, binary):
        self.folder, self.binary, self.file = folder, binary, folder / '.config' / 'postern' / 'send.yaml'
        self.file.parent.mkdir(parents=True)
        self.env = {'HOME': str(folder), 'PATH': os.environ['PATH'], 'POSTERN_RUNTIME_DIR': '/nonexistent'}

    def accounts(self, text, mode=0o600):
        self.file.write_text(text)
        os.chmod(self.file, mode)

    def account(self, server, *lines, name='work'):
        """One that leads to this server."""
        own = [f'host: {server.address}', 'tls: implicit', f'fingerprints: "{server.pin()}"', 'from: us@server.test']
        self.accounts('accounts:\n  ' + name + ':\n' + ''.join(f'    {line}\n' for line in [*own, *lines]))

    def write(self, name, text, mode=0o600):
        path = self.folder / name
        path.write_text(text)
        os.chmod(path, mode)
        return str(path)

    def program(self, text):
        """A command, which notes each time that it is run."""
        return self.write('secret-of', f'#!/bin/sh\necho run >> {self.folder}/runs\n{text}\n', 0o700)

    def runs(self):
        path = self.folder / 'runs'
        return len(path.read_text().splitlines()) if path.exists() else 0

    def send(self, *args, timeout=2 * PATIENCE, stdin=None, **env):
        p = subprocess.run([self.binary, 'send', *args], capture_output=True, text=True, timeout=timeout, input=stdin,
                           env={**self.env, **env})
        said = p.stdout + p.stderr
        for secret in (SECRET, TOKEN, OLD):
            assert secret not in said, said
            for login in (f'\0us\0{secret}', f'user=us\1auth=Bearer {secret}\1\1', secret):
                assert base64.b64encode(login.encode()).decode().rstrip('=') not in said, said
        return p.returncode, p.stdout, p.stderr

    def message(self, *args, **env):
        return self.send('--to', 'them@server.test', '--text', 'x', *args, **env)


@pytest.fixture
def home(tmp_path, binary):
    return Home(tmp_path / 'home', binary)


def logged_in(server):
    return [line for _, tls, line in server.heard if line.startswith(b'AUTH')]


PLAIN = b'AUTH PLAIN ' + base64.b64encode(b'\0us\0' + SECRET.encode())


# ---- the secret ----

def test_from_a_file(home, serve):
    server = serve()
    home.account(server, 'user: us', 'password_file: ~/pw')
    home.write('pw', SECRET + '\r\nnot this\n')
    status, out, err = home.message('--trace')
    assert status == OK, err
    assert logged_in(server) == [PLAIN]


@pytest.mark.parametrize('command', ['secret-of', '[secret-of, "work mail"]', '~/secret-of a b'])
def test_from_a_command(home, serve, command):
    """By name from PATH, as a list, from the home; with what it needs to find secrets, and nothing of ours."""
    server = serve()
    home.account(server, 'user: us', f'password_command: {command}')
    home.program(f'env > {home.folder}/env; readlink /proc/$$/fd/* > {home.folder}/fds; echo "{SECRET}"; echo more')
    with open(home.folder / 'leaked', 'w') as leaked:  # of whoever started us
        os.set_inheritable(leaked.fileno(), True)
        p = subprocess.run([home.binary, 'send', '--to', 'them@server.test', '--text', 'x'], capture_output=True,
                           text=True, timeout=2 * PATIENCE, close_fds=False,
                           env={**home.env, 'PATH': f'{home.folder}:{home.env["PATH"]}', 'HTTP_X': '() { :;}',
                                'LD_LIBRARY_PATH': '/x', 'LC_ALL': 'C.UTF-8', 'XDG_RUNTIME_DIR': '/run/user/7'})
    assert p.returncode == OK, p.stderr
    assert logged_in(server) == [PLAIN]
    env = dict(line.split('=', 1) for line in (home.folder / 'env').read_text().splitlines() if '=' in line)
    assert env['HOME'] == str(home.folder) and env['LC_ALL'] == 'C.UTF-8' and env['XDG_RUNTIME_DIR'] == '/run/user/7'
    assert not {'HTTP_X', 'POSTERN_RUNTIME_DIR', 'LD_LIBRARY_PATH'} & set(env)
    fds = (home.folder / 'fds').read_text()
    assert 'leaked' not in fds, fds


@pytest.mark.parametrize('script, words, expected', [
    ('echo gpg: no secret key >&2; exit 2', 'failed with status 2: gpg: no secret key', LATER),
    ('exit 0', 'wrote nothing', LATER),
    ('echo', 'wrote nothing in its first line', LATER),
    ('yes', 'wrote more than 4096 octets', LATER),
    ('kill -9 $$', 'was ended by signal 9', LATER),
    (f'echo "{SECRET}"; exit 1', 'failed with status 1', LATER),
])
def test_a_command_that_fails(home, serve, script, words, expected):
    """Nobody is even connected to."""
    server = serve()
    home.account(server, 'user: us', 'password_command: ~/secret-of')
    home.program(script)
    status, out, err = home.message('-v')
    assert status == expected
    assert f'account work: the password command {home.folder}/secret-of {words}' in err, err
    assert server.came == []


def test_a_command_that_hangs(home, serve):
    """It is killed, with all that it began."""
    server = serve()
    home.account(server, 'user: us', 'password_command: ~/secret-of')
    home.program(f'echo thinking >&2; sleep 300 & echo $! > {home.folder}/child; sleep 301')
    status, out, err = home.message('--timeout', '8')  # Home.send() waits less long than the command would sleep
    assert status == LATER
    assert 'took longer than 8 s: thinking' in err
    child = int((home.folder / 'child').read_text())
    deadline = time.monotonic() + PATIENCE
    while os.path.exists(f'/proc/{child}') and 'sleep' in open(f'/proc/{child}/cmdline').read():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert server.came == []


def test_no_such_command(home, serve):
    server = serve()
    home.account(server, 'user: us', 'password_command: no-such-program-here')
    status, out, err = home.message()
    assert status == REFUSED and 'no-such-program-here cannot be run: No such file or directory' in err


@pytest.mark.parametrize('mode, words', [
    (0o644, 'others can read or change the password file; chmod 6'),
    (0o604, 'others can read or change the password file; chmod 600'),
    (0o622, 'others can read or change the password file; chmod 6'),
])
def test_a_file_that_others_can_read(home, serve, mode, words):
    server = serve()
    home.account(server, 'user: us', 'password_file: ~/pw')
    home.write('pw', SECRET, mode)
    status, out, err = home.message()
    assert status == REFUSED and words in err and f'{home.folder}/pw' in err
    assert server.came == []


@pytest.mark.parametrize('text, words', [
    (None, 'cannot be read: No such file'), ('', 'has nothing in its first line'),
    ('\nx\n', 'has nothing in its first line'), ('x' * 5000, 'is too long')])
def test_a_file_that_is_none(home, serve, text, words):
    server = serve()
    home.account(server, 'user: us', 'password_file: ~/pw')
    if text is not None:
        home.write('pw', text)
    status, out, err = home.message()
    assert status == REFUSED and f'the password file {home.folder}/pw ' in err and words in err
    assert server.came == []


@pytest.mark.skipif(os.geteuid() != 0, reason='becomes somebody else')
def test_what_a_group_may_read(home, serve):
    """A file of root's, that root gave to the group of the web server; and an own one, which is nobody else's."""
    server = serve()
    home.account(server, 'user: us', 'password_file: ~/pw')
    path = home.write('pw', SECRET, 0o640)
    os.chown(path, 0, 33)
    os.chmod(home.file, 0o644)
    as_www = {'user': 33, 'group': 33, 'extra_groups': []}
    for parent in [home.folder, *home.folder.parents]:
        if str(parent).startswith('/tmp/'):
            os.chmod(parent, 0o755)
    binary = shutil.copy(home.binary, home.folder / 'postern')
    args = [binary, 'send', '--to', 'them@server.test', '--text', 'x']
    p = subprocess.run(args, capture_output=True, text=True, timeout=2 * PATIENCE, env=home.env, **as_www)
    assert p.returncode == OK, p.stderr
    os.chown(path, 33, 33)
    p = subprocess.run(args, capture_output=True, text=True, timeout=2 * PATIENCE, env=home.env, **as_www)
    assert p.returncode == REFUSED and f'chmod 600 {path}' in p.stderr


def test_the_option_goes_before_the_account(home, serve):
    server = serve()
    home.account(server, 'user: us', 'password_command: ~/secret-of')
    home.program('echo another')
    status, out, err = home.message('--password-file', home.write('pw', SECRET))
    assert status == OK, err
    assert logged_in(server) == [PLAIN] and home.runs() == 0


def test_not_needed_not_asked_for(home, serve):
    server = serve()
    home.account(server, 'user: us', 'password_command: ~/secret-of')
    home.program('exit 1')
    status, out, err = home.message('--dry-run')
    assert status == OK and home.runs() == 0 and 'From: us@server.test' in out


# ---- tokens ----

def test_a_token(home, serve):
    """It is no password: PLAIN, which is offered, too, is not for it."""
    server = serve(Tokens)
    home.account(server, 'user: us', 'token_command: ~/secret-of')
    home.program(f'echo {TOKEN}')
    status, out, err = home.message('--trace')
    assert status == OK, err
    assert server.tokens() == [('OAUTHBEARER', TOKEN)] and home.runs() == 1


@pytest.mark.parametrize('mechanism', ['xoauth2', 'oauthbearer'])
def test_a_token_that_has_expired(home, serve, mechanism):
    """The command is run once more, and the other token tried, in the same connection."""
    server = serve(Tokens)
    home.account(server, 'user: us', 'token_command: ~/secret-of', f'mechanism: {mechanism}')
    home.program(f'[ $(wc -l < {home.folder}/runs) = 1 ] && echo {OLD} || echo {TOKEN}')
    status, out, err = home.message('--trace')
    assert status == OK, err
    assert [t for _, t in server.tokens()] == [OLD, TOKEN] and home.runs() == 2 and len(server.came) == 1


@pytest.mark.parametrize('second, tried', [('echo ya29.third-token', 2), (f'echo {OLD}', 1),
                                           ('echo offline >&2; exit 1', 1)])
def test_never_in_a_loop(home, serve, second, tried):
    """The other one is refused, too; or it is the same; or there is none."""
    server = serve(Tokens)
    home.account(server, 'user: us', 'token_command: ~/secret-of')
    home.program(f'[ $(wc -l < {home.folder}/runs) = 1 ] && echo {OLD} || {{ {second}; }}')
    status, out, err = home.message()
    assert status == REFUSED
    assert len(server.tokens()) == tried and home.runs() == 2 and len(server.came) == 1
    assert '535 5.7.8' in err
    assert ('failed with status 1: offline' in err) == ('offline' in second)
    assert ('wrote the same token again' in err) == (second == f'echo {OLD}')


def test_a_token_that_expires_between_messages(home, serve):
    """Of many messages: the server hangs up behind one, and takes another token from then on."""
    server = serve(Tokens)
    server.good = OLD
    talk = server.talk

    def then_expired(*args):
        talk(*args)
        server.good = TOKEN
    server.talk = then_expired
    home.account(server, 'user: us', 'token_command: ~/secret-of')
    home.program(f'[ $(wc -l < {home.folder}/runs) = 1 ] && echo {OLD} || echo {TOKEN}')
    home.write('list.csv', 'email\n' + ''.join(f'p{i}@server.test\n' for i in range(3)))
    home.write('template', 'From: us@server.test\nTo: <{{email}}>\nSubject: x\n\nx\n')
    server.after = 1
    status, out, err = home.send('--merge', str(home.folder / 'list.csv'), '--template', str(home.folder / 'template'))
    assert status == OK, err
    assert [t for _, t in server.tokens()] == [OLD, OLD, TOKEN] and home.runs() == 2 and len(server.came) == 2


def test_a_password_is_not_asked_for_anew(home, serve):
    server = serve(wrong='password')
    home.account(server, 'user: us', 'password_command: ~/secret-of')
    home.program(f'echo "{SECRET}"')
    status, out, err = home.message()
    assert status == REFUSED and home.runs() == 1 and len(logged_in(server)) == 1


# ---- which account ----

TWO = """
default: home
accounts:
  home:
    url: smtp://home.server.test
    from: ann@home.test
    name: Ann "the" Exämple
  work:
    url: smtp://us%40work.test@work.server.test
"""


@pytest.mark.parametrize('args, env, sender', [
    ([], {}, 'ann@home.test'),
    (['--account', 'work'], {}, 'us@work.test'),
    ([], {'POSTERN_ACCOUNT': 'work'}, 'us@work.test'),
    (['--account', 'home'], {'POSTERN_ACCOUNT': 'work'}, 'ann@home.test'),
    (['--url', 'smtp://u%40url.test@server.test'], {'POSTERN_ACCOUNT': 'work'}, 'u@url.test'),
    ([], {'POSTERN_URL': 'smtp://u%40url.test@server.test', 'POSTERN_ACCOUNT': 'work'}, 'u@url.test'),
    (['--account', 'work'], {'POSTERN_URL': 'smtp://u%40url.test@server.test'}, 'us@work.test'),
])
def test_which_one(home, args, env, sender):
    home.accounts(TWO)
    status, out, err = home.message('--dry-run', *args, **env)
    assert status == OK, err
    assert f'from <{sender}>' in err


def test_its_name(home):
    home.accounts(TWO)
    status, out, err = home.message('--dry-run')
    m = email.message_from_string(out, policy=email.policy.default)
    assert m['From'].addresses[0].display_name == 'Ann "the" Exämple' and m['From'].addresses[0].addr_spec == 'ann@home.test'
    status, out, err = home.send('--dry-run', '--message', '-', stdin='To: a@b.test\n\nx\n')
    m = email.message_from_string(out, policy=email.policy.default)
    assert m['From'].addresses[0].display_name == 'Ann "the" Exämple'
    status, out, err = home.message('--dry-run', '--from', 'x@home.test')
    assert email.message_from_string(out, policy=email.policy.default)['From'] == 'x@home.test'


def test_before_the_default_comes_the_socket(server, home):
    home.accounts(TWO)
    status, out, err = home.message('--from', 'root@example.org', '--to', 'bob@example.org', '--dry-run', '-v',
                                    POSTERN_RUNTIME_DIR=server.config['runtime_dir'])
    assert status == OK and 'from <root@example.org>' in err
    status, out, err = home.message('--dry-run', POSTERN_RUNTIME_DIR=server.config['runtime_dir'])
    assert status == USAGE and 'from whom?' in err  # not the account's


@pytest.mark.parametrize('args, env, status, words', [
    (['--account', 'wrok'], {}, USAGE, "there is no such account in {file}; did you mean 'work'?"),
    (['--account', 'x', '--url', 'smtp://x'], {}, USAGE, 'exclude each other'),
    ([], {'POSTERN_ACCOUNT': 'elsewhere'}, USAGE, 'elsewhere: there is no such account in {file}\n'),
    (['--account', 'x'], {'HOME': '/nonexistent'}, USAGE, 'there is no accounts file'),
    ([], {'HOME': '/nonexistent'}, USAGE, 'by which server?'),
    ([], {'POSTERN_ACCOUNTS': '/nonexistent/x'}, CONFIG, '/nonexistent/x: No such file'),
])
def test_none(home, args, env, status, words):
    home.accounts(TWO)
    got, out, err = home.message(*args, **env)
    assert got == status and words.format(file=home.file) in err, err


def test_two_and_no_default(home):
    home.accounts(TWO.replace('default: home\n', ''))
    status, out, err = home.message('--dry-run')
    assert status == USAGE and 'by which account? --account NAME' in err


# ---- the file ----

@pytest.mark.parametrize('text, words', [
    ('accounts:\n  a:\n    url: smtp://x.test\n    fron: a@b\n', ":4: error: accounts.a.fron: no such name; did you mean 'from'?"),
    ('accounts:\n  a:\n    url: smtp://u:hunter2@x.test\n', ':2: error: accounts.a.url: a password in a URL'),
    ('accounts:\n  a:\n    password: hunter2\n', ':3: error: accounts.a.password: no secret stands in this file'),
    ('accounts:\n  a:\n    host: x\n   user: y\n', '(column '),
])
def test_an_error_in_it(home, text, words):
    home.accounts(text)
    status, out, err = home.message()
    assert status == CONFIG and f'{home.file}' in err and words in err and 'hunter2' not in err, err


@pytest.mark.parametrize('mode', [0o620, 0o602, 0o666])
def test_a_file_that_others_can_change(home, mode):
    home.accounts(TWO, mode)
    status, out, err = home.message('--dry-run')
    assert status == CONFIG and f'chmod go-w {home.file}' in err


@pytest.mark.skipif(os.geteuid() != 0, reason='gives a file away')
def test_a_file_of_somebody_else(home):
    home.accounts(TWO)
    os.chown(home.file, 12345, 12345)
    status, out, err = home.message('--dry-run')
    assert status == CONFIG and 'belongs to another user (uid 12345)' in err


@pytest.mark.skipif(os.geteuid() != 0, reason='mounts')
def test_the_file_of_the_machine(home, tmp_path):
    """Behind the user's own: /etc/postern/send.yaml, in a name space where /etc has it."""
    upper, work = tmp_path / 'upper', tmp_path / 'work'
    (upper / 'postern').mkdir(parents=True)
    work.mkdir()
    os.chmod(upper, 0o755)
    (upper / 'postern' / 'send.yaml').write_text(TWO)
    os.chmod(upper / 'postern' / 'send.yaml', 0o644)
    mount = f'mount -t tmpfs none {tmp_path}/home && mount -t overlay none -o lowerdir={upper}:/etc /etc'
    p = subprocess.run(['unshare', '-m', 'sh', '-c', f'{mount} || exit 99; exec "$0" "$@"', home.binary, 'send', '--accounts'],
                       capture_output=True, text=True, timeout=2 * PATIENCE, env=home.env)
    if p.returncode == 99:
        pytest.skip('mounting is not allowed here')
    assert p.returncode == OK and p.stdout.startswith('/etc/postern/send.yaml\n'), p.stdout + p.stderr


def test_the_list(home):
    home.accounts("""
default: work
accounts:
  work:
    provider: gmail
    user: ann@gmail.com
    token_command: [oauth2, --key, geheim]
    queue: yes
    messages_per_minute: 20
  home:
    host: mail.home.test
    port: 465
    user: ann
    from: ann@home.test
    name: Ann
    password_file: ~/pw
""")
    status, out, err = home.send('--accounts')
    assert status == OK, err
    assert out == f"""{home.file}

work (default)
  server  smtp.gmail.com
  user    ann@gmail.com
  secret  token of oauth2
  queue   yes
  pace    20 messages a minute

home
  server  mail.home.test:465 implicit TLS
  user    ann
  secret  file {home.folder}/pw
  from    Ann <ann@home.test>
"""
    status, out, err = home.send('--accounts', '--json')
    j = json.loads(out)
    assert [a['account'] for a in j['accounts']] == ['work', 'home'] and 'geheim' not in out
    assert j['accounts'][0]['default'] and not j['accounts'][1]['default'] and j['file'] == str(home.file)


def test_kept_until_there_is_a_token(home, serve):
    """Without a network no token is to be had: the message is kept all the same."""
    server = serve(Tokens)
    home.account(server, 'user: us', 'token_command: ~/secret-of', 'queue: yes')
    home.program('echo offline >&2; exit 1')
    state = {'XDG_STATE_HOME': str(home.folder / 'state')}
    status, out, err = home.message(**state)
    assert status == OK and 'failed with status 1: offline' in err, err
    status, out, err = home.send('--flush', **state)
    assert status in (NO_SERVER, LATER) and server.came == [], err
    home.program(f'echo {TOKEN}')
    status, out, err = home.send('--flush', **state)
    assert status == OK and server.tokens() == [('OAUTHBEARER', TOKEN)], err


def test_queue_yes(home):
    """What cannot be submitted now is kept by itself, and knows its account; nobody else's settings are kept with it."""
    home.accounts("""
accounts:
  work:
    host: 127.0.0.1
    port: 1
    from: us@server.test
    queue: yes
""")
    state = {'XDG_STATE_HOME': str(home.folder / 'state')}
    status, out, err = home.message(**state)
    assert status == OK, err
    status, out, err = home.send('--list', '--json', **state)
    assert '"account": "work"' in out, out
    status, out, err = home.send('--flush', **state)
    assert status in (NO_SERVER, LATER) and 'exclude' not in err, err
