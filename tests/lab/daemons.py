"""Debian's mail servers, unpacked and started on a host of the lab, each as its own manual has it.

    with Postfix(host, 'postfix.test', cert) as d:
        d.submit('ann@postfix.test', ['bob@example.org'], message)   # it sends
        d.messages('bob')                                            # what it got

In a mount namespace of its own the package's files lie over /usr, and users, resolv.conf
and the configuration over /etc.  Mail for BOXES at its domain lands in Maildirs.
"""
import glob
import os
import pwd
import shutil
import signal
import smtplib
import socket
import subprocess
import tempfile
import time

import pytest

import debian

NOBODY = 'nobody'
BOXES = ['ann', 'bob', 'carol']


class Daemon:
    package = None
    users = ''  # lines of passwd
    groups = ''
    tmpfs = ()  # folders of the system that it wants to write into

    def __init__(self, host, domain, certificate=None, nameserver=None):
        """certificate: (PEM of the chain, PEM of an RSA key: OpenSMTPD 6.8 has trouble with others); nameserver: an address, else it finds nobody."""
        try:
            self.root = debian.unpacked(self.package)
        except debian.Unavailable as e:
            pytest.skip(str(e))
        self.host, self.domain, self.certificate, self.nameserver = host, domain, certificate, nameserver
        self.name = 'mx.' + domain
        self.folder = tempfile.mkdtemp(prefix='lab-')
        os.chmod(self.folder, 0o755)
        self.etc = self.path('etc')
        self.mail = self.path('mail')
        self.log_file = self.path('log')
        self.process = None
        for folder in (self.etc, self.mail):
            os.makedirs(folder, exist_ok=True)
        who = pwd.getpwnam(NOBODY)
        os.chown(self.mail, who.pw_uid, who.pw_gid)

    def path(self, *parts):
        return os.path.join(self.folder, *parts)

    def write(self, name, text):
        os.makedirs(os.path.dirname(os.path.join(self.etc, name)), exist_ok=True)
        with open(os.path.join(self.etc, name), 'w') as f:
            f.write(text)

    def configure(self):
        raise NotImplementedError

    def command(self):
        raise NotImplementedError

    def setup_commands(self):
        return []

    def start(self, timeout=60):
        for name, lines in (('passwd', self.users), ('group', self.groups)):
            with open('/etc/' + name) as f:
                self.write(name, f.read() + lines)
        self.write('resolv.conf', f'nameserver {self.nameserver or "127.0.0.9"}\noptions timeout:1 attempts:1\n')
        self.write('hosts', f'127.0.0.1 localhost\n{self.host.address} {self.name}\n')
        self.write('nsswitch.conf', 'passwd: files\ngroup: files\nhosts: files dns\n')
        self.write('mailname', self.name + '\n')
        self.configure()
        steps = ['mount --make-rprivate /',
                 f'mount -t overlay overlay -o lowerdir={self.root}/usr:/usr /usr',
                 f'mount -t overlay overlay -o lowerdir={self.etc}:/etc /etc',
                 *(f'mount -t tmpfs tmpfs {t} -o mode=755' for t in self.tmpfs), *self.setup_commands(),
                 'exec ' + self.command()]
        with open(self.path('out'), 'wb') as f:
            self.process = self.host.popen(['unshare', '-m', 'sh', '-ec', '\n'.join(steps)], stdin=subprocess.DEVNULL,
                                           stdout=f, stderr=f, cwd='/',
                                           env={'PATH': '/usr/sbin:/usr/bin:/sbin:/bin', 'LANG': 'C'})
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise RuntimeError(f'{self.package} did not start: {self.log_text()}')
            if self.listens():
                return self
            time.sleep(0.05)
        self.stop()
        raise RuntimeError(f'{self.package} did not start: {self.log_text()}')

    def listens(self):
        with self.host.inside():
            try:
                with socket.create_connection((self.host.address, 25), 1) as s:
                    s.settimeout(5)
                    return s.recv(4).startswith(b'220')
            except OSError:
                return False

    def stop(self):
        p, self.process = self.process, None
        if p is not None:
            try:
                os.killpg(p.pid, signal.SIGTERM)
            except ProcessLookupError:
                pass
            self.host.stop(p)
            try:
                os.killpg(p.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass

    def __enter__(self):
        try:
            return self.start()
        except BaseException:
            self.__exit__()
            raise

    def __exit__(self, *_):
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def log_text(self):
        out = ''
        for name in ['out', *sorted(os.path.relpath(p, self.folder) for p in glob.glob(self.path('log')) + glob.glob(self.path('logs/*')))]:
            if os.path.isfile(self.path(name)):
                with open(self.path(name), errors='replace') as f:
                    out += f'--- {name}\n{f.read()}'
        return out

    # ---- mail ----

    def within(self, *args, input=None):
        """A program of its package, as its administrator would run it."""
        return subprocess.run(['nsenter', '-t', str(self.process.pid), '-m', '-n', *args], input=input,
                              capture_output=True, cwd='/', timeout=60, env={'PATH': '/usr/sbin:/usr/bin:/sbin:/bin', 'LANG': 'C'})

    def submit(self, sender, to, message):
        """It sends that on: by its sendmail."""
        data = message if isinstance(message, bytes) else message.encode()
        p = self.within('/usr/sbin/sendmail', '-i', '-f', sender, *to, input=data)
        assert p.returncode == 0, (p.stdout + p.stderr).decode() + self.log_text()

    def messages(self, user):
        out = []
        for path in sorted(glob.glob(os.path.join(self.mail, user, 'new', '*')), key=os.path.getmtime):
            with open(path, 'rb') as f:
                out.append(f.read())
        return out

    def wait_messages(self, user, n, timeout=60):
        deadline = time.monotonic() + timeout
        while len(self.messages(user)) < n:
            assert time.monotonic() < deadline, f'{user} has {len(self.messages(user))} of {n} messages\n{self.log_text()}'
            time.sleep(0.1)
        return self.messages(user)


class Postfix(Daemon):
    package = 'postfix'
    users = 'postfix:x:9001:9001::/nonexistent:/usr/sbin/nologin\n'
    groups = 'postfix:x:9001:\npostdrop:x:9002:\n'

    def configure(self):
        who = pwd.getpwnam(NOBODY)
        queue = self.path('queue')
        main = {
            'compatibility_level': '3.6', 'queue_directory': queue, 'data_directory': self.path('data'),
            'maillog_file': self.path('log'), 'maillog_file_prefixes': self.folder,
            'myhostname': self.name, 'mydestination': '', 'inet_interfaces': 'all', 'mynetworks': '127.0.0.0/8',
            'alias_maps': '', 'alias_database': '', 'local_recipient_maps': '', 'smtpd_peername_lookup': 'no',
            'smtpd_relay_restrictions': 'reject_unauth_destination',
            'virtual_mailbox_domains': self.domain, 'virtual_mailbox_base': self.mail,
            'virtual_mailbox_maps': 'inline:{' + ', '.join(f'{b}@{self.domain}={b}/' for b in BOXES) + '}',
            'virtual_uid_maps': f'static:{who.pw_uid}', 'virtual_gid_maps': f'static:{who.pw_gid}',
            'virtual_minimum_uid': '1', 'minimal_backoff_time': '5s', 'queue_run_delay': '5s', 'smtp_host_lookup': 'dns, native',
            'smtp_tls_security_level': 'may',
        }
        if self.certificate:
            main.update(smtpd_tls_security_level='may', smtpd_tls_cert_file=self.path('etc/cert.pem'),
                        smtpd_tls_key_file=self.path('etc/key.pem'))
            self.keep_certificate()
        self.write('postfix/main.cf', ''.join(f'{k} = {v}\n' for k, v in main.items()))
        rows = ['smtp inet n - n - - smtpd', 'pickup unix n - n 60 1 pickup', 'cleanup unix n - n - 0 cleanup',
                'qmgr unix n - n 5 1 qmgr', 'tlsmgr unix - - n 1000? 1 tlsmgr', 'rewrite unix - - n - - trivial-rewrite',
                'bounce unix - - n - 0 bounce', 'defer unix - - n - 0 bounce', 'trace unix - - n - 0 bounce',
                'verify unix - - n - 1 verify', 'flush unix n - n 1000? 0 flush', 'proxymap unix - - n - - proxymap',
                'smtp unix - - n - - smtp', 'relay unix - - n - - smtp', 'showq unix n - n - - showq', 'error unix - - n - - error',
                'retry unix - - n - - error', 'virtual unix - n n - - virtual', 'anvil unix - - n - 1 anvil',
                'scache unix - - n - 1 scache', 'postlog unix-dgram n - n - 1 postlogd']
        self.write('postfix/master.cf', '\n'.join(rows) + '\n')
        for name in ('', 'active', 'bounce', 'corrupt', 'defer', 'deferred', 'flush', 'hold', 'incoming', 'private', 'saved', 'trace'):
            os.makedirs(os.path.join(queue, name), exist_ok=True)
            if name:
                os.chmod(os.path.join(queue, name), 0o700)
                os.chown(os.path.join(queue, name), 9001, -1)
        for name, mode in (('public', 0o2710), ('maildrop', 0o1730), ('pid', 0o755)):
            os.makedirs(os.path.join(queue, name), exist_ok=True)
            if name != 'pid':
                os.chown(os.path.join(queue, name), 9001, 9002)
            os.chmod(os.path.join(queue, name), mode)
        os.makedirs(self.path('data'), exist_ok=True)
        os.chown(self.path('data'), 9001, -1)

    def keep_certificate(self):
        for text, name in zip(self.certificate, ('cert.pem', 'key.pem')):
            self.write(name, text)

    def command(self):
        return '/usr/lib/postfix/sbin/master -d'


class Exim(Daemon):
    package = 'exim4-daemon-light'
    users = 'Debian-exim:x:9003:9003::/nonexistent:/usr/sbin/nologin\n'
    groups = 'Debian-exim:x:9003:\n'

    def configure(self):
        for name in ('spool', 'logs'):
            os.makedirs(self.path(name), exist_ok=True)
            os.chown(self.path(name), 9003, 9003)
        tls = ''
        if self.certificate:
            for text, name in zip(self.certificate, ('cert.pem', 'key.pem')):
                self.write(name, text)
                os.chown(os.path.join(self.etc, name), 9003, -1)
            tls = 'tls_advertise_hosts = *\ntls_certificate = /etc/cert.pem\ntls_privatekey = /etc/key.pem\n'
        self.write('exim4/exim4.conf', f'''primary_hostname = {self.name}
domainlist ours = {self.domain}
spool_directory = {self.path('spool')}
log_file_path = {self.path('logs')}/%s
keep_environment =
acl_smtp_rcpt = rcpt
{tls or 'tls_advertise_hosts ='}
never_users =
smtp_accept_max = 200
remote_max_parallel = 4
host_lookup =
begin acl
rcpt:
  accept domains = +ours
         verify = recipient
  accept hosts = :
  deny message = relay not permitted
begin routers
here:
  driver = accept
  domains = +ours
  local_parts = {':'.join(BOXES)}
  transport = box
out:
  driver = dnslookup
  domains = ! +ours
  transport = remote
  ignore_target_hosts = 127.0.0.0/8
  no_more
begin transports
box:
  driver = appendfile
  directory = {self.mail}/$local_part_data
  maildir_format
  create_directory
  user = nobody
  group = nogroup
remote:
  driver = smtp
begin retry
* * F,1h,5s
''')

    def command(self):
        return '/usr/sbin/exim4 -bdf -q5s'


class OpenSmtpd(Daemon):
    package = 'opensmtpd'
    users = ('opensmtpd:x:9004:9004::/var/lib/opensmtpd/empty:/usr/sbin/nologin\n'
             'opensmtpq:x:9005:9005::/var/lib/opensmtpd/empty:/usr/sbin/nologin\n')
    groups = 'opensmtpd:x:9004:\nopensmtpq:x:9005:\n'
    tmpfs = ('/var/spool', '/var/lib', '/run')

    def setup_commands(self):
        return ['mkdir -p /var/spool/smtpd /var/lib/opensmtpd/empty', 'chmod 711 /var/spool/smtpd /var/lib/opensmtpd/empty']

    def configure(self):
        pki = listen_tls = ''
        if self.certificate:
            for text, name in zip(self.certificate, ('cert.pem', 'key.pem')):
                self.write(name, text)
                os.chmod(os.path.join(self.etc, name), 0o600)
            pki = f'pki {self.name} cert "/etc/cert.pem"\npki {self.name} key "/etc/key.pem"\n'
            listen_tls = f' tls pki {self.name}'
        self.write('smtpd.conf', f'''{pki}listen on lo port 25
listen on eth0 port 25 hostname {self.name}{listen_tls}
listen on socket
action "box" maildir "{self.mail}/%{{rcpt.user}}" virtual {{ {', '.join(f'"{b}" = nobody' for b in BOXES)} }}
action "out" relay
match from any for domain "{self.domain}" action "box"
match from local for any action "out"
''')

    def command(self):
        return '/usr/sbin/smtpd -d -v'

    def submit(self, sender, to, message):
        """Its sendmail wants to be installed; what comes by loopback is as good."""
        with self.host.inside(), smtplib.SMTP('127.0.0.1', 25, timeout=30) as s:
            s.sendmail(sender, to, message)
