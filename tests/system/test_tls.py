"""TLS as a client meets it: versions, resumption over all processes, certificates by name."""
import base64
import socket
import ssl
import subprocess

import pytest
from raw import PASSWORD, TIMEOUT, Raw

V12, V13 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3


def context(newest=V13):
    c = ssl.create_default_context()
    c.check_hostname, c.verify_mode, c.maximum_version = False, ssl.CERT_NONE, newest
    return c


def connect(port, with_context, session=None, name=None):
    s = socket.create_connection(('127.0.0.1', port), timeout=TIMEOUT)
    return with_context.wrap_socket(s, session=session, server_hostname=name)


def make_certificate(folder, name, names, *kind):
    """An RSA or EC certificate with its key; returns the two files."""
    cert, key = str(folder / f'{name}.pem'), str(folder / f'{name}.key')
    subprocess.run(['openssl', 'req', '-x509', '-nodes', '-newkey', *kind, '-keyout', key, '-out', cert, '-days', '30',
                    '-subj', f'/CN={name}', '-addext', 'subjectAltName=' + ','.join(f'DNS:{n}' for n in names)],
                   check=True, capture_output=True)
    return cert, key


@pytest.fixture(scope='module')
def old_devices(make_server):
    listeners = {name: {'tls_min': '1.0'} for name in ('submission', 'submissions')}
    with make_server({'smtp_processes': 1, 'listeners': listeners}) as s:
        s.cli('domain', 'add', 'example.org')
        for name in ('ann', 'bob'):
            s.account(f'{name}@example.org', PASSWORD)
        yield s


def negotiated(server, listener, version):
    smtp = next(r for r in server.json('status')['roles'] if r['role'] == 'smtp')
    return next(item for item in smtp['listeners'] if item['name'] == listener)['tls'].get(version, 0)


def subject(connection):
    der = connection.getpeercert(binary_form=True)
    out = subprocess.run(['openssl', 'x509', '-inform', 'DER', '-noout', '-subject', '-nameopt', 'multiline'], input=der,
                         capture_output=True, check=True).stdout.decode()
    return out.split('commonName')[1].split('=')[1].strip()


@pytest.mark.parametrize('version', [V12, V13])
def test_sessions_resume_in_every_process(make_server, version):
    """Each connection may land in another process: their ticket keys come from one secret."""
    with make_server({'smtp_processes': 3}) as s:
        c = context(version)
        session = None
        resumed = []
        for _ in range(12):
            with connect(s.port['submissions'], c, session) as t:
                t.recv(1000)  # the greeting, and with it the tickets of 1.3
                resumed.append(t.session_reused)
                session = t.session
        assert resumed == [False] + 11 * [True]
        log = s.log_text()
        used = {word for line in log.splitlines() if 'event=tls ' in line for word in line.split() if word.startswith('role=')}
        assert len(used) > 1, 'all connections landed in one process: the test showed nothing'


@pytest.mark.filterwarnings('ignore::DeprecationWarning')
def test_old_versions(make_server):
    """1.1 only where the listener says so."""
    with make_server({'listeners': {'fallback': {'tls': 'implicit', 'tls_min': '1.0'}}}) as s:
        old = context(ssl.TLSVersion.TLSv1_1)
        old.minimum_version = ssl.TLSVersion.TLSv1
        old.set_ciphers('ALL:@SECLEVEL=0')
        with pytest.raises((ssl.SSLError, ConnectionResetError)):
            connect(s.port['submissions'], old)
        with connect(s.port['fallback'], old) as t:
            assert t.version() == 'TLSv1.1'
        s.wait_log('event=tls-failed')


