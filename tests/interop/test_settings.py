"""What `postern check --config` prints is right: each program that is there sends a message with it, to a Postern, by TLS
from the first octet and by STARTTLS, with the certificate verified.  Only the password and the authority are put in.

A newcomer adds a function that takes the printed parts and submits with them, and a row in PROGRAMS.
"""
import json
import os
import subprocess
import sys
import textwrap

import pytest

import debian
from words import PASSWORD

LISTENERS = {'submissions': 'tls', 'submission': 'starttls'}
USER = 'ann@example.org'


def settings(binary, *args):
    p = subprocess.run([binary, 'check', '--json', *args], capture_output=True, text=True, timeout=60)
    assert p.returncode == 0, p.stderr
    return json.loads(p.stdout)


class Room:
    """A home folder with what was printed in it, and the environment in which programs run."""

    def __init__(self, folder, parts, ca, subject):
        self.folder, self.parts, self.ca, self.subject = str(folder), parts, ca, subject
        self.message = f'From: {USER}\nTo: bob@example.org\nSubject: {subject}\n\nwith the settings as printed\n'
        self.env = {**os.environ, 'HOME': self.folder, 'SMTP_PASSWORD': PASSWORD, 'EMAIL_HOST_PASSWORD': PASSWORD, 'SSL_CERT_FILE': ca,
                    'NODE_EXTRA_CA_CERTS': ca, 'NODE_PATH': '/usr/share/nodejs', 'GIT_CONFIG_NOSYSTEM': '1',
                    'GIT_AUTHOR_NAME': 'Ann', 'GIT_AUTHOR_EMAIL': USER, 'GIT_COMMITTER_NAME': 'Ann',
                    'GIT_COMMITTER_EMAIL': USER}

    def text(self, where):
        return next(p['text'] for p in self.parts if p['where'] == where)

    def file(self, name, text):
        path = os.path.join(self.folder, name)
        with open(path, 'w') as f:
            f.write(text)
        os.chmod(path, 0o600)
        return path

    def run(self, *args, text=None):
        p = subprocess.run(args, input=text, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60, cwd=self.folder, env=self.env)
        assert p.returncode == 0, p.stdout
        return p.stdout


def msmtp(room):
    room.file('.msmtprc', room.text('~/.msmtprc').replace('tls_trust_file system', f'tls_trust_file {room.ca}'))
    room.file('.msmtp-password', room.text('~/.msmtp-password').replace('YOUR-PASSWORD', PASSWORD))
    room.run('msmtp', 'bob@example.org', text=room.message)


def nodemailer(room):
    send = f"transport.sendMail({{ from: '{USER}', to: 'bob@example.org', subject: '{room.subject}', text: 'hello' }}).catch(" \
           '(e) => { console.error(e); process.exit(1); });\n'
    room.run('node', room.file('send.js', room.text('JavaScript') + send))


def python(room):
    message = f'''\
        import email.message
        message = email.message.EmailMessage()
        message['From'], message['To'], message['Subject'] = '{USER}', 'bob@example.org', '{room.subject}'
        message.set_content('hello')
        '''
    room.run(sys.executable, room.file('send.py', textwrap.dedent(message) + room.text('Python')))


def phpmailer(room):
    try:
        library = os.path.join(debian.unpacked('libphp-phpmailer'), 'usr/share/php/libphp-phpmailer/autoload.php')
    except debian.Unavailable as e:
        pytest.skip(str(e))
    send = f"$mail->addAddress('bob@example.org');\n$mail->Subject = '{room.subject}';\n$mail->Body = 'hello';\n$mail->send();\n"
    room.run('php', room.file('send.php', f"<?php\nrequire '{library}';\n" + room.text('PHP') + send))


def git(room):
    """As --config has it; the password is given as git would have asked for it."""
    room.file('.gitconfig', room.text('~/.gitconfig'))
    room.run('git', '-c', f'sendemail.smtpPass={PASSWORD}', '-c', f'sendemail.smtpSSLCertPath={room.ca}', 'send-email', '--to=bob@example.org',
             '--confirm=never', '--suppress-cc=all', room.file('message.eml', room.message))


def django(room):
    """Django is not among the machine's packages: its settings, used as its SMTP backend uses them."""
    code = room.text('settings.py') + textwrap.dedent(f'''\
        import smtplib, ssl
        assert not (EMAIL_USE_SSL and EMAIL_USE_TLS)
        smtp = (smtplib.SMTP_SSL if EMAIL_USE_SSL else smtplib.SMTP)(EMAIL_HOST, EMAIL_PORT, timeout=EMAIL_TIMEOUT)
        if EMAIL_USE_TLS:
            smtp.starttls(context=ssl.create_default_context())
        smtp.login(EMAIL_HOST_USER, EMAIL_HOST_PASSWORD)
        smtp.sendmail(DEFAULT_FROM_EMAIL, ['bob@example.org'], {room.message!r})
        ''')
    room.run(sys.executable, room.file('django.py', code))


