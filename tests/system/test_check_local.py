"""postern check --local: configurations as people have them (local/right, local/wrong), and files that are none.

Each file of local/ is written as its program takes it.  A newcomer adds one, and a row."""
import json
import os
import pathlib
import shutil
import socket
import subprocess

import pytest
from smtp_peer import SmtpPeer
from test_tls import make_certificate

FILES = pathlib.Path(__file__).parent / 'local'
SECRET = 'correct-horse'  # in each of them that has a password


@pytest.fixture
def local(binary, tmp_path):
    """local(*args): exit status and what the JSON says; no password is in anything that is printed."""
    def run(*args, home=None, cwd=None, **more):
        env = {**os.environ, 'HOME': str(home or tmp_path / 'nobody')}
        said = []
        for form in ([], ['--json']):
            p = subprocess.run([binary, 'check', '--local', *form, *map(str, args)], capture_output=True, text=True,
                               timeout=100, env=env, cwd=cwd or tmp_path, **more)  # nothing holds it up for ever
            assert p.stderr == ''
            assert not any(word in p.stdout for word in (SECRET, 'shop@', 'shop%40', 'ann@', 'web1@'))
            said.append((p.returncode, p.stdout))
        assert said[0][0] == said[1][0]
        return said[1][0], json.loads(said[1][1]), said[0][1]
    return run


@pytest.fixture
def copied(tmp_path):
    """copied(path): that file or folder of local/, readable by nobody else."""
    def copy(path):
        to = tmp_path / 'copy' / path
        to.parent.mkdir(parents=True, exist_ok=True)
        if (FILES / path).is_dir():
            shutil.copytree(FILES / path, to)
        else:
            shutil.copy(FILES / path, to)
        for f in to.rglob('*') if to.is_dir() else [to]:
            if f.is_file():
                f.chmod(0o600)
        return to
    return copy


def server_of(found, path=None, name=None):
    servers = [s for c in found['configurations'] if path is None or c['path'].endswith(path) for s in c['servers']
               if name is None or s['name'] == name]
    assert len(servers) == 1, servers
    return servers[0]


def codes(server):
    return {f['code'] for f in server['findings']}


RIGHT = [
    ('postfix/main.cf', 'postfix', '', 'smtp.example.org', 587, 'STARTTLS'),
    ('exim4/exim4.conf', 'exim', 'smarthost', 'smtp.example.org', 465, 'SSL/TLS'),
    ('debian-exim/update-exim4.conf.conf', 'exim-debian', '', 'smtp.example.org', 587, 'STARTTLS if offered'),
    ('msmtp/msmtprc', 'msmtp', 'work', 'smtp.example.org', 587, 'STARTTLS'),
    ('msmtp/msmtprc', 'msmtp', 'home', 'smtp.example.net', 465, 'SSL/TLS'),
    ('php/8.2/fpm/php.ini', 'php.ini', '', None, None, 'unknown'),
    ('wordpress/wp-config.php', 'wordpress', 'WPMS', 'smtp.example.org', 465, 'SSL/TLS'),
    ('laravel/.env', 'env', 'MAIL', 'smtp.example.org', 587, 'STARTTLS'),
    ('flask/.env', 'env', 'MAIL', 'smtp.example.org', 465, 'SSL/TLS'),
    ('django/shop/settings.py', 'django', '', 'smtp.example.org', 587, 'STARTTLS'),
    ('git/.gitconfig', 'git', '', 'smtp.example.org', 465, 'SSL/TLS'),
]


@pytest.mark.parametrize('path, kind, name, host, port, encryption', RIGHT)
def test_right(local, copied, path, kind, name, host, port, encryption):
    status, found, text = local(copied('right/' + path))
    s = server_of(found, name=name)
    assert (status, found['configurations'][0]['kind']) == (0, kind)
    assert (s['host'], s['port'], s['encryption']) == (host, port, encryption)
    assert s['findings'] == [] and s['changes'] == []
    assert '0 problems, 0 warnings' in text


