"""Debian's Postfix, started from a folder: nothing on the system changes.

The package is unpacked below build/debian.  Configuration, queue, data and log lie in a
folder that is gone afterwards; master runs in the foreground and is ended by its pid.
Postfix wants a user and a group of its own for its queue: no user is made for it, it gets
two that every Debian has and that nothing here runs as.
"""
import glob
import grp
import os
import pwd
import re
import shutil
import subprocess
import threading
import time

from bench import machine
from debian import Unavailable, unpacked

OWNER, SET_GROUP, MAILBOXES = 'news', 'uucp', 'nobody'
READ_S = 0.005  # between two looks at what smtp-sink says
# Every service of Debian's master.cf that is needed, outside of chroot.
SERVICES = '''
127.0.0.1:{port} inet n - n - - smtpd
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
showq unix n - n - - showq
error unix - - n - - error
retry unix - - n - - error
virtual unix - n n - - virtual
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
tlsproxy unix - - n - 0 tlsproxy
postlog unix-dgram n - n - 1 postlogd
'''


def programs():
    """Where Postfix was unpacked, and an environment in which it finds its libraries."""
    root = unpacked('postfix')
    triplets = glob.glob(os.path.join(root, 'usr/lib/*-linux-gnu*'))  # libraries that the system has not
    env = dict(os.environ, LD_LIBRARY_PATH=':'.join([os.path.join(root, 'usr/lib/postfix'), *triplets]), LANG='C')
    try:
        done = subprocess.run(['ldd', os.path.join(root, 'usr/lib/postfix/sbin/smtpd')], env=env, capture_output=True, text=True)
    except FileNotFoundError:
        return root, env
    missing = [line.split()[0] for line in done.stdout.splitlines() if 'not found' in line]
    if missing:
        raise Unavailable("Postfix's libraries are missing: " + ' '.join(missing))
    return root, env


class Sink:
    """smtp-sink: answers as a server does and keeps nothing.  What loader and loopback can do at all."""

    def __init__(self, count=False):
        """count: messages and when they came, see wait()."""
        root, self.env = programs()
        self.program = os.path.join(root, 'usr/sbin/smtp-sink')
        self.count = ['-c'] if count else []
        self.messages, self.at = 0, 0
        self.arrived = threading.Condition()

    def __enter__(self):
        self.start()
        if self.count:
            threading.Thread(target=self.read, daemon=True).start()
        machine.wait_port(self.port)
        return self

    def start(self):
        self.port = machine.free_port()
        user = ['-u', MAILBOXES] if os.getuid() == 0 else []
        self.process = subprocess.Popen([self.program, *self.count, *user, f'127.0.0.1:{self.port}', '1000'], env=self.env,
                                        start_new_session=True, stdout=subprocess.PIPE if self.count else None)

    def read(self):
        while said := self.process.stdout.read1(65536):
            time.sleep(READ_S)  # it says something of every message, and reading that is not what is measured
            found = re.findall(rb'mesg=(\d+)', said)
            if found:
                with self.arrived:
                    self.messages, self.at = int(found[-1]), time.time()
                    self.arrived.notify_all()

    def wait(self, n, timeout=120):
        """When the nth message came, in seconds since 1970."""
        with self.arrived:
            if not self.arrived.wait_for(lambda: self.messages >= n, timeout):
                raise RuntimeError(f'{self.messages} of {n} messages arrived within {timeout} s')
            return self.at

    def __exit__(self, *_):
        machine.stop(self.process)


