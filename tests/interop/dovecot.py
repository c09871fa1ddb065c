"""Debian's Dovecot, unpacked below build/debian and started from there, as doc/dovecot.md has it.

    with Dovecot(server) as d:
        d.imap().login('ann@example.org', 'secret')

Nothing on the system changes: in a mount namespace of its own the package's files lie
over /usr, and users, groups and /etc/dovecot over /etc.  The configuration is taken from
the page; only paths and ports are others.
"""
import contextlib
import imaplib
import os
import poplib
import re
import shutil
import signal
import ssl
import subprocess
import time

import pytest

import debian
from server import free_offset

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PAGE = os.path.join(TOP, 'doc/dovecot.md')
PACKAGES = ['dovecot-core', 'dovecot-imapd', 'dovecot-pop3d', 'dovecot-lmtpd']
GROUP = 'mail'  # of Dovecot's processes; a group that every Debian has
PASSWD = ('dovecot:x:8:8::/nonexistent:/usr/sbin/nologin\n'
          'dovenull:x:5:60::/nonexistent:/usr/sbin/nologin\n'
          'vmail:x:65534:65534::/nonexistent:/usr/sbin/nologin\n')
GROUPS = 'dovecot:x:8:\ndovenull:x:60:\nvmail:x:65534:\n'
PORTS = {'imap': 143, 'imaps': 993, 'pop3': 110, 'pop3s': 995}


def unpacked():
    """The folder that holds the package's usr/; the test is skipped where it cannot be had."""
    try:
        return debian.unpacked(*PACKAGES)
    except debian.Unavailable as e:
        pytest.skip(str(e))


def page_block(name):
    """The block of the page whose first line is '# NAME'."""
    with open(PAGE) as f:
        found = re.findall(r'^```\w*\n# ' + re.escape(name) + r'\n(.*?)^```$', f.read(), re.M | re.S)
    assert len(found) == 1, f'{PAGE} has {len(found)} blocks {name}'
    return found[0]


def server_config(*more):
    """What the page says for postern.conf, as the server reads it; users and folders are those of the tests."""
    out = {}
    for name in ('postern.conf', *more):
        block = None
        for line in page_block(name).splitlines():
            key, _, value = re.sub(r'\s+#.*', '', line).partition(': ' if line.startswith(' ') else ':')
            if line.startswith(' '):
                block[key.strip()] = {'yes': True, 'no': False}.get(value, value)
            elif key:
                block = out.setdefault(key, {})
    assert out['mailboxes'] == {'dir': '/var/vmail', 'user': 'vmail', 'group': 'vmail'}
    del out['mailboxes']
    assert out['dovecot'] == {'enabled': True, 'group': 'dovecot'}
    out['dovecot']['group'] = GROUP
    return out