# File, section, codes, and what is to be written: (line that is replaced, or -line below which it is added, text).
WRONG = [
    ('postfix-465/main.cf', '', {'starttls-on-465', 'certificate-unchecked', 'noplaintext'},
     [(-8, 'smtp_tls_wrappermode = yes'), (6, 'smtp_tls_security_level = secure'),
      (-8, 'smtp_tls_CAfile = /etc/ssl/certs/ca-certificates.crt')]),
    ('postfix-587/main.cf', '', {'tls-on-587', 'certificate-unchecked', 'looks-up-mx'},
     [('master.cf', 'smtp_tls_wrappermode = no'), ('master.cf', 'smtp_tls_security_level = secure'),
      (-6, 'smtp_tls_CAfile = /etc/ssl/certs/ca-certificates.crt')]),
    ('exim4/exim4.conf', 'smarthost', {'starttls-on-465', 'encryption-optional', 'certificate-unchecked'},
     [(-16, 'protocol = smtps'), (-16, 'hosts_require_tls = *'), (-16, 'tls_verify_hosts = *')]),
    ('debian-exim/update-exim4.conf.conf', '', {'starttls-on-465'}, [(9, "dc_smarthost='smtp.example.org::587'")]),
    ('msmtp/msmtprc', 'work', {'tls-on-587'}, [(-6, 'tls_starttls on')]),
    ('msmtp/msmtprc', 'scanner', {'port-25', 'password-in-clear'},
     [(-13, 'port 587'), (15, 'tls on'), (-13, 'tls_starttls on')]),
    ('php/php.ini', '', {'sendmail-without-t', 'program-missing', 'windows-only'}, []),
    ('wordpress/wp-config.php', 'SMTP', {'tls-on-587'}, [(6, "define( 'SMTP_SECURE', 'tls' );")]),
    ('laravel/.env', 'MAIL', {'port-25', 'encryption-optional'}, [(4, 'MAIL_PORT=587'), (7, 'MAIL_ENCRYPTION=tls')]),
    ('node/.env', 'SMTP', {'tls-on-587', 'certificate-unchecked'},
     [(5, 'SMTP_SECURE=false'), (2, 'NODE_TLS_REJECT_UNAUTHORIZED=1')]),
    ('urls/.env', 'MAILER_DSN', {'tls-on-587', 'certificate-unchecked'},
     [(2, 'MAILER_DSN=smtp://USER:PASSWORD@smtp.example.org:587')]),
    ('urls/.env', 'EMAIL_URL', {'starttls-on-465'}, [(4, 'EMAIL_URL=smtp+ssl://USER:PASSWORD@smtp.example.net:465')]),
    ('django/shop/settings/production.py', '', {'starttls-on-465', 'not-literal'},
     [(5, 'EMAIL_USE_TLS = False'), (-7, 'EMAIL_USE_SSL = True')]),
    ('git/.gitconfig', '', {'starttls-on-465', 'certificate-unchecked'},
     [(7, 'smtpEncryption = ssl'), (10, 'smtpSSLCertPath = /etc/ssl/certs')]),
    ('git/.gitconfig', 'old', {'program-missing'}, []),
]


@pytest.mark.parametrize('path, name, wrong, changes', WRONG)
def test_wrong(local, copied, path, name, wrong, changes):
    folder, _, file = path.partition('/')
    status, found, text = local(copied(f'wrong/{folder}') / file)  # with what lies beside it
    s = server_of(found, name=name)
    assert codes(s) == wrong
    assert [(c['beside'] or (-c['line'] if c['add'] else c['line']), c['text']) for c in s['changes']] == changes
    for _, line in changes:
        assert line in text
    assert status == (1 if any(f['level'] == 'problem' for c in found['configurations'] for x in c['servers']
                               for f in x['findings']) else 0)