class TlsSink(Sink):
    """bench/tls_sink.c, which does the same with STARTTLS."""

    def __init__(self, folder):
        self.program = os.path.join(folder, 'bench-tls-sink')
        self.count = True
        self.messages, self.at = 0, 0
        self.arrived = threading.Condition()

    def start(self):
        self.process = subprocess.Popen([self.program], start_new_session=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.port = int(self.process.stdout.readline().removeprefix(b'port='))


def source(port, sessions, messages, size, per_connection, sender, to):
    """Messages a second of Postfix's own loader."""
    root, env = programs()
    keep = ['-d'] if per_connection > 1 else []
    begin = time.monotonic()
    subprocess.run([os.path.join(root, 'usr/sbin/smtp-source'), *keep, '-s', str(sessions), '-m', str(messages), '-l', str(size),
                    '-f', sender, '-t', to, f'127.0.0.1:{port}'], env=env, check=True, timeout=300, capture_output=True)
    return messages / (time.monotonic() - begin)


class Postfix:
    def __init__(self, certificate=None, mailboxes=(), processes=100, held='', relay_to=0, relay_tls=False):
        """mailboxes: addresses with a Maildir; held: a domain whose mail is taken and stays in the hold queue;
        relay_to: a port of loopback where mail for everywhere else goes; relay_tls: by STARTTLS only."""
        if os.getuid() != 0:
            raise Unavailable('only root can start Postfix')
        try:
            self.owner, self.box = pwd.getpwnam(OWNER), pwd.getpwnam(MAILBOXES)
            self.set_group = grp.getgrnam(SET_GROUP).gr_gid
        except KeyError as e:
            raise Unavailable(f'Postfix needs users that are missing here: {e}')
        self.root, self.env = programs()
        self.certificate, self.mailboxes, self.processes, self.held = certificate, list(mailboxes), processes, held
        self.relay_to, self.relay_tls = relay_to, relay_tls

    def path(self, *parts):
        return os.path.join(self.folder, *parts)

    def main_cf(self):
        lib = os.path.join(self.root, 'usr/lib/postfix')
        out = {
            'compatibility_level': '3.6',
            'queue_directory': self.path('queue'), 'data_directory': self.path('data'),
            'daemon_directory': os.path.join(lib, 'sbin'), 'command_directory': os.path.join(self.root, 'usr/sbin'),
            'shlib_directory': lib, 'meta_directory': self.path('etc'),
            'mail_owner': OWNER, 'setgid_group': SET_GROUP, 'default_privs': MAILBOXES,
            'import_environment': f'MAIL_CONFIG TZ LANG=C LD_LIBRARY_PATH={self.env["LD_LIBRARY_PATH"]}',
            'maillog_file': self.path('log'), 'maillog_file_prefixes': self.folder,
            'myhostname': 'mx.example.org', 'mydestination': '', 'inet_interfaces': '127.0.0.1', 'inet_protocols': 'ipv4',
            'mynetworks': '127.0.0.0/8', 'smtpd_relay_restrictions': 'permit_mynetworks, reject',
            'alias_maps': '', 'alias_database': '', 'local_recipient_maps': '',
            'message_size_limit': '104857600', 'mailbox_size_limit': '0', 'virtual_mailbox_limit': '0',
            # As for many clients behind one address, and no slower for want of processes.
            'default_process_limit': str(self.processes), 'smtpd_client_connection_count_limit': '0',
            'smtpd_recipient_limit': '1000', 'in_flow_delay': '0', 'smtpd_peername_lookup': 'no',
            'virtual_mailbox_domains': 'example.org', 'virtual_mailbox_base': self.path('mail'),
            'virtual_mailbox_maps': 'hash:' + self.path('etc/boxes'),
            'virtual_uid_maps': f'static:{self.box.pw_uid}', 'virtual_gid_maps': f'static:{self.box.pw_gid}',
        }
        if self.relay_to:
            out.update(relayhost=f'[127.0.0.1]:{self.relay_to}', disable_dns_lookups='yes',
                       smtp_tls_security_level='encrypt' if self.relay_tls else 'none', smtp_tls_connection_reuse='yes',
                       default_destination_concurrency_limit='50', smtp_destination_concurrency_limit='50')
        if self.held:
            out['smtpd_recipient_restrictions'] = 'check_recipient_access inline:{{ ' + self.held + ' = HOLD }}, permit'
        if self.certificate:
            out.update(smtpd_tls_security_level='may', smtpd_tls_cert_file=self.certificate[0],
                       smtpd_tls_key_file=self.certificate[1], smtpd_tls_session_cache_database='')
        return out

    def lay_out(self):
        for name in ('etc', 'mail', 'data', 'queue'):
            os.mkdir(self.path(name), 0o755)
        for name in ('active', 'bounce', 'corrupt', 'defer', 'deferred', 'flush', 'hold', 'incoming', 'private', 'saved', 'trace'):
            os.mkdir(self.path('queue', name), 0o700)
            os.chown(self.path('queue', name), self.owner.pw_uid, -1)
        for name, mode in (('public', 0o2710), ('maildrop', 0o1730)):
            os.mkdir(self.path('queue', name))
            os.chown(self.path('queue', name), self.owner.pw_uid, self.set_group)
            os.chmod(self.path('queue', name), mode)
        os.mkdir(self.path('queue/pid'), 0o755)
        os.chown(self.path('data'), self.owner.pw_uid, -1)
        os.chmod(self.path('data'), 0o700)
        os.chown(self.path('mail'), self.box.pw_uid, self.box.pw_gid)
        with open(self.path('etc/main.cf'), 'w') as f:
            f.writelines(f'{key} = {value}\n' for key, value in self.main_cf().items())
        with open(self.path('etc/master.cf'), 'w') as f:
            f.write(SERVICES.format(port=self.port))
        with open(self.path('etc/boxes'), 'w') as f:
            for address in self.mailboxes:
                local, domain = address.rsplit('@', 1)
                f.write(f'{address} {domain}/{local}/\n')
        subprocess.run([os.path.join(self.root, 'usr/sbin/postmap'), '-c', self.path('etc'), 'hash:' + self.path('etc/boxes')],
                       env=self.env, check=True)

    def __enter__(self):
        self.folder = machine.folder()
        self.port = machine.free_port()
        self.process = None
        try:
            self.lay_out()
            with open(self.path('master.log'), 'wb') as out:
                self.process = subprocess.Popen(
                    [os.path.join(self.root, 'usr/lib/postfix/sbin/master'), '-c', self.path('etc'), '-d'],
                    env=self.env, stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True)
            machine.wait_port(self.port)
        except BaseException as e:
            said = self.log()
            self.close()
            if isinstance(e, Unavailable):
                raise Unavailable(f'Postfix did not start: {said[-2000:]}')
            raise
        return self

    def log(self):
        out = ''
        for name in ('master.log', 'log'):
            if os.path.exists(self.path(name)):
                with open(self.path(name), errors='replace') as f:
                    out += f.read()
        return out

    def close(self):
        try:
            if self.process:
                machine.stop(self.process)
        finally:
            shutil.rmtree(self.folder, ignore_errors=True)

    def __exit__(self, *_):
        self.close()

    @property
    def pid(self):
        return self.process.pid

    def mailbox(self, address):
        local, domain = address.rsplit('@', 1)
        return self.path('mail', domain, local)
