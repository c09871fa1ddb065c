"""postern config: what an administrator types, and what scripts rely on."""
import json
import os
import subprocess

import pytest


@pytest.fixture
def config(binary, tmp_path):
    """A function that runs `postern config ...` on a text; returns the finished process."""
    def run(what, text, *args):
        file = tmp_path / 'postern.conf'
        file.write_text(text)
        return subprocess.run([binary, 'config', what, '-c', str(file), *args], text=True, capture_output=True, timeout=120)
    return run


GOOD = 'hostname: mx.example.org\npostmaster: a@example.org\n'


def test_a_good_file(config):
    p = config('check', GOOD)
    assert p.returncode == 0
    assert 'ok' in p.stdout
    for listener, port in ('relay', 25), ('submissions', 465), ('submission', 587), ('fallback', 2525):
        assert any(line.split()[:2] == [listener, str(port)] for line in p.stdout.splitlines()), p.stdout


def test_all_errors_come_at_once_with_their_lines(config):
    p = config('check', GOOD + 'listeners:\n  relay: {prot: 26}\n  submission:\n    auth: no\nlog: {level: loud}\n')
    assert p.returncode == 1
    lines = [line.split('postern.conf:', 1)[1] for line in p.stderr.splitlines() if ': error: ' in line]
    assert [line.split(':')[0] for line in lines] == ['4', '6', '7']
    assert "did you mean 'port'" in lines[0] and 'relay for strangers' in lines[1] and 'allowed: error, warning' in lines[2]
    assert p.stdout == ''


def test_what_would_have_no_effect_or_not_start_is_warned_of(config):
    p = config('check', GOOD + 'delivery: {lmtp: "127.0.0.1:24"}\nmailboxes: {quota: 2}\n'
                               'dovecot: {enabled: yes, group: no-such-group}\n')
    assert p.returncode == 0
    assert 'postern.conf:3: warning: delivery.lmtp: has no effect while delivery.by is maildir; set by: lmtp\n' in p.stderr
    assert 'postern.conf:4: warning: mailboxes.quota: 2 octets hold hardly a message' in p.stderr
    assert os.getuid() != 0 or "dovecot.group: no group 'no-such-group' on this machine" in p.stderr
    assert 'mailboxes in ' in p.stdout
    p = config('check', GOOD + 'delivery: {by: lmtp, lmtp: "127.0.0.1:24"}\n')
    assert 'has no effect' not in p.stderr
    assert 'mail to accounts by LMTP to 127.0.0.1:24' in p.stdout and 'mailboxes in ' not in p.stdout


def test_the_examples_of_the_manual_are_good(config):
    with open(os.path.join(os.path.dirname(__file__), '../../doc/man/postern.conf.5')) as f:
        examples = f.read().split('.Ss Example\n', 1)[1].split('.Ss ', 1)[0]
    texts = [e.split('\n.Ed', 1)[0] for e in examples.split('.Bd -literal -offset indent\n')[1:]]
    assert len(texts) == 2
    for text in texts:
        p = config('show', text + '\n')
        assert p.returncode == 0, p.stderr


def test_findings_for_programs(config):
    p = config('check', 'hostnme: x\n', '--json')
    j = json.loads(p.stdout)
    assert p.returncode == 1 and j['ok'] is False
    assert {'kind': 'error', 'line': 1, 'text': "hostnme: no such directive; did you mean 'hostname'?"} in j['findings']


def test_show_is_what_differs_and_all_is_a_file(config):
    assert config('show', GOOD).stdout == GOOD
    whole = config('show', GOOD, '--all').stdout
    assert config('show', whole).stdout == GOOD
    as_json = config('show', GOOD, '--all', '--json').stdout
    assert json.loads(as_json)['listeners']['submissions']['port'] == 465
    assert config('show', as_json).stdout == GOOD


def test_certificates_are_looked_at(config, tmp_path):
    subprocess.run(['openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '300',
                    '-subj', '/CN=mx.example.org', '-addext', 'subjectAltName=DNS:mx.example.org',
                    '-keyout', tmp_path / 'a.key', '-out', tmp_path / 'a.pem'], check=True, capture_output=True)
    subprocess.run(['openssl', 'ecparam', '-genkey', '-name', 'prime256v1', '-out', tmp_path / 'b.key'], check=True, capture_output=True)
    tls = GOOD + 'tls:\n  certificates:\n    - {cert: %s, key: %s}\n'
    assert config('check', tls % (tmp_path / 'a.pem', tmp_path / 'a.key')).returncode == 0
    other = config('check', tls % (tmp_path / 'a.pem', tmp_path / 'b.key'))
    assert other.returncode == 1 and 'postern.conf:5: error: tls.certificates' in other.stderr
    missing = config('check', tls % (tmp_path / 'none.pem', tmp_path / 'a.key'))
    assert missing.returncode == 1 and 'No such file' in missing.stderr


def test_a_file_that_is_missing(binary, tmp_path):
    p = subprocess.run([binary, 'config', 'check', '-c', str(tmp_path / 'none')], text=True, capture_output=True)
    assert p.returncode == 78 and 'No such file' in p.stderr
    # Nobody named one: an empty one means the same.
    env = dict(os.environ, XDG_CONFIG_HOME=str(tmp_path))
    assert subprocess.run([binary, 'config', 'show'], text=True, capture_output=True, env=env).returncode == 0


def test_standard_input(binary):
    """More than a pipe holds at once."""
    text = GOOD + '# a comment\n' * 50000
    p = subprocess.run([binary, 'config', 'show', '-c', '-'], input=text, text=True, capture_output=True, timeout=120)
    assert p.stdout == GOOD


def test_a_bad_reload_changes_nothing(server):
    with open(server.config_file) as f:
        good = f.read()
    try:
        with open(server.config_file, 'w') as f:
            f.write('hostnme: x\n')
        p = server.cli('reload', check=False)
        assert p.returncode == 1 and "did you mean 'hostname'" in p.stdout + p.stderr
    finally:
        with open(server.config_file, 'w') as f:
            f.write(good)
    assert server.cli('reload').returncode == 0