def test_every_file_of_the_folder_is_in_a_row(local, copied):
    for folder, rows in (('right', RIGHT), ('wrong', WRONG)):
        _, found, _ = local(copied(folder))
        seen = {c['path'].split(f'/{folder}/')[1] for c in found['configurations']}
        assert seen == {row[0] for row in rows}  # and .env.example is no configuration


# What --config prints for it, and the file that it belongs into.
PRINTED = {'postfix': 'main.cf', 'exim': 'exim4.conf', 'msmtp': '.msmtprc', 'wordpress': 'wp-config.php', 'django': 'settings.py',
           'git': '.gitconfig'}


@pytest.mark.parametrize('name', PRINTED)
def test_what_config_prints_is_right(local, binary, tmp_path, name):
    for use, encryption in (('465:tls', 'SSL/TLS'), ('587:starttls', 'STARTTLS')):
        p = subprocess.run([binary, 'check', '--json', '--config', name, '--use', f'smtp.example.org:{use}', '--user', 'ann'],
                           capture_output=True, text=True, timeout=100, check=True)
        parts = [(part['where'].split('begin ')[-1], part['text']) for part in json.loads(p.stdout)['parts']
                 if PRINTED[name] in part['where']]
        text = ''.join(f'begin {where}\n{part}' if name == 'exim' else part for where, part in parts)
        (tmp_path / PRINTED[name]).write_text(text)
        (tmp_path / PRINTED[name]).chmod(0o600)
        status, found, _ = local(tmp_path / PRINTED[name])
        s = server_of(found)
        assert (status, s['host'], s['port'], s['encryption']) == (0, 'smtp.example.org', int(use[:3]), encryption)
        assert s['login'] is True and s['findings'] == [], text


@pytest.fixture
def place():
    """A folder that everybody may look into, which pytest's are not."""
    folder = pathlib.Path(subprocess.run(['mktemp', '-d'], capture_output=True, text=True, check=True).stdout.strip())
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


def test_who_can_read_a_password(local, place):
    env, shut = place / '.env', place / 'shut'
    text = f'MAIL_HOST=smtp.example.org\nMAIL_PORT=587\nMAIL_ENCRYPTION=tls\nMAIL_PASSWORD={SECRET}\n'
    for mode, wrong in ((0o644, True), (0o604, True), (0o640, False), (0o600, False)):
        env.write_text(text)
        env.chmod(mode)
        status, found, people = local(env)
        assert (codes(server_of(found)) == {'password-readable'}) == wrong
        assert status == int(wrong) and (f'chmod 600 {env} (it has {mode:04o})' in people) == wrong
    # where nobody else gets into the folder, nobody else reads the file
    shut.mkdir(mode=0o700)
    (shut / '.env').write_text(text)
    (shut / '.env').chmod(0o644)
    assert local(shut / '.env')[0] == 0
    # a file without a password may be read
    env.write_text(text.replace(SECRET, 'null') + 'MAIL_USERNAME=x\n')
    env.chmod(0o644)
    assert local(env)[0] == 0


MAIN_CF = ('relayhost = [smtp.example.org]:587\nsmtp_tls_security_level = secure\nsmtp_tls_CAfile = /etc/ssl/x\n'
           'smtp_sasl_auth_enable = yes\nsmtp_sasl_tls_security_options = noanonymous\n')


