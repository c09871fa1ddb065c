"""What `postern check --local --ask` says to change is what mends it: programs that are set to the wrong encryption fail to
send to a Postern, the lines that are said are written into their files, and the same programs send.

A newcomer adds a row to PROGRAMS: the file, what is set, and a function that sends.
"""
import json
import os
import subprocess
import sys
import textwrap

import pytest

import debian
from words import PASSWORD

USER = 'ann@example.org'


class Home:
    def __init__(self, folder, ca):
        self.folder, self.ca = str(folder), ca
        self.env = {**os.environ, 'HOME': self.folder, 'SSL_CERT_FILE': ca, 'NODE_EXTRA_CA_CERTS': ca, 'NODE_PATH': '/usr/share/nodejs',
                    'GIT_CONFIG_NOSYSTEM': '1', 'GIT_AUTHOR_NAME': 'Ann', 'GIT_AUTHOR_EMAIL': USER, 'GIT_COMMITTER_NAME': 'Ann',
                    'GIT_COMMITTER_EMAIL': USER}

    def file(self, name, text):
        path = os.path.join(self.folder, name)
        with open(path, 'w') as f:
            f.write(text)
        os.chmod(path, 0o600)
        return path

    def run(self, *args, text=None):
        return subprocess.run(args, input=text, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=120, cwd=self.folder,
                              env=self.env)


def message(subject):
    return f'From: {USER}\nTo: bob@example.org\nSubject: {subject}\n\nhello\n'


def msmtp(home, subject):
    return home.run('msmtp', '--timeout=60', 'bob@example.org', text=message(subject))


def git(home, subject):
    return home.run('timeout', '60', 'git', 'send-email', '--to=bob@example.org', '--confirm=never', '--suppress-cc=all',
                    home.file('message.eml', message(subject)))


def django(home, subject):
    """Its settings, used as its SMTP backend uses them."""
    return home.run(sys.executable, '-c', textwrap.dedent(f'''\
        import smtplib, ssl
        from settings import *
        smtp = (smtplib.SMTP_SSL if globals().get('EMAIL_USE_SSL') else smtplib.SMTP)(EMAIL_HOST, EMAIL_PORT, timeout=60)
        if globals().get('EMAIL_USE_TLS'):
            smtp.starttls(context=ssl.create_default_context())
        smtp.login(EMAIL_HOST_USER, EMAIL_HOST_PASSWORD)
        smtp.sendmail(EMAIL_HOST_USER, ['bob@example.org'], {message(subject)!r})
        '''))


def nodemailer(home, subject):
    """As applications have it that read .env."""
    return home.run('node', '-e', textwrap.dedent(f'''\
        const env = Object.fromEntries(require('fs').readFileSync('.env', 'utf8').trim().split('\\n').map((l) => l.split('=')));
        require('nodemailer').createTransport({{ host: env.SMTP_HOST, port: +env.SMTP_PORT, secure: env.SMTP_SECURE === 'true',
            greetingTimeout: 60000, auth: {{ user: env.SMTP_USER, pass: env.SMTP_PASS }} }})
            .sendMail({{ from: '{USER}', to: 'bob@example.org', subject: '{subject}', text: 'hello' }})
            .catch((e) => {{ console.error(e); process.exit(1); }});
        '''))


def wordpress(home, subject):
    """The constants, used as the snippets for phpmailer_init use them."""
    try:
        library = os.path.join(debian.unpacked('libphp-phpmailer'), 'usr/share/php/libphp-phpmailer/autoload.php')
    except debian.Unavailable as e:
        pytest.skip(str(e))
    return home.run('php', home.file('send.php', textwrap.dedent(f'''\
        <?php
        require '{library}';
        require 'wp-config.php';
        $mail = new PHPMailer\\PHPMailer\\PHPMailer(true);
        $mail->isSMTP();
        $mail->Timeout = 60;
        $mail->Host = SMTP_HOST;
        $mail->Port = SMTP_PORT;
        $mail->SMTPSecure = SMTP_SECURE;
        $mail->SMTPAuth = true;
        $mail->Username = SMTP_USER;
        $mail->Password = SMTP_PASS;
        $mail->setFrom('{USER}');
        $mail->addAddress('bob@example.org');
        $mail->Subject = '{subject}';
        $mail->Body = 'hello';
        $mail->send();
        ''')))


