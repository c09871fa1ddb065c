"""postern check, against a Postern with its self-signed certificate, and against what is no mail server."""
import json
import socket
import subprocess
import threading

import pytest


def check(binary, *args):
    p = subprocess.run([binary, 'check', *args], capture_output=True, text=True, timeout=300)
    return p.returncode, p.stdout, p.stderr


def looked(binary, *args, patience='30'):
    status, out, err = check(binary, '--json', '--timeout', patience, *args)
    assert err == ''
    return status, json.loads(out)


@pytest.fixture
def speaker():
    """speaker(octets): a port where these are said to whoever connects, and then nothing."""
    made = []

    def speak(octets, close=True):
        s = socket.create_server(('127.0.0.1', 0))
        made.append(s)

        def serve():
            while True:
                try:
                    c, _ = s.accept()
                except OSError:
                    return
                with c:
                    c.settimeout(60)
                    try:
                        c.sendall(octets)
                        if not close:
                            while c.recv(4096):
                                pass
                    except OSError:
                        pass
        threading.Thread(target=serve, daemon=True).start()
        return s.getsockname()[1]
    yield speak
    for s in made:
        s.shutdown(socket.SHUT_RDWR)
        s.close()


def by_port(found):
    return {p['port']: p for p in found['hosts'][0]['ports']}


def codes(found, port):
    return {f['code'] for f in found['findings'] if f['port'] == port}


def test_a_postern(server, binary):
    ports = server.port
    status, found = looked(binary, '-p', ','.join(str(p) for p in ports.values()), '127.0.0.1')
    seen = by_port(found)
    assert status == 1  # its certificate is its own
    assert found['verdict']['answer'] == 'use-pinned'
    assert found['verdict']['use']['port'] in (ports['submissions'], ports['submission'], ports['fallback'])
    assert seen[ports['submissions']]['encryption'] == 'SSL/TLS'
    assert seen[ports['submission']]['encryption'] == 'STARTTLS'
    assert seen[ports['submission']]['ehlo']['auth'] == []
    assert 'PLAIN' in seen[ports['submission']]['ehlo_tls']['auth']
    assert seen[ports['submission']]['mail']['code'] == 530
    assert seen[ports['relay']]['ehlo_tls']['auth'] == []
    assert seen[ports['submission']]['tls']['old_versions'] == {'SSLv3': 'refused', 'TLSv1.0': 'refused', 'TLSv1.1': 'refused'}
    for port in ports.values():
        assert 'certificate-self-signed' in codes(found, port)
        assert 'auth-in-clear' not in codes(found, port)


def test_a_certificate_that_is_trusted_and_of_another_name(server, binary):
    cert = f'{server.folder}/state/tls/self-signed-mx.example.org.pem'
    _, found = looked(binary, '-p', str(server.port['submission']), '--ca-file', cert, '127.0.0.1')
    assert 'certificate-name' in codes(found, server.port['submission'])
    assert by_port(found)[server.port['submission']]['tls']['result'] == 'certificate-host-mismatch'


def test_no_relay_for_strangers(server, binary):
    port = server.port['relay']
    _, found = looked(binary, '-p', str(port), '--relay-test', '--no-old-tls', '127.0.0.1')
    assert 'no-open-relay' in codes(found, port)
    assert len(by_port(found)[port]['relay_test']) == 8


@pytest.mark.parametrize('octets, code, speaks', [
    (b'* OK IMAP4rev1 ready\r\n', 'not-smtp', 'IMAP'),
    (b'+OK ready\r\n', 'not-smtp', 'POP3'),
    (b'SSH-2.0-OpenSSH_9.2\r\n', 'not-smtp', 'SSH'),
    (b'554 5.7.1 blocked\r\n', 'greeting-refused', 'SMTP'),
    (b'421 4.3.2 try later\r\n', 'greeting-deferred', 'SMTP'),
    (b'', 'closed-after-connect', 'SMTP'),
    (b'220 mx ESMTP\r\n250-mx\r\n250 AUTH PLAIN\r\n530 no\r\n', 'auth-in-clear', 'SMTP'),
    (b'220 mx ESMTP\r\n250-mx\r\n250 XXXXXXXA\r\n530 no\r\n', 'starttls-masked', 'SMTP'),
])
def test_what_answers(speaker, binary, octets, code, speaks):
    port = speaker(octets, close=octets[:3] != b'220')
    status, found = looked(binary, '-p', str(port), '127.0.0.1', patience='5')  # some of them stop answering
    assert status == 1
    assert code in codes(found, port), found['findings']
    assert by_port(found)[port]['speaks'] == speaks
    assert found['verdict']['answer'] == 'nothing'


def test_nobody_listens(binary):
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        port = s.getsockname()[1]
        status, found = looked(binary, '-p', str(port), '127.0.0.1')
    assert status == 1
    assert by_port(found)[port]['state'] == 'refused'


def test_expectations(server, binary):
    port = server.port['submission']
    status, out, _ = check(binary, '-e', f'{port}:starttls,auth,tls>=1.2,no-clear-auth,no-relay,size>=1M', '127.0.0.1')
    assert status == 0 and 'all as expected' in out
    status, out, _ = check(binary, '-e', f'{port}:starttls,cert', '127.0.0.1')
    assert status == 1 and f'not met  {port} at 127.0.0.1: cert: ' in out


@pytest.mark.parametrize('args, words', [
    ([], 'which host?'),
    (['-p', '99999', 'x.test'], '99999: not understood'),
    (['-e', '587:nonsense', 'x.test'], 'a condition is none of'),
    (['-4', '-6', 'x.test'], 'exclude each other'),
    (['x.test:smtp'], 'stands no port'),
])
def test_wrong_usage(binary, args, words):
    status, out, err = check(binary, *args)
    assert status == 2 and out == '' and words in err


def test_a_name_that_is_none(binary):
    status, found = looked(binary, '--dns', '127.0.0.1:1', 'no-such-host.invalid')
    assert status == 1
    assert found['hosts'][0]['lookup']
    assert found['findings'][0]['code'] == 'no-address'


@pytest.mark.parametrize('before, after', [
    ('smtp://', ''), ('SMTPS://me@', '/'), ('submission://me%40example.org@', '?x'), ('', ''),
])
def test_a_host_as_programs_write_it(server, binary, before, after):
    """A URL of another program's settings is its host and port."""
    port = server.port['submission']
    _, found = looked(binary, '--no-old-tls', f'{before}127.0.0.1:{port}{after}')
    assert list(by_port(found)) == [port]
    assert by_port(found)[port]['encryption'] == 'STARTTLS'
