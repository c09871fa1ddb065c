"""postern check --local: configurations of several files: what takes in another, what counts by where it lies."""
import json
import os
import pathlib
import subprocess

import pytest

SECRET = 'correct-horse'


@pytest.fixture
def local(binary, tmp_path):
    """local(*args): exit status, what the JSON says, what is printed (lines as one: paths of any length break them anywhere);
    no password is in it."""
    def run(*args, **env):
        said = []
        for form in ([], ['--json']):
            p = subprocess.run([binary, 'check', '--local', *form, *map(str, args)], capture_output=True, text=True, timeout=60,
                               env={**os.environ, 'HOME': str(tmp_path), **env}, cwd=tmp_path)
            assert p.stderr == '' and SECRET not in p.stdout
            said.append((p.returncode, p.stdout))
        assert said[0][0] == said[1][0]
        return said[1][0], json.loads(said[1][1]), ' '.join(said[0][1].split())
    return run


def write(folder, **files):
    """Files by their names, with / written as __ and . as it is."""
    for name, text in files.items():
        path = folder / name.replace('__', '/')
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o600)


def tree(folder, files):
    for name, text in files.items():
        write(folder, **{name.replace('/', '__'): text})


def only(found, end):
    configurations = [c for c in found['configurations'] if c['path'].endswith(end)]
    assert len(configurations) == 1, [c['path'] for c in found['configurations']]
    return configurations[0]


def origin(server):
    return {s['key']: (s['in'], s['line']) for s in server['settings']}


def codes(server):
    return {f['code'] for f in server['findings']}


EXIM = {'exim4.conf': '.include routers\nbegin transports\n.include_if_exists ABSENT\n.include transports\n',
        'routers': 'begin routers\nout:\n  driver = manualroute\n  transport = out\n  route_list = * smtp.example.org::465\n',
        'transports': 'out:\n  driver = smtp\n.ifdef NEVER\n  protocol = smtps\n.endif\n'}


def test_exim_includes(local, tmp_path):
    tree(tmp_path, EXIM)
    status, found, text = local(tmp_path / 'exim4.conf')
    c = only(found, 'exim4.conf')
    s, = c['servers']
    assert status == 1 and (s['name'], s['host'], s['port'], s['encryption']) == ('out', 'smtp.example.org', 465, 'STARTTLS if offered')
    assert [(f['path'], f['by'], f['line']) for f in c['files']] == [
        (f'{tmp_path}/routers', f'{tmp_path}/exim4.conf', 1), (f'{tmp_path}/transports', f'{tmp_path}/exim4.conf', 4)]
    assert origin(s)['route_list'] == (f'{tmp_path}/routers', 5)
    assert f'with {tmp_path}/routers, taken in by line 1' in text
    assert f'route_list ({tmp_path}/routers, line 5)' in text


def test_exim_include_that_is_not_there(local, tmp_path):
    tree(tmp_path, {'exim4.conf': '.include gone\n.include_if_exists /gone\n' + EXIM['routers']})
    status, found, text = local(tmp_path / 'exim4.conf')
    c = only(found, 'exim4.conf')
    assert [(f['path'], f['error'], f['line']) for f in c['files']] == [(f'{tmp_path}/gone', 'No such file or directory', 1)]
    assert found['unread'] == 1 and len(c['servers']) == 1
    assert f'not read: {tmp_path}/gone, taken in by line 1: No such file' in text


def test_circles_and_depth(local, tmp_path):
    tree(tmp_path, {'exim4.conf': '.include a\n' + EXIM['routers'], 'a': '.include b\n', 'b': '.include exim4.conf\n.include a\n'})
    c = only(local(tmp_path / 'exim4.conf')[1], 'exim4.conf')
    assert [(pathlib.Path(f['path']).name, f['error']) for f in c['files']] == [
        ('a', None), ('b', None), ('exim4.conf', 'it takes in itself'), ('a', 'it takes in itself')]
    assert c['servers'][0]['host'] == 'smtp.example.org'
    # one below the other, and each of them twice: 2^n
    tree(tmp_path, {'exim4.conf': '.include d0\n' + EXIM['routers'], **{f'd{i}': f'.include d{i + 1}\n' * 2 for i in range(30)}})
    c = only(local(tmp_path / 'exim4.conf')[1], 'exim4.conf')
    assert c['cut'] and len(c['files']) < 256 and 'more than 10 files take in one another' in {f['error'] for f in c['files']}
    # what is no file is not opened
    os.mkfifo(tmp_path / 'fifo')
    tree(tmp_path, {'exim4.conf': '.include fifo\n.include /dev/zero\n.include .\n' + EXIM['routers']})
    c = only(local(tmp_path / 'exim4.conf')[1], 'exim4.conf')
    assert [f['error'] for f in c['files']] == ['it is no regular file', 'it is no regular file', 'it is a folder']


