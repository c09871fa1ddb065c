"""Postfix and Exim, as Debian has them, with what `postern check --config` prints for them: mail submitted there
goes by a Postern as smart host, logged in and verified.  And the same where somebody made the usual mistakes, and then wrote
the lines into the file that `postern check --local` says."""
import json
import os
import subprocess

import pytest

from daemons import Exim, Postfix

USER = 'carl@ours.test'
PASSWORD = 'correct:horse^battery'  # with what these programs' files could trip over


def printed(binary, program, use):
    p = subprocess.run([binary, 'check', '--json', '--config', program, '--use', use, '--user', USER],
                       capture_output=True, text=True, timeout=120, check=True)
    return {part['where']: part['text'] for part in json.loads(p.stdout)['parts']}


class SmartPostfix(Postfix):
    def configure(self):
        super().configure()
        main = self.parts['/etc/postfix/main.cf'].replace('/etc/ssl/certs/ca-certificates.crt', '/etc/authority.pem')
        self.write('authority.pem', self.authority)
        path = os.path.join(self.etc, 'postfix/main.cf')
        with open(path) as f:
            kept = [line for line in f if not line.startswith('smtp_tls_security_level')]
        self.write('postfix/main.cf', ''.join(kept) + main)
        self.write('postfix/sasl_passwd', self.parts['/etc/postfix/sasl_passwd'].replace('YOUR-PASSWORD', PASSWORD))
        os.chmod(os.path.join(self.etc, 'postfix/sasl_passwd'), 0o600)


class SmartExim(Exim):
    def configure(self):
        super().configure()
        self.write('authority.pem', self.authority)
        self.write('exim4/smarthost.password', self.parts['/etc/exim4/smarthost.password'].replace('YOUR-PASSWORD', PASSWORD))
        path = os.path.join(self.etc, 'exim4/smarthost.password')
        os.chown(path, 0, 9003)
        os.chmod(path, 0o640)
        with open(os.path.join(self.etc, 'exim4/exim4.conf')) as f:
            text = f.read().replace('domainlist ours = ', f'domainlist local_domains = {self.domain}\ndomainlist ours = ')
        transports = self.parts['exim4.conf, in begin transports'].replace('= system', '= /etc/authority.pem')
        text = text.replace('begin routers\n', 'begin routers\n' + self.parts['exim4.conf, in begin routers'])
        text = text.replace('begin transports\n', 'begin transports\n' + transports)
        text += 'begin authenticators\n' + self.parts['exim4.conf, in begin authenticators']
        self.write('exim4/exim4.conf', text)


def mend(binary, path, mistakes, codes):
    """The mistakes made in that file, and the lines written that are said."""
    with open(path) as f:
        text = f.read()
    for right, wrong in mistakes:
        assert right in text
        text = text.replace(right, wrong)
    with open(path, 'w') as f:
        f.write(text)
    p = subprocess.run([binary, 'check', '--local', '--json', path], capture_output=True, text=True, timeout=120)
    server = next(s for s in json.loads(p.stdout)['configurations'][0]['servers'] if s['host'] == 'mx.ours.test')
    assert codes <= {f['code'] for f in server['findings']}, server
    lines = []
    for i, line in enumerate(text.split('\n'), 1):
        if not any(not c['add'] and c['line'] <= i <= c['last'] for c in server['changes']):
            lines.append(line)
        lines += [c['text'].replace('/etc/ssl/certs/ca-certificates.crt', '/etc/authority.pem') for c in server['changes'] if c['line'] == i]
    with open(path, 'w') as f:
        f.write('\n'.join(lines))
    p = subprocess.run([binary, 'check', '--local', path], capture_output=True, text=True, timeout=120)
    assert p.returncode == 0, p.stdout


class MendedPostfix(SmartPostfix):
    def configure(self):
        super().configure()
        wrapper = 'smtp_tls_wrappermode = '
        mistakes = {'465': [(wrapper + 'yes\n', ''), ('smtp_tls_security_level = secure', 'smtp_use_tls = yes')],
                    '587': [(wrapper + 'no', wrapper + 'yes'), ('smtp_tls_security_level = secure', 'smtp_tls_security_level =\n  encrypt'),
                            ('smtp_tls_CAfile = /etc/authority.pem\n', '')]}
        mend(self.binary, os.path.join(self.etc, 'postfix/main.cf'), mistakes[self.use[:3]],
             {'465': {'starttls-on-465', 'encryption-optional'}, '587': {'tls-on-587', 'certificate-unchecked'}}[self.use[:3]])


class MendedExim(SmartExim):
    def configure(self):
        super().configure()
        mistakes = {'465': [('  protocol = smtps\n', '')],
                    '587': [('  hosts_require_tls = *\n', '  protocol = smtps\n'), ('  tls_verify_hosts = *\n', '')]}
        mend(self.binary, os.path.join(self.etc, 'exim4/exim4.conf'), mistakes[self.use[:3]],
             {'465': {'starttls-on-465'}, '587': {'tls-on-587', 'certificate-unchecked'}}[self.use[:3]])


KINDS = {'postfix': SmartPostfix, 'exim': SmartExim, 'mended-postfix': MendedPostfix, 'mended-exim': MendedExim}
USES = ['465:tls', '587:starttls']


@pytest.fixture(scope='module')
def world(lab, binary):
    lab.senders = {}
    for i, (program, use) in enumerate((p, u) for p in KINDS for u in USES):
        domain = f'{program}{use[:3]}.test'
        host = lab.net.host(f's{i}', f'192.0.2.{31 + i}', f'2001:db8::{31 + i}')
        lab.zone(domain, [host])
        d = KINDS[program](host, domain, lab.certificate('mx.' + domain), nameserver='192.0.2.53')
        d.parts = printed(binary, program.removeprefix('mended-'), f'mx.ours.test:{use}')
        d.binary, d.use = binary, use
        with open(lab.ca) as f:
            d.authority = f.read()
        lab.senders[program, use] = d
    lab.start_dns()
    paths = [os.path.join(lab.folder, 'ours.' + what) for what in ('cert', 'key')]
    for path, text in zip(paths, lab.certificate('mx.ours.test')):
        with open(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600), 'w') as f:
            f.write(text)
    lab.start_server({'tls': {'certificates': [{'cert': paths[0], 'key': paths[1]}]}})
    lab.server.account(USER, PASSWORD)
    for d in lab.senders.values():
        lab.stack.enter_context(d)
    return lab


@pytest.mark.parametrize('use', USES)
@pytest.mark.parametrize('program', KINDS)
def test_sends_by_it(world, program, use):
    d = world.senders[program, use]
    d.submit(USER, ['bob@ours.test'], f'From: {USER}\nTo: bob@ours.test\nSubject: {program} {use}\n\nhello\n')
    try:
        got = world.server.wait_message('bob@ours.test', f'Subject: {program} {use}\n'.encode(), 120)
    except AssertionError:
        raise AssertionError(d.log_text()) from None
    assert b'with ESMTPSA' in got