def postern_send(room):
    os.makedirs(os.path.join(room.folder, '.config', 'postern'))
    for where in ('.config/postern/send.yaml', '.config/postern/mail.password'):
        room.file(where, room.text('~/' + where).replace('YOUR-PASSWORD', PASSWORD))
    room.run(room.binary, 'send', '--account', 'mail', '--ca-file', room.ca, '--message', '-', text=room.message)


# name of --config: the function that sends with it
PROGRAMS = {'msmtp': msmtp, 'nodemailer': nodemailer, 'python': python, 'phpmailer': phpmailer, 'git': git, 'django': django,
            'postern-send': postern_send}


@pytest.mark.parametrize('listener', LISTENERS)
@pytest.mark.parametrize('name', PROGRAMS)
def test_sends(posted, binary, tmp_path, name, listener):
    port = posted.port[listener]
    found = settings(binary, '--config', name, '--use', f'localhost:{port}:{LISTENERS[listener]}', '--user', USER)
    assert (found['host'], found['port'], found['user']) == ('localhost', port, USER)
    subject = f'{name}-{listener}'
    room = Room(tmp_path, found['parts'], posted.ca, subject)
    room.binary = binary
    PROGRAMS[name](room)
    message = posted.wait_message('bob@example.org', f'Subject: {subject}\n'.encode())
    assert b'with ESMTPSA' in message


@pytest.mark.parametrize('listener', LISTENERS)
def test_of_what_a_check_found(posted, binary, listener):
    """The address names the user; host, port and encryption are what was found."""
    port = posted.port[listener]
    found = settings(binary, '-p', str(port), '--ca-file', posted.ca, '--no-old-tls', '--host', 'localhost', '--config', 'git', '--user', USER)
    assert (found['host'], found['port'], found['mechanism']) == ('localhost', port, 'PLAIN')
    assert found['encryption'] == {'tls': 'SSL/TLS', 'starttls': 'STARTTLS'}[LISTENERS[listener]]
    assert f'smtpUser = {USER}\n' in found['parts'][0]['text']


def test_nothing_to_use(posted, binary):
    p = subprocess.run([binary, 'check', '-p', str(posted.port['relay']), '--config', 'git', 'localhost'], capture_output=True, text=True, timeout=60)
    assert p.returncode == 1 and p.stdout == '' and 'postern check: ' in p.stderr


def test_postern_takes_its_own(posted, binary, tmp_path):
    for use, port in (('smtp.example.org:465:tls', 465), ('smtp.example.org:587:starttls', 587)):
        found = settings(binary, '--config', 'postern', '--use', use, '--user', USER)
        secret = tmp_path / 'password'
        secret.write_text(PASSWORD + '\n')
        secret.chmod(0o600)
        text = next(p['text'] for p in found['parts'] if p['mode'] is None).replace('/etc/postern/smarthost.password', str(secret))
        conf = tmp_path / 'postern.conf'
        conf.write_text('hostname: mx.example.org\n' + text)
        p = subprocess.run([binary, 'config', 'check', '-c', str(conf)], capture_output=True, text=True, timeout=60)
        assert p.returncode == 0, p.stdout + p.stderr
        assert f'port: {port}' in text


def test_php_understands_wordpress(binary):
    text = settings(binary, '--config', 'wordpress', '--use', 'smtp.example.org:465', '--user', USER)['parts'][0]['text']
    p = subprocess.run(['php', '-r', text + "echo WPMS_SMTP_HOST . WPMS_SMTP_PORT . WPMS_SSL . WPMS_SMTP_USER;"], capture_output=True, text=True, timeout=30)
    assert p.stdout == f'smtp.example.org465ssl{USER}', p.stdout + p.stderr


def test_list(binary):
    p = subprocess.run([binary, 'check', '--config', 'list'], capture_output=True, text=True, timeout=30)
    assert p.returncode == 0
    for name in p.stdout.split('\n')[:-1]:
        for use in ('h.example:465:tls', 'h.example:587:starttls'):
            p = subprocess.run([binary, 'check', '--config', name.split()[0], '--use', use], capture_output=True, text=True, timeout=30)
            assert p.returncode == 0 and 'h.example' in p.stdout, name


@pytest.mark.parametrize('args, words', [
    (['--config', 'nonsense', 'x.test'], 'there is no such program'),
    (['--config', 'git'], 'needs a host'),
    (['--config', 'git', '--use', 'x.test:465:ssl'], 'not HOST:PORT:tls'),
    (['--config', 'git', '--use', 'x.test:25'], 'not HOST:PORT:tls'),
    (['--config', 'git', '--use', 'x.test'], 'not HOST:PORT:tls'),
    (['--config', 'git', '--use', 'x.test:465', '--user', "a'b"], 'leave it out'),
    (['--config', 'git', '--mx', 'x.test'], 'without --mx'),
    (['--user', 'ann', 'x.test'], 'belong to --config'),
])
def test_wrong_usage(binary, args, words):
    p = subprocess.run([binary, 'check', *args], capture_output=True, text=True, timeout=30)
    assert p.returncode == 2 and p.stdout == '' and words in p.stderr