DEBIAN = {'update-exim4.conf.conf': "dc_eximconfig_configtype='smarthost'\ndc_smarthost='smtp.example.org::465'\ndc_use_split_config='true'\n",
          'conf.d/router/200_exim4-config_primary': '.ifdef DCconfig_smarthost\nsmarthost:\n  driver = manualroute\n'
                                                    '  transport = remote_smtp_smarthost\n  route_list = * DCsmarthost byname\n.endif\n',
          'conf.d/router/00_exim4-config_header': 'begin routers\n',
          'conf.d/transport/00_exim4-config_header': 'begin transports\n',
          'conf.d/transport/30_exim4-config_remote_smtp_smarthost': 'remote_smtp_smarthost:\n  driver = smtp\n'
                                                                    '.ifdef REMOTE_SMTP_SMARTHOST_PROTOCOL\n'
                                                                    '  protocol = REMOTE_SMTP_SMARTHOST_PROTOCOL\n.endif\n',
          'passwd.client': f'smtp.example.org:ann:{SECRET}\n'}


def test_debian_exim(local, tmp_path):
    """What is proposed is done, and nothing is left; what editors and dpkg leave is passed over."""
    tree(tmp_path, DEBIAN)
    main = tmp_path / 'update-exim4.conf.conf'
    tree(tmp_path, {'conf.d/transport/30_exim4-config_remote_smtp_smarthost.dpkg-old': 'remote_smtp_smarthost:\n  protocol = smtps\n'})
    status, found, text = local(main)
    s, = only(found, '.conf.conf')['servers']
    assert (status, s['encryption'], s['login'], s['password']) == (1, 'STARTTLS if offered', True, True)
    macros = tmp_path / 'conf.d/main/000_localmacros'
    assert {c['in'] for c in s['changes']} == {str(macros)} and f'{macros} (a new file)' in text
    assert 'update-exim4.conf, and restart exim4' in text
    tree(tmp_path, {'conf.d/main/000_localmacros': ''.join(c['text'] + '\n' for c in s['changes'])})
    status, found, _ = local(main)
    s, = only(found, '.conf.conf')['servers']
    assert (status, s['encryption'], codes(s), s['changes']) == (0, 'SSL/TLS', set(), [])
    assert origin(s)['REMOTE_SMTP_SMARTHOST_PROTOCOL'] == (str(macros), 1) and s['setting_in'] == str(macros)
    # a password that everybody may read
    (tmp_path / 'passwd.client').chmod(0o644)
    shut = [p for p in tmp_path.parents if not p.stat().st_mode & 0o001]
    s, = only(local(main)[1], '.conf.conf')['servers']
    assert codes(s) == (set() if shut else {'password-readable'})
    # all of it counts for nothing
    tree(tmp_path, {'exim4.conf': ''})
    assert 'superseded' in codes(only(local(main)[1], '.conf.conf')['servers'][0])


def test_debian_exim_not_split(local, tmp_path):
    tree(tmp_path, {'update-exim4.conf.conf': DEBIAN['update-exim4.conf.conf'].replace('true', 'false'),
                    'exim4.conf.template': ''.join(text for name, text in sorted(DEBIAN.items()) if '/router/' in name)
                    + ''.join(text for name, text in sorted(DEBIAN.items()) if '/transport/' in name),
                    'exim4.conf.localmacros': 'REMOTE_SMTP_SMARTHOST_PROTOCOL = smtps\n',
                    'conf.d/main/000_localmacros': 'REMOTE_SMTP_SMARTHOST_PROTOCOL = smtp\n'})
    status, found, _ = local(tmp_path / 'update-exim4.conf.conf')
    s, = only(found, '.conf.conf')['servers']
    assert (status, s['encryption'], s['login']) == (0, 'SSL/TLS', None)
    assert origin(s)['REMOTE_SMTP_SMARTHOST_PROTOCOL'] == (f'{tmp_path}/exim4.conf.localmacros', 1)