@pytest.mark.parametrize('version', ['tls1', 'tls1_1', 'tls1_2', 'tls1_3'])
@pytest.mark.parametrize('port', ['submission', 'submissions'])
def test_a_device_submits(old_devices, version, port):
    """From login to mailbox, with openssl as the old printer; and the status says what was spoken."""
    label = {'tls1': 'TLSv1', 'tls1_1': 'TLSv1.1', 'tls1_2': 'TLSv1.2', 'tls1_3': 'TLSv1.3'}[version]
    before = negotiated(old_devices, port, label)
    login = base64.b64encode(f'\0ann@example.org\0{PASSWORD}'.encode()).decode()
    start = ['-starttls', 'smtp'] if port == 'submission' else []
    p = subprocess.Popen(['openssl', 's_client', '-quiet', '-crlf', '-connect', f'127.0.0.1:{old_devices.port[port]}',
                          '-' + version, '-cipher', 'ALL:@SECLEVEL=0', *start],
                         stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    said = ['EHLO printer.test', f'AUTH PLAIN {login}', 'MAIL FROM:<ann@example.org>', 'rCPT TO:<bob@example.org>', 'DATA',
            f'Subject: scan by {version} {port}\n\nx\n.', 'qUIT']
    out, _ = p.communicate('\n'.join(said) + '\n', timeout=2 * TIMEOUT)
    assert '\n235 ' in out and '\n250 2.0.0 queued as' in out
    m = old_devices.wait_message('bob@example.org', f'Subject: scan by {version} {port}\n'.encode())
    assert f'(TLS {label} '.encode() in m and b'with ESMTPSA' in m
    assert negotiated(old_devices, port, label) == before + 1
    row = next(line for line in old_devices.cli('status').stdout.split('\nTLS ')[1].splitlines() if line.startswith(port + ' '))
    assert int(row.split()[1 + ['TLSv1.3', 'TLSv1.2', 'TLSv1.1', 'TLSv1'].index(label)]) == before + 1
    assert f'version={label} ' in old_devices.log_text()


def test_certificates_by_name(make_server, tmp_path_factory):
    folder = tmp_path_factory.mktemp('tls')
    folder.chmod(0o755)
    pairs = [make_certificate(folder, 'mx.example.org', ['mx.example.org'], 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256'),
             make_certificate(folder, 'mx-rsa', ['mx.example.org'], 'rsa:2048'),
             make_certificate(folder, 'wild', ['*.example.net'], 'rsa:2048')]
    with make_server({'tls': {'certificates': [{'cert': cert, 'key': key} for cert, key in pairs]}}) as s:
        for name, expect in (('mx.example.org', 'mx.example.org'), ('mail.example.net', 'wild'), ('a.b.example.net', 'mx.example.org'),
                             (None, 'mx.example.org')):
            with connect(s.port['submissions'], context(), name=name) as t:
                assert subject(t) == expect
        # The same behind STARTTLS, for submission and for other servers.
        for port in ('relay', 'submission', 'fallback'):
            for name, expect in (('mail.example.net', 'wild'), ('mx.example.org', 'mx.example.org')):
                with Raw(s.port[port], greeting=220) as c:
                    c.ehlo()
                    c.say('STARTTLS', 220)
                    with context().wrap_socket(c.sock, server_hostname=name) as t:
                        assert subject(t) == expect
        s.wait_log('sni=mail.example.net')
        # Who knows no ECDSA gets the RSA one of the same name.
        rsa = context(V12)
        rsa.set_ciphers('aRSA')
        with connect(s.port['submissions'], rsa, name='mx.example.org') as t:
            assert subject(t) == 'mx-rsa'
        # Renewed: the next connection sees it, one under way goes on.
        with connect(s.port['submissions'], context(), name='mail.example.net') as before:
            before.recv(1000)
            make_certificate(folder, 'wild', ['*.example.net', 'new.example'], 'rsa:2048')
            s.cli('reload')
            with connect(s.port['submissions'], context(), name='new.example') as t:
                assert subject(t) == 'wild'
            before.sendall(b'NOOP\r\n')
            assert before.recv(1000).startswith(b'2')