class Dovecot:
    def __init__(self, server, *more, extra=''):
        """more: further blocks of the page, appended to dovecot.conf; extra: further lines."""
        if os.getuid() != 0:
            pytest.skip('Dovecot is started as root only')
        self.server = server
        self.root = unpacked()
        self.folder = os.path.join(server.folder, 'dovecot')
        self.etc = os.path.join(self.folder, 'etc')
        self.log_file = os.path.join(self.folder, 'log')
        self.offset = free_offset(PORTS.values())
        self.port = {name: port + self.offset for name, port in PORTS.items()}
        self.process = None
        os.makedirs(os.path.join(self.etc, 'dovecot'), exist_ok=True)
        os.makedirs(os.path.join(self.folder, 'run'), exist_ok=True)
        os.makedirs(os.path.join(self.folder, 'state'), exist_ok=True)
        for path in (self.folder, self.etc, os.path.join(self.etc, 'dovecot')):
            os.chmod(path, 0o755)
        # Where users other than root may run it.
        self.binary = os.path.join(self.folder, 'postern')
        shutil.copy(server.binary, self.binary)
        os.chmod(self.binary, 0o755)
        self.write_etc(more, extra)

    def write(self, name, text):
        with open(os.path.join(self.etc, name), 'w') as f:
            f.write(text)

    def write_etc(self, more, extra):
        for name, lines in (('passwd', PASSWD), ('group', GROUPS)):
            with open('/etc/' + name) as f:
                self.write(name, f.read() + lines)
        subprocess.run(['openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes',
                        '-keyout', f'{self.folder}/key.pem', '-out', f'{self.folder}/cert.pem', '-days', '2',
                        '-subj', '/CN=mx.example.org'], check=True, capture_output=True)
        text = '\n'.join(page_block(name) for name in ('dovecot.conf', *more))
        self.write('dovecot/dovecot.conf', self.moved(text) + self.test_lines() + extra)
        self.write('dovecot/postern-users.conf', self.moved(page_block('postern-users.conf')))

    def moved(self, text):
        """The page's lines with the paths of this test."""
        for a, b in {'/run/postern/': self.server.config['runtime_dir'] + '/', '/usr/sbin/postern': self.binary,
                     '/var/vmail': self.server.mail_dir, '/etc/ssl/mail.pem': f'{self.folder}/cert.pem',
                     '/etc/ssl/private/mail.key': f'{self.folder}/key.pem',
                     '/run/dovecot/': f'{self.folder}/run/', 'user = postern-smtp': 'user = vmail'}.items():
            text = text.replace(a, b)
        return text

    def test_lines(self):
        lines = [f'base_dir = {self.folder}/run', f'state_dir = {self.folder}/state', f'log_path = {self.log_file}',
                 'listen = 127.0.0.1', 'auth_failure_delay = 0',
                 # Nor does it slow down an address that guesses; Postern's counting is what is looked at.
                 'service anvil {\n  unix_listener anvil-auth-penalty {\n    mode = 0\n  }\n}',
                 'default_vsz_limit = 0']  # AddressSanitizer maps terabytes
        for service, names in (('imap-login', ('imap', 'imaps')), ('pop3-login', ('pop3', 'pop3s'))):
            lines.append(f'service {service} {{')
            lines += [f'  inet_listener {n} {{\n    port = {self.port[n]}\n  }}' for n in names]
            lines.append('}')
        return '\n' + '\n'.join(lines) + '\n'

    # ---- life ----

    def start(self, timeout=60):
        lower = f'mount -t overlay overlay -o lowerdir={self.root}/usr:/usr /usr && ' \
                f'mount -t overlay overlay -o lowerdir={self.etc}:/etc /etc && exec dovecot -F'
        out = os.path.join(self.folder, 'out')
        with open(out, 'wb') as f:
            self.process = subprocess.Popen(['unshare', '-m', 'sh', '-c', lower], stdin=subprocess.DEVNULL, stdout=f,
                                            stderr=f, start_new_session=True, env={'PATH': '/usr/sbin:/usr/bin:/sbin:/bin'})
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                with open(out) as f:
                    said = f.read()
                if 'unshare:' in said or 'mount:' in said:
                    pytest.skip('no mount namespace here: ' + said.strip())
                raise RuntimeError('Dovecot did not start: ' + said + self.log_text())
            if 'starting up' in self.log_text() and os.path.exists(os.path.join(self.folder, 'run/auth-userdb')):
                return self
            time.sleep(0.02)
        self.stop()
        raise RuntimeError('Dovecot did not start: ' + self.log_text())

    def stop(self):
        p, self.process = self.process, None
        if p is None:
            return
        if p.poll() is None:
            p.send_signal(signal.SIGTERM)
        try:
            p.wait(60)
        except subprocess.TimeoutExpired:
            os.killpg(p.pid, signal.SIGKILL)
            p.wait()
            raise RuntimeError('Dovecot did not end on SIGTERM: ' + self.log_text()[-2000:])
        os.rename(self.log_file, self.log_file + '.before')  # so that start() waits for a new line

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()

    def log_text(self):
        try:
            with open(self.log_file, errors='replace') as f:
                return f.read()
        except FileNotFoundError:
            return ''

    def doveadm(self, *args, check=True):
        p = subprocess.run(['nsenter', '-t', str(self.process.pid), '-m', 'doveadm', *args], capture_output=True, text=True,
                           timeout=120)
        assert not check or p.returncode == 0, p.stdout + p.stderr
        return p

    # ---- clients ----

    @staticmethod
    def context():
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return context

    def imap(self, tls=True):
        if tls:
            return imaplib.IMAP4_SSL('127.0.0.1', self.port['imaps'], ssl_context=self.context(), timeout=60)
        return imaplib.IMAP4('127.0.0.1', self.port['imap'], timeout=60)

    def pop3(self):
        return poplib.POP3_SSL('127.0.0.1', self.port['pop3s'], context=self.context(), timeout=60)

    def login(self, user, password):
        """What Dovecot says to an IMAP login: 'OK', or the refusal."""
        c = self.imap()
        try:
            c.login(user, password)
            return 'OK'
        except imaplib.IMAP4.error as e:
            return str(e)
        finally:
            with contextlib.suppress(Exception):
                c.logout()

    @contextlib.contextmanager
    def reading(self, user, password, folder='INBOX'):
        c = self.imap()
        try:
            c.login(user, password)
            assert c.select(folder)[0] == 'OK'
            yield c
        finally:
            with contextlib.suppress(Exception):
                c.logout()

    def messages_imap(self, user, password, folder='INBOX'):
        """All messages of a folder, as the client gets them."""
        with self.reading(user, password, folder) as c:
            numbers = c.search(None, 'ALL')[1][0].split()
            return [c.fetch(n, '(BODY.PEEK[])')[1][0][1] for n in numbers]

    def messages_pop3(self, user, password):
        c = self.pop3()
        try:
            c.user(user)
            c.pass_(password)
            out = []
            for i in range(1, len(c.list()[1]) + 1):
                lines = c.retr(i)[1]
                out.append(b''.join(line + b'\r\n' for line in lines))
            return out
        finally:
            with contextlib.suppress(Exception):
                c.quit()