def test_git(local, tmp_path):
    tree(tmp_path, {'.gitconfig': '[include]\n\tpath = ~/.mail\n\tpath = ~/.gone\n[sendemail]\n\tsmtpServerPort = 587\n'
                                  '[includeIf "gitdir:~/office/"]\n\tpath = office/config\n',
                    '.mail': '[sendemail]\n\tsmtpServer = smtp.example.org\n\tsmtpEncryption = tls\n\tsmtpUser = ann\n',
                    'office/config': f'[sendemail]\n\tsmtpServer = smtp.work.example\n\tsmtpServerPort = 465\n\tsmtpPass = {SECRET}\n'})
    status, found, text = local(tmp_path / '.gitconfig')
    c = only(found, '.gitconfig')
    assert [(f['path'], f['when']) for f in c['files']] == [(f'{tmp_path}/.mail', None), (f'{tmp_path}/office/config', 'gitdir:~/office/')]
    base, work = c['servers']
    assert (base['host'], base['port'], base['encryption'], codes(base)) == ('smtp.example.org', 587, 'STARTTLS', set())
    assert (work['name'], work['host'], codes(work)) == ('gitdir:~/office/', 'smtp.work.example', {'starttls-on-465'})
    # which is right for others, and stays: it is set anew where it is wrong
    assert [(c['in'], c['add'], c['line'], c['text']) for c in work['changes']] == [(f'{tmp_path}/office/config', True, 4, 'smtpEncryption = ssl')]
    assert status == 1 and f'{tmp_path}/.mail, line 3: Port 465 expects TLS' in text
    assert ' if gitdir:~/office/' in text


def test_php(local, tmp_path):
    tree(tmp_path, {'fpm/php.ini': '[mail function]\nsendmail_path = /bin/true -t\n', 'fpm/conf.d/20-a.ini': 'extension=a\n',
                    'fpm/conf.d/99-mail.ini': 'sendmail_path = "/nonexistent/msmtp -t"\n',
                    'fpm/pool.d/shop.conf': '[shop]\nuser = shop\nphp_admin_value[sendmail_path] = /bin/true -i\n',
                    'fpm/pool.d/plain.conf': '[plain]\nuser = www\n'})
    for where in (tmp_path / 'fpm', tmp_path / 'fpm/php.ini'):  # a pool is not shown again by itself
        status, found, text = local(where)
        c, = found['configurations']
        base, shop = c['servers']
        assert (base['program'], codes(base), origin(base)) == ('/nonexistent/msmtp', {'program-missing'},
                                                                {'sendmail_path': (f'{tmp_path}/fpm/conf.d/99-mail.ini', 1)})
        assert (shop['name'], shop['program'], codes(shop)) == ('pool shop', '/bin/true', {'sendmail-without-t'})
        assert shop['findings'][0]['in'] == f'{tmp_path}/fpm/pool.d/shop.conf' and shop['findings'][0]['line'] == 3
        assert status == 1 and 'conf.d/20-a.ini' not in text  # which says nothing of mail
    # without a php.ini, as in containers
    (tmp_path / 'fpm/php.ini').unlink()
    c, = local(tmp_path / 'fpm/php.ini')[1]['configurations']
    assert [s['name'] for s in c['servers']] == ['', 'pool shop'] and 'it is not there' in local(tmp_path / 'fpm/php.ini')[2]
    assert [s['name'] for s in local(tmp_path / 'fpm/pool.d/shop.conf')[1]['configurations'][0]['servers']] == ['pool shop']


