"""Programs that keep passwords, as password_command of an account: they find what is theirs with the environment they get,
and what they leave running (gpg-agent) keeps nobody waiting."""
import os
import shutil
import subprocess

import pytest

import debian
from words import PASSWORD

USER = 'ann@example.org'


@pytest.fixture
def home(tmp_path_factory):
    """A home with a key of GnuPG that has no passphrase. Its agent's socket needs a short path."""
    if not shutil.which('gpg'):
        pytest.skip('there is no gpg')
    folder = tmp_path_factory.mktemp('h')
    env = {'HOME': str(folder), 'PATH': os.environ['PATH'], 'LANG': 'C.UTF-8', 'GNUPGHOME': f'{folder}/g', 'USER': 'ann'}
    os.mkdir(folder / 'g', 0o700)

    def run(*args, text=None):
        p = subprocess.run(args, input=text, capture_output=True, text=True, timeout=120, env=env, cwd=folder)
        assert p.returncode == 0, p.stdout + p.stderr
        return p.stdout
    run('gpg', '--batch', '--quiet', '--passphrase', '', '--quick-gen-key', USER, 'default', 'default', 'never')
    run.folder, run.env = folder, env
    yield run
    subprocess.run(['gpgconf', '--kill', 'all'], env=env, timeout=60, check=False)


def gpg(home):
    home('gpg', '--batch', '--quiet', '--encrypt', '-r', USER, '-o', str(home.folder / 'pw.gpg'), text=PASSWORD + '\n')
    return 'gpg --batch --quiet --decrypt ~/pw.gpg'


def pass_(home):
    try:
        program = os.path.join(debian.unpacked('pass', 'tree'), 'usr/bin/pass')
    except debian.Unavailable as e:
        pytest.skip(str(e))
    home.env['PATH'] = f'{os.path.dirname(program)}:{home.env["PATH"]}'
    home.env['PASSWORD_STORE_DIR'] = str(home.folder / 'store')
    home(program, 'init', USER)
    home(program, 'insert', '--echo', '--force', 'mail/work', text=PASSWORD + '\n')
    return 'pass show mail/work'


@pytest.mark.parametrize('keeper', [gpg, pass_])
def test_logs_in(posted, home, binary, keeper):
    command = keeper(home)
    subprocess.run(['gpgconf', '--kill', 'all'], env=home.env, timeout=60, check=False)  # the command starts it anew
    folder = home.folder / '.config' / 'postern'
    folder.mkdir(parents=True)
    port = posted.port['submissions']
    (folder / 'send.yaml').write_text(f'accounts:\n  a:\n    host: localhost\n    port: {port}\n    tls: implicit\n    user: {USER}\n'
                                      f'    ca_file: {posted.ca}\n    password_command: {command}\n')
    os.chmod(folder / 'send.yaml', 0o600)
    p = subprocess.run([binary, 'send', '--to', 'bob@example.org', '--subject', keeper.__name__, '--text', 'x'], capture_output=True,
                       text=True, timeout=120, env={**home.env, 'POSTERN_RUNTIME_DIR': '/nonexistent'})
    assert p.returncode == 0, p.stdout + p.stderr
    assert PASSWORD not in p.stdout + p.stderr
    posted.wait_message('bob@example.org', f'Subject: {keeper.__name__}\n'.encode())
