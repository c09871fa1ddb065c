"""What testssl.sh finds on 465 and behind STARTTLS: nothing above low.

The certificate is a test CA's, as an administrator would have one.  The short form tests
protocols, server defaults and the known attacks; POSTERN_FULL adds each cipher and the simulated clients.
"""
import json
import os
import subprocess

import pytest

HOST = 'mx.example.org'
SHORT = ['--protocols', '--server-defaults', '--vulnerable']
# A missing CAA record or transparency log is the zone's and the CA's matter; WARN is testssl's word
# for what it could not try.
BAD = ('MEDIUM', 'HIGH', 'CRITICAL', 'FATAL')


@pytest.fixture(scope='module')
def certified(make_server, tmp_path_factory):
    """A server with a certificate of a CA made for it; yields (server, the CA's file)."""
    folder = tmp_path_factory.mktemp('ca')

    def openssl(*args):
        subprocess.run(['openssl', *args], check=True, cwd=folder, capture_output=True)

    key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes']
    openssl('req', '-x509', *key, '-keyout', 'ca.key', '-out', 'ca.pem', '-days', '30', '-subj', '/CN=Test CA',
            '-addext', 'keyUsage=critical,keyCertSign,cRLSign')
    openssl('req', *key, '-keyout', 'mx.key', '-out', 'mx.csr', '-subj', f'/CN={HOST}')
    (folder / 'ext').write_text(f'subjectAltName=DNS:{HOST}\nbasicConstraints=CA:FALSE\nkeyUsage=digitalSignature\n'
                                'extendedKeyUsage=serverAuth\ncrlDistributionPoints=URI:http://ca.example.org/crl\n')
    openssl('x509', '-req', '-in', 'mx.csr', '-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial', '-days', '80',
            '-out', 'mx.pem', '-extfile', 'ext')
    pair = {'cert': str(folder / 'mx.pem'), 'key': str(folder / 'mx.key')}
    with make_server({'tls': {'certificates': [pair]}}) as s:
        yield s, str(folder / 'ca.pem')


@pytest.mark.parametrize('listener, how', [('submissions', []), ('submission', ['--starttls', 'smtp']),
                                           ('relay', ['--starttls', 'smtp'])])
def test_nothing_above_low(certified, tmp_path, listener, how):
    server, ca = certified
    full = 'POSTERN_FULL' in os.environ
    if listener == 'relay' and not full:
        pytest.skip('the same TLS as submission; only with POSTERN_FULL')
    report = tmp_path / 'report.json'
    p = subprocess.run(['testssl', '--quiet', '--warnings', 'off', '--color', '0', '--nodns', 'min', '--ip', '127.0.0.1',
                        '--add-ca', ca, '--jsonfile', str(report), *([] if full else SHORT), *how,
                        f'{HOST}:{server.port[listener]}'],
                       stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=1500)
    found = json.loads(report.read_text())
    ids = {r['id'] for r in found}
    assert {'TLS1_3', 'heartbleed', 'cert_chain_of_trust'} <= ids, p.stdout[-3000:] + p.stderr
    bad = [f"{r['id']}: {r['severity']}: {r['finding']}" for r in found if r['severity'] in BAD]
    assert not bad, '\n'.join(bad)