def test_env(local, tmp_path):
    tree(tmp_path, {'.env': 'MAIL_SERVER=smtp.example.org\nMAIL_PORT=465\nMAIL_USE_SSL=1\nMAIL_USERNAME=x\n',
                    '.env.local': f'MAIL_PASSWORD={SECRET}\n', '.env.production': 'MAIL_PORT=587\n',
                    '.env.production.local': 'MAIL_USE_SSL=0\nMAIL_USE_TLS=1\n', '.env.staging': 'DEBUG=1\n', '.env.example': 'MAIL_PORT=25\n'})
    status, found, text = local(tmp_path)
    by_name = {pathlib.Path(c['path']).name: c for c in found['configurations']}
    assert set(by_name) == {'.env', '.env.local', '.env.production', '.env.production.local'}
    assert {name: (c['servers'][0]['port'], c['servers'][0]['encryption'], codes(c['servers'][0])) for name, c in by_name.items()} == {
        '.env': (465, 'SSL/TLS', set()), '.env.local': (465, 'SSL/TLS', set()), '.env.production': (587, 'SSL/TLS', {'tls-on-587'}),
        '.env.production.local': (587, 'STARTTLS', set())}
    assert by_name['.env.local']['servers'][0]['password'] is True and by_name['.env']['servers'][0]['password'] is False
    assert [c['in'] for c in by_name['.env.production']['servers'][0]['changes']][-1] == f'{tmp_path}/.env'
    # the usual places: this folder
    assert {c['path'] for c in local()[1]['configurations'] if c['path'].startswith('.')} == {'.env', '.env.local', '.env.production',
                                                                                           '.env.production.local'}


def test_postfix(local, tmp_path):
    main = ('smart = smtp.example.org\nrelayhost = [$smart]:587\nsmtp_tls_security_level = ${level}\nlevel = secure\n'
            'smtp_tls_CAfile = /etc/ssl/x\nsmtp_sasl_auth_enable = yes\nsmtp_sasl_tls_security_options = noanonymous\n'
            'smtp_sasl_password_maps = texthash:$config_directory/sasl\n')
    tree(tmp_path, {'postfix/main.cf': f'multi_instance_directories = {tmp_path}/out {tmp_path}/loop\n' + main,
                    'out/main.cf': 'relayhost = [smtp.example.net]:465\n',
                    'loop/main.cf': f'multi_instance_directories = {tmp_path}/loop {tmp_path}/postfix\n',
                    'postfix/sasl': f'[smtp.example.org]:587 ann:{SECRET}\n'})
    status, found, _ = local(tmp_path / 'postfix/main.cf')
    first, second = found['configurations']
    s, = first['servers']
    assert (s['host'], s['port'], s['encryption'], codes(s)) == ('smtp.example.org', 587, 'STARTTLS', set())
    assert (second['path'], second['servers'][0]['host'], status) == (f'{tmp_path}/out/main.cf', 'smtp.example.net', 1)
    # the table is found, and looked into, whatever folder one is in
    (tmp_path / 'postfix/sasl').write_text('')
    assert codes(only(local('postfix/main.cf')[1], 'postfix/main.cf')['servers'][0]) == {'password-not-found'}


def test_msmtp_eval(local, tmp_path):
    """A command is not run: what it would say is not known."""
    tree(tmp_path, {'.msmtprc': f'host smtp.example.org\nport 587\ntls on\nauth on\neval touch {tmp_path}/ran\npasswordeval touch {tmp_path}/ran\n'})
    _, found, _ = local(tmp_path / '.msmtprc')
    assert codes(found['configurations'][0]['servers'][0]) == {'not-literal'} and not (tmp_path / 'ran').exists()


def test_json_is_documented(local, tmp_path):
    section = (pathlib.Path(__file__).parents[2] / 'doc/check.md').read_text().split('## `--local`')[1].split('\n## ')[0]
    tree(tmp_path, {**EXIM, 'x': ''})

    def fields(value):
        if isinstance(value, list):
            return set().union(*(fields(v) for v in value))
        return set(value).union(*(fields(v) for v in value.values())) if isinstance(value, dict) else set()

    assert {f for f in fields(local(tmp_path / 'exim4.conf')[1]) if f'`{f}`' not in section} == set()
