"""The four servers as hosts that people submit mail to: 25, 465 and 587, and a certificate by the name that is asked for.

Each answers as mx.DOMAIN with a right certificate, as expired.DOMAIN and selfsigned.DOMAIN with such ones, and as any
other name with that of mx.DOMAIN.
"""
import os
import socket
import threading

from daemons import Exim, OpenSmtpd, Postfix

NAMES = ('expired', 'selfsigned')


class Submission:
    """certificates: by the first label, as Lab.certificate() gives them; mx is of the name itself."""

    def __init__(self, host, domain, certificates, nameserver=None):
        super().__init__(host, domain, certificates['mx'], nameserver)
        self.certificates = certificates

    def keep(self, *, owner=-1, joined=False):
        """Files NAME.pem and NAME.key, or both in one."""
        for name, (cert, key) in self.certificates.items():
            for file, text in ((name + '.pem', key + cert if joined else cert), (name + '.key', key)):
                self.write(file, text)
                path = os.path.join(self.etc, file)
                os.chmod(path, 0o600)
                os.chown(path, owner, -1)


class PostfixSubmission(Submission, Postfix):
    def configure(self):
        super().configure()
        self.keep(joined=True)
        sni = ', '.join('{%s.%s = /etc/%s.pem}' % (n, self.domain, n) for n in NAMES)
        with open(os.path.join(self.etc, 'postfix/main.cf'), 'a') as f:
            f.write('smtpd_sasl_type = dovecot\nsmtpd_sasl_path = private/auth\n'
                    f'tls_server_sni_maps = inline:{{{sni}}}\n')
        common = '-o smtpd_sasl_auth_enable=yes -o smtpd_relay_restrictions=permit_sasl_authenticated,reject'
        with open(os.path.join(self.etc, 'postfix/master.cf'), 'a') as f:
            f.write(f'465 inet n - n - - smtpd -o smtpd_tls_wrappermode=yes {common}\n'
                    f'587 inet n - n - - smtpd -o smtpd_tls_security_level=encrypt {common}\n')
        self.login = DovecotAuth(self.path('queue/private/auth'), 9001)

    def stop(self):
        super().stop()
        if hasattr(self, 'login'):
            self.login.close()


class DovecotAuth:
    """What Postfix asks of Dovecot before it offers AUTH: which mechanisms there are."""

    def __init__(self, path, owner):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.bind(path)
        os.chown(path, owner, -1)
        self.socket.listen()
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        kept = []
        while True:
            try:
                peer, _ = self.socket.accept()
            except OSError:
                return
            peer.sendall(b'VERSION\t1\t2\nMECH\tPLAIN\tplaintext\nMECH\tLOGIN\tplaintext\nSPID\t1\nCUID\t1\n'
                         b'COOKIE\t00112233445566778899aabbccddeeff\nDONE\n')
            kept.append(peer)

    def close(self):
        self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()


class EximSubmission(Submission, Exim):
    def configure(self):
        super().configure()
        self.keep(owner=9003)
        by_name = {what: '/etc/mx.' + what for what in ('pem', 'key')}
        for name in NAMES:
            for what in by_name:
                by_name[what] = '${if eq{$tls_in_sni}{%s.%s}{/etc/%s.%s}{%s}}' % (name, self.domain, name, what, by_name[what])
        path = os.path.join(self.etc, 'exim4/exim4.conf')
        with open(path) as f:
            text = f.read().replace('/etc/cert.pem', by_name['pem']).replace('/etc/key.pem', by_name['key'])
        login = 'server_advertise_condition = ${if def:tls_in_cipher}\n  server_condition = false\n'
        text = ('daemon_smtp_ports = 25 : 465 : 587\ntls_on_connect_ports = 465\n' + text + 'begin authenticators\n'
                f'plain:\n  driver = plaintext\n  public_name = PLAIN\n  {login}'
                f'login:\n  driver = plaintext\n  public_name = LOGIN\n  server_prompts = <| Username: | Password:\n  {login}')
        with open(path, 'w') as f:
            f.write(text)


class OpenSmtpdSubmission(Submission, OpenSmtpd):
    def configure(self):
        super().configure()
        self.keep()
        pki = ''.join(f'pki {n}.{self.domain} cert "/etc/{n}.pem"\npki {n}.{self.domain} key "/etc/{n}.key"\n' for n in NAMES)
        ports = (f'listen on eth0 port 465 hostname {self.name} smtps pki {self.name} auth\n'
                 f'listen on eth0 port 587 hostname {self.name} tls-require pki {self.name} auth\n')
        path = os.path.join(self.etc, 'smtpd.conf')
        with open(path) as f:
            text = f.read().replace('listen on socket\n', ports + 'listen on socket\n')
        with open(path, 'w') as f:
            f.write(pki + text)


KINDS = {'postfix': PostfixSubmission, 'exim': EximSubmission, 'opensmtpd': OpenSmtpdSubmission}
