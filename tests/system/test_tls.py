"""TLS as a client meets it: versions, resumption over all processes, certificates by name."""
import socket
import ssl
import subprocess

import pytest

V12, V13 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3


def context(newest=V13):
    c = ssl.create_default_context()
    c.check_hostname, c.verify_mode, c.maximum_version = False, ssl.CERT_NONE, newest
    return c


def connect(port, with_context, session=None, name=None):
    s = socket.create_connection(('127.0.0.1', port), timeout=10)
    return with_context.wrap_socket(s, session=session, server_hostname=name)


def make_certificate(folder, name, names, *kind):
    """An RSA or EC certificate with its key; returns the two files."""
    cert, key = str(folder / f'{name}.pem'), str(folder / f'{name}.key')
    subprocess.run(['openssl', 'req', '-x509', '-nodes', '-newkey', *kind, '-keyout', key, '-out', cert, '-days', '30',
                    '-subj', f'/CN={name}', '-addext', 'subjectAltName=' + ','.join(f'DNS:{n}' for n in names)],
                   check=True, capture_output=True)
    return cert, key


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