def test_postfix_passwords(local, place):
    table, made, main = place / 'sasl', place / 'sasl.db', place / 'main.cf'
    main.write_text(MAIN_CF + f'smtp_sasl_password_maps = hash:{table}\n')

    def wrong():
        return codes(server_of(local(main)[1]))

    assert wrong() == set()  # nothing of it can be seen: it may be elsewhere
    table.write_text(f'[smtp.example.org]:587 ann:{SECRET}\n')
    table.chmod(0o600)
    assert wrong() == {'postmap-needed'}
    made.write_bytes(b'')
    made.chmod(0o600)
    os.utime(table, (1, 1))
    assert wrong() == set()
    os.utime(made, (0, 0))
    assert wrong() == {'postmap-needed'}
    os.utime(made)
    made.chmod(0o644)
    assert wrong() == {'password-readable'}
    made.chmod(0o600)
    table.write_text(f'smtp.example.org:587 ann:{SECRET}\n')
    os.utime(table, (1, 1))
    assert wrong() == {'password-not-found'}
    main.write_text(MAIN_CF + f'smtp_sasl_password_maps = texthash:{table}\n')
    made.unlink()
    assert wrong() == {'password-not-found'}


def test_usual_places(local, tmp_path):
    home, cwd = tmp_path / 'home', tmp_path / 'project'
    (home / '.config/msmtp').mkdir(parents=True)
    cwd.mkdir()
    shutil.copy(FILES / 'right/msmtp/msmtprc', home / '.config/msmtp/config')
    shutil.copy(FILES / 'wrong/git/.gitconfig', home / '.gitconfig')
    os.symlink(home / '.config/msmtp/config', home / '.msmtprc')  # the same file: said once
    (cwd / '.env').write_text('MAIL_HOST=smtp.example.org\nMAIL_PORT=465\nMAIL_ENCRYPTION=ssl\nMAIL_USERNAME=x\n')
    (cwd / 'unknown').write_text('MAIL_HOST=smtp.example.org\n')
    status, found, _ = local(home=home, cwd=cwd)
    paths = [c['path'] for c in found['configurations'] if not c['path'].startswith(('/etc', '/usr', '/var', '/srv', '/opt', '/home'))]
    assert (status, paths) == (1, [f'{home}/.msmtprc', '.env', f'{home}/.gitconfig'])


def test_what_is_no_configuration(local, tmp_path):
    fifo, link, env, folder = tmp_path / '.env', tmp_path / 'main.cf', tmp_path / 'app.conf', tmp_path / 'empty'
    os.mkfifo(fifo)
    os.symlink(fifo, link)
    folder.mkdir()
    for path, why in ((fifo, 'it is no regular file'), (link, 'it is no regular file'), ('/dev/zero', 'it is no regular file'),
                      ('/nonexistent', 'No such file or directory'), (folder, 'nothing that is known in it names a server to submit mail to'),
                      ('/etc/passwd', 'it is no configuration that is known')):
        status, found, text = local(path)
        assert status == 1 and found['configurations'][0]['error'] == why and why in text
        assert found['unread'] == 1
    with socket.socket(socket.AF_UNIX) as s:
        s.bind(str(tmp_path / 'socket'))
        assert local(tmp_path / 'socket')[0] == 1
    # one bad path does not keep the others from being read
    env.write_text('host smtp.example.org\nport 587\ntls on\nauth on\n')
    status, found, _ = local('/nonexistent', env)
    assert status == 1 and server_of(found)['port'] == 587
    assert found['configurations'][1]['kind'] == 'msmtp'  # by what stands in it


def test_a_folder_with_all_kinds_of_things(local, tmp_path):
    top = tmp_path / 'srv'
    (top / 'app/node_modules/x').mkdir(parents=True)
    (top / 'app/.git').mkdir()
    good = 'MAIL_HOST=smtp.example.org\nMAIL_PORT=465\nMAIL_ENCRYPTION=ssl\nMAIL_USERNAME=x\n'
    (top / 'app/.env').write_text(good)
    (top / 'app/.env.example').write_text(good)
    (top / 'app/node_modules/x/.env').write_text(good)
    (top / 'app/.git/config').write_text('[sendemail]\n\tsmtpserver = smtp.example.org\n\tsmtpencryption = ssl\n\tsmtpuser = x\n')
    os.symlink('/', top / 'root')
    os.symlink(top, top / 'app/loop')
    os.symlink('/etc/passwd', top / 'main.cf')
    os.mkfifo(top / 'php.ini')
    deep = top
    for i in range(20):
        deep = deep / f'{i}'
        deep.mkdir()
    (deep / '.env').write_text(good)
    status, found, _ = local(top)
    names = {c['path'].split('/srv/')[1]: c['error'] for c in found['configurations']}
    assert names == {'app/.env': None, 'app/.git/config': None, 'php.ini': 'it is no regular file'}
    assert (status, found['cut']) == (0, True)