# Name: the file, its text with TLS from the first octet, and with STARTTLS, and what sends with it.
PROGRAMS = {
    'msmtp': ('.msmtprc', 'tls_starttls off', 'tls_starttls on', msmtp, '''\
        defaults
        tls on
        tls_trust_file {ca}
        auth plain
        account default
        host localhost
        port {port}
        {encryption}
        from {user}
        user {user}
        password {password}
        '''),
    'git': ('.gitconfig', 'smtpEncryption = ssl', 'smtpEncryption = tls', git, '''\
        [sendemail]
        \tsmtpServer = localhost
        \tsmtpServerPort = {port}
        \t{encryption}
        \tsmtpUser = {user}
        \tsmtpPass = {password}
        \tsmtpSSLCertPath = {ca}
        '''),
    'django': ('settings.py', 'EMAIL_USE_SSL = True', 'EMAIL_USE_TLS = True', django, '''\
        EMAIL_HOST = 'localhost'
        EMAIL_PORT = {port}
        {encryption}
        EMAIL_HOST_USER = '{user}'
        EMAIL_HOST_PASSWORD = '{password}'
        '''),
    'nodemailer': ('.env', 'SMTP_SECURE=true', 'SMTP_SECURE=false', nodemailer, '''\
        SMTP_HOST=localhost
        SMTP_PORT={port}
        {encryption}
        SMTP_USER={user}
        SMTP_PASS={password}
        '''),
    'wordpress': ('wp-config.php', "define( 'SMTP_SECURE', 'ssl' );", "define( 'SMTP_SECURE', 'tls' );", wordpress, '''\
        <?php
        define( 'SMTP_HOST', 'localhost' );
        define( 'SMTP_PORT', {port} );
        {encryption}
        define( 'SMTP_AUTH', true );
        define( 'SMTP_USER', '{user}' );
        define( 'SMTP_PASS', '{password}' );
        '''),
}


def asked(binary, path, ca):
    p = subprocess.run([binary, 'check', '--local', '--ask', '--json', '-4', '--timeout', '15', '--ca-file', ca, path], capture_output=True,
                       text=True, timeout=120)
    assert PASSWORD not in p.stdout and p.stderr == ''
    servers = json.loads(p.stdout)['configurations'][0]['servers']
    assert len(servers) == 1
    return p.returncode, servers[0]


def changed(path, changes):
    """The lines written as they are said."""
    with open(path) as f:
        lines = f.read().split('\n')
    new = []
    for i, line in enumerate(lines, 1):
        if not any(not c['add'] and c['line'] <= i <= c['last'] for c in changes):
            new.append(line)
        new += [c['text'] for c in changes if c['line'] == i]
    with open(path, 'w') as f:
        f.write('\n'.join(new))


# A Postern serves TLS from the first octet on the ports of STARTTLS, too, so the mistake that fails there is the other one.
@pytest.mark.parametrize('name', PROGRAMS)
def test_what_is_said_mends_it(posted, binary, tmp_path, name):
    file, _, starttls, send, text = PROGRAMS[name]
    home = Home(tmp_path, posted.ca)
    path = home.file(file, textwrap.dedent(text).format(port=posted.port['submissions'], encryption=starttls, user=USER, password=PASSWORD,
                                                        ca=posted.ca))
    p = send(home, f'{name} before')
    assert p.returncode != 0, p.stdout

    status, server = asked(binary, path, posted.ca)
    assert (status, server['asked']['result']) == (1, 'other-encryption')
    changed(path, server['changes'])

    p = send(home, f'{name} after')
    assert p.returncode == 0, p.stdout
    assert b'with ESMTPSA' in posted.wait_message('bob@example.org', f'Subject: {name} after\n'.encode())
    status, server = asked(binary, path, posted.ca)
    assert (status, server['asked']['result'], server['changes']) == (0, 'works', [])


@pytest.mark.parametrize('name', PROGRAMS)
def test_what_is_right_is_left_alone(posted, binary, tmp_path, name):
    file, implicit, starttls, _, text = PROGRAMS[name]
    for listener, encryption in (('submissions', implicit), ('submission', starttls), ('fallback', starttls)):
        path = Home(tmp_path, posted.ca).file(file, textwrap.dedent(text).format(port=posted.port[listener], encryption=encryption, user=USER,
                                                                               password=PASSWORD, ca=posted.ca))
        status, server = asked(binary, path, posted.ca)
        assert (status, server['asked']['result']) == (0, 'works'), server
