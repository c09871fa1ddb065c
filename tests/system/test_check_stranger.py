"""postern check as somebody meets it who does not know it: odd arguments, and what is said of each."""
import http.server
import json
import subprocess
import threading

import pytest


@pytest.fixture(scope='module')
def web():
    with http.server.ThreadingHTTPServer(('127.0.0.1', 0), http.server.SimpleHTTPRequestHandler) as s:
        s.RequestHandlerClass.log_message = lambda *_: None
        threading.Thread(target=s.serve_forever, daemon=True).start()
        yield s.server_address[1]
        s.shutdown()


def check(binary, *args):
    p = subprocess.run([binary, 'check', '--timeout', '2', *args], capture_output=True, text=True, timeout=120)
    assert all(len(line) <= 79 for line in p.stdout.splitlines()), p.stdout
    return p.returncode, ' '.join(p.stdout.split()), p.stderr


# What is wrong usage, and the words that say why.
WRONG = [
    ('127.0.0.1:99999', "'127.0.0.1:99999': behind the colon stands no port (1 to 65535)"),
    ('127.0.0.1:0', 'stands no port'),
    ('mail.example.org:', 'stands no port'),
    ('mail.example.org:smtp', 'stands no port'),
    ('', "'': neither a host nor an address"),
    ('exa mple.org', "'exa mple.org': neither a host nor an address"),
    ('https://', 'neither a host nor an address'),
]


@pytest.mark.parametrize('text, words', WRONG)
def test_wrong_usage(binary, text, words):
    status, out, err = check(binary, text)
    assert (status, out) == (2, '') and words in err.splitlines()[0]


# Ways to write a host, and which host and ports are looked at.
WAYS = [
    ('127.0.0.1', '127.0.0.1', [25, 465, 587, 2525]),
    ('::1', '::1', [25, 465, 587, 2525]),
    ('[::1]', '::1', [25, 465, 587, 2525]),
    ('[::1]:587', '::1', [587]),
    ('smtp://user@127.0.0.1:587', '127.0.0.1', [587]),
    ('smtps://[::1]/', '::1', [25, 465, 587, 2525]),
    ('https://127.0.0.1/mail?x=1', '127.0.0.1', [25, 465, 587, 2525]),
    ('https://127.0.0.1:8443/mail', '127.0.0.1', [25, 465, 587, 2525]),  # which is the web's
    ('imaps://ann@127.0.0.1:993', '127.0.0.1', [25, 465, 587, 2525]),
]


@pytest.mark.parametrize('text, host, ports', WAYS)
def test_ways_to_write_a_host(binary, text, host, ports):
    p = subprocess.run([binary, 'check', '--json', '--timeout', '2', text], capture_output=True, text=True, timeout=120)
    found = json.loads(p.stdout)  # as jq takes it
    assert [h['host'] for h in found['hosts']] == [host] and [x['port'] for x in found['hosts'][0]['ports']] == ports


def test_a_name_that_is_none(binary):
    for args in (['nowhere.invalid'], ['ann@nowhere.invalid'], ['--mx', 'nowhere.invalid']):
        status, out, err = check(binary, *args)
        assert (status, err) == (1, '') and 'nowhere.invalid: ' in out, out
        # nothing that is about a server that was reached
        assert 'Compare the host' not in out and 'firewall' not in out, out


def test_no_server_to_look_at(binary):
    """It ends with a sentence, not with nothing."""
    assert 'There is no server to look at.' in check(binary, 'ann@nowhere.invalid')[1]
    assert 'There is no server to look at.' in check(binary, '--mx', 'nowhere.invalid')[1]


@pytest.mark.parametrize('text', ['127.0.0.1', '::1', '[::1]', '127.0.0.1:25'])
def test_mx_of_an_address(binary, text):
    status, out, err = check(binary, '--mx', text)
    assert (status, out) == (2, '') and '--mx looks at the mail servers of a domain' in err


def test_a_web_server(binary, web):
    status, out, _ = check(binary, f'127.0.0.1:{web}')
    assert status == 1 and 'what answers here is HTTP, not SMTP' in out and 'it is no mail submission port' in out


def test_several(binary, web):
    status, out, _ = check(binary, f'127.0.0.1:{web}', '127.0.0.2:465', 'nowhere.invalid')
    assert status == 1 and 'HTTP' in out and '127.0.0.2 465 refused' in out and 'nowhere.invalid: no such name' in out