@pytest.mark.parametrize('name', ['main.cf', 'exim4.conf', 'update-exim4.conf.conf', '.msmtprc', 'php.ini', 'wp-config.php',
                                  '.env', 'settings.py', '.gitconfig'])
def test_junk_and_what_is_huge(local, tmp_path, name):
    path = tmp_path / name
    path.write_bytes(os.urandom(300000) + b'\0' * 1000 + bytes(range(256)) * 100)
    assert local(path)[1]['problems'] == 0
    with open(path, 'wb') as f:
        f.truncate(1 << 40)  # a hole: of which 1 MiB is looked at
    found = local(path)[1]
    assert found['configurations'][0]['cut']
    path.write_bytes(b'relayhost = [smtp.example.org]:587\xff\x1b[31m\nMAIL_HOST=\x1b[31mx\x9b\nhost \x1b]0;x\n')
    assert '\x1b' not in local(path)[2]


def test_others_files(local, tmp_path):
    """Not root: what may not be read is said, and is a failure only if it was named."""
    if os.getuid() != 0:
        pytest.skip('root can become somebody else')
    home = tmp_path / 'home'
    home.mkdir()
    (home / '.msmtprc').write_text('host smtp.example.org\n')
    (home / '.msmtprc').chmod(0o600)
    for folder in (home, *home.parents):
        if folder != pathlib.Path('/') and folder != pathlib.Path('/tmp'):
            folder.chmod(folder.stat().st_mode | 0o005)
    me = {'user': 65534, 'group': 65534, 'extra_groups': []}
    status, found, text = local(home=home, cwd='/', **me)
    mine = [c for c in found['configurations'] if c['path'] == f'{home}/.msmtprc']
    assert mine[0]['error'] == 'it may not be read by you; root may'
    assert local(home / '.msmtprc', cwd='/', **me)[0] == 1
    assert '.msmtprc: it may not be read by you' in text


def test_json_is_documented(local, copied):
    """Each field is in doc/check.md."""
    section = (pathlib.Path(__file__).parents[2] / 'doc/check.md').read_text().split('## `--local`')[1].split('\n## ')[0]

    def fields(value):
        if isinstance(value, list):
            return set().union(*(fields(v) for v in value))
        return set(value).union(*(fields(v) for v in value.values())) if isinstance(value, dict) else set()

    assert {f for f in fields(local(copied('wrong'))[1]) if f'`{f}`' not in section} == set()


@pytest.mark.parametrize('args, words', [
    (['--local', '--mx'], '--local looks at files'),
    (['--local', '-p', '25'], '--local looks at files'),
    (['--local', '--config', 'msmtp'], '--local looks at files'),
    (['--ask', 'smtp.example.org'], '--ask belongs to --local'),
])
def test_usage(binary, args, words):
    p = subprocess.run([binary, 'check', *args], capture_output=True, text=True, timeout=100)
    assert p.returncode == 2 and words in p.stderr and p.stdout == ''


# ---- --ask ----

@pytest.fixture(scope='module')
def trusted(make_server, tmp_path_factory):
    """A Postern whose certificate is for localhost, and the file to trust."""
    cert, key = make_certificate(tmp_path_factory.mktemp('cert'), 'localhost', ['localhost'], 'rsa:2048')
    with make_server({'tls': {'certificates': [{'cert': cert, 'key': key}]}}) as s:
        s.ca = cert
        yield s


# Listener, what is set, result, and the setting that is proposed.
ASKED = [
    ('submission', 'MAIL_USE_TLS=1', 'works', None),
    ('submissions', 'MAIL_USE_SSL=1', 'works', None),
    ('submission', 'MAIL_USE_SSL=1', 'other-encryption', ['MAIL_USE_TLS=true', 'MAIL_USE_SSL=false']),
    ('submissions', 'MAIL_USE_TLS=1', 'other-encryption', ['MAIL_USE_TLS=false', 'MAIL_USE_SSL=true']),
    ('relay', 'MAIL_USE_TLS=1', 'no-login-there', None),
]


@pytest.mark.parametrize('listener, encryption, result, changes', ASKED)
def test_the_server_is_asked(local, trusted, tmp_path, listener, encryption, result, changes):
    port = trusted.port[listener]
    (tmp_path / '.env').write_text(f'MAIL_SERVER=localhost\nMAIL_PORT={port}\n{encryption}\nMAIL_USERNAME=x\n')
    status, found, text = local('--ask', '--timeout', '30', '-4', '--ca-file', trusted.ca, tmp_path / '.env')
    s = server_of(found)
    assert (s['asked']['result'], found['asked']) == (result, True)
    assert status == (0 if result == 'works' else 1)
    assert s['asked']['text'].split()[0] in text
    if changes:
        assert [c['text'] for c in s['changes']] == changes


def test_a_certificate_that_is_wrong(local, trusted, tmp_path):
    path = tmp_path / '.env'
    path.write_text(f'SMTP_HOST=localhost\nSMTP_PORT={trusted.port["submissions"]}\nSMTP_SECURE=true\nSMTP_USER=x\n')
    status, found, _ = local('--ask', '--timeout', '30', '-4', path)
    assert (status, server_of(found)['asked']['result']) == (1, 'certificate')
    # who does not look has no problem, but a finding
    path.write_text(path.read_text().replace('SECURE=true', 'SSL=true') + 'SMTP_OPENSSL_VERIFY_MODE=none\n')
    status, found, _ = local('--ask', '--timeout', '30', '-4', path)
    assert server_of(found)['asked'] and server_of(found)['asked']['result'] == 'certificate'


def test_servers_that_are_not_there(local, tmp_path):
    path = tmp_path / '.env'
    with SmtpPeer() as peer, socket.socket() as nobody:
        nobody.bind(('127.0.0.1', 0))
        for port, host, encryption, result in ((nobody.getsockname()[1], '127.0.0.1', 'tls', 'closed'),
                                               (peer.port, '127.0.0.1', 'tls', 'no-encryption'),
                                               (587, 'nowhere.invalid', 'tls', 'no-address')):
            path.write_text(f'MAIL_HOST={host}\nMAIL_PORT={port}\nMAIL_ENCRYPTION={encryption}\nMAIL_USERNAME=x\n')
            status, found, _ = local('--ask', '--timeout', '30', '-4', path)
            assert (status, server_of(found)['asked']['result']) == (1, result)
    # more servers than are asked, and one whose port is not known
    (tmp_path / 'msmtprc').write_text(''.join(f'account a{i}\nhost h{i}.invalid\nport 587\ntls on\nauth on\n' for i in range(31)))
    for name in ('x', 'y'):
        (tmp_path / name).mkdir()
        (tmp_path / name / '.env').write_text(f'SMTP_HOST=h{name}.invalid\n' + 'SMTP_PORT=587\n' * (name == 'y'))
    _, found, text = local('--ask', '--timeout', '30', '-4', tmp_path / 'msmtprc', tmp_path / 'x', tmp_path / 'y')
    assert [s['asked'] and s['asked']['result'] for c in found['configurations'] for s in c['servers']] == ['no-address'] * 31 + [None] * 2
    assert 'its port is not known' in text and 'there are too many servers' in text
    # without --ask nobody is asked
    assert local(path)[1]['asked'] is False and server_of(local(path)[1])['asked'] is None
