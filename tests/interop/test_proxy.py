"""Real proxies in front of the server: who the client is, and what a wrong setting looks like."""
import os
import re
import smtplib
import ssl
import time

import pytest

from proxies import Haproxy, Nginx, page_block

PASSWORD = 'correct horse battery'
CLIENT = '127.0.0.77'  # the proxy itself is 127.0.0.1
TLS_FIRST = '127.0.0.78'  # one that never began in clear: for others the greeting is not held
SUBJECT = iter(range(1000))


@pytest.fixture(scope='module')
def behind(make_server):
    assert re.findall(r'^  (\w+):\n    proxy_from: \[10.0.0.1\]$', page_block('postern.conf'), re.M) == ['relay', 'submissions', 'submission']
    listeners = {name: {'proxy_from': ['127.0.0.1']} for name in ('relay', 'submissions', 'submission')}
    # The proxy's own address may send anywhere; its clients may not for that.
    listeners['relay']['relay_from'] = ['127.0.0.1']
    listeners['submission']['greeting_hold'] = '10s'  # a busy machine's client begins late
    with make_server({'listeners': listeners, 'log': {'level': 'debug'}}) as s:
        s.cli('domain', 'add', 'example.org')
        s.account('ann@example.org', PASSWORD)
        yield s


PROXIES = {
    'haproxy, version 2': lambda s: Haproxy(s),
    'haproxy, version 1': lambda s: Haproxy(s, lambda text: text.replace('send-proxy-v2', 'send-proxy')),
    'haproxy, version 2 with more': lambda s: Haproxy(s, lambda text: text.replace(
        'send-proxy-v2', 'send-proxy-v2-ssl-cn proxy-v2-options crc32c,unique-id')),
    'nginx': lambda s: Nginx(s),
}


def any_certificate():
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def message(to='ann@example.org'):
    subject = f'proxied-{next(SUBJECT)}'
    return subject, f'From: ann@example.org\nTo: {to}\nSubject: {subject}\n\nhello\n'


@pytest.mark.parametrize('kind', PROXIES)
def test_the_client_is_who_he_is(behind, kind):
    mark = os.path.getsize(behind.log_file)
    from_there = {'source_address': (CLIENT, 0), 'timeout': 30}
    with PROXIES[kind](behind) as proxy:
        sent = []
        with smtplib.SMTP('127.0.0.1', proxy.port['relay'], **from_there) as c:
            c.ehlo('client.test')
            c.starttls(context=any_certificate())
            with pytest.raises(smtplib.SMTPRecipientsRefused, match='relay denied'):
                c.sendmail('a@example.com', 'x@example.net', 'Subject: no\n\nno\n')
            subject, text = message()
            c.sendmail('a@example.com', 'ann@example.org', text)
            sent.append(subject)
        with smtplib.SMTP_SSL('127.0.0.1', proxy.port['submissions'], context=any_certificate(), **from_there) as c:
            c.login('ann@example.org', PASSWORD)
            subject, text = message()
            c.sendmail('ann@example.org', 'ann@example.org', text)
            sent.append(subject)
        with smtplib.SMTP('127.0.0.1', proxy.port['submission'], **from_there) as c:
            c.starttls(context=any_certificate())
            c.login('ann@example.org', PASSWORD)
            subject, text = message()
            c.sendmail('ann@example.org', 'ann@example.org', text)
            sent.append(subject)
        # TLS first on 587 is served through the proxy too.
        with smtplib.SMTP_SSL('127.0.0.1', proxy.port['submission'], context=any_certificate(), source_address=(TLS_FIRST, 0),
                              timeout=30) as c:
            c.login('ann@example.org', PASSWORD)
    for subject in sent:
        assert f'[{CLIENT}]'.encode() in behind.wait_message('ann@example.org', subject.encode())
    deadline = time.monotonic() + 60
    while True:  # a message may be in the mailbox before the line is in the log
        log = behind.log_text(mark)
        accepted = [line for line in log.splitlines() if 'event=accepted' in line]
        if len(accepted) >= 3:
            break
        assert time.monotonic() < deadline, log
        time.sleep(0.05)
    assert len(accepted) == 3 and all(f'ip={CLIENT} ' in line and line.endswith('via=127.0.0.1') for line in accepted)
    assert 'kind=proxy-' not in log


def test_a_proxy_without_header_is_told(behind):
    mark = os.path.getsize(behind.log_file)
    with Haproxy(behind, lambda text: text.replace(' send-proxy-v2', '')) as proxy:
        with pytest.raises(smtplib.SMTPConnectError, match='4.3.5 the proxy must begin with a PROXY header'):
            smtplib.SMTP('127.0.0.1', proxy.port['relay'], timeout=30)
        # HTTP, TLS or SMTP at once: nobody guesses who he is.
        with pytest.raises((ssl.SSLError, OSError)):
            smtplib.SMTP_SSL('127.0.0.1', proxy.port['submissions'], context=any_certificate(), timeout=30)
    line = behind.wait_log('event=proxy-header-missing', begin=mark)
    assert 'proxy_from=127.0.0.1/32' in line and 'send-proxy-v2' in line
    behind.wait_log('kind=proxy-missing', begin=mark)


def test_a_header_that_nobody_expects_is_explained(server):
    mark = os.path.getsize(server.log_file)
    with Haproxy(server) as proxy:
        c = smtplib.SMTP(timeout=30)
        try:
            code, text = c.connect('127.0.0.1', proxy.port['relay'])
            if code == 220:
                code, text = c.docmd('NOOP')
        except smtplib.SMTPServerDisconnected:
            pytest.fail('closed without a word')
        assert code == 421 and b'add that address to listeners.relay.proxy_from' in text
    assert 'listeners.relay.proxy_from' in server.wait_log('event=proxy-header-unexpected', begin=mark)
    deadline = time.monotonic() + 60
    while not any(r['kind'] == 'proxy-unexpected' and 'proxy_from' in r['advice'] for r in server.json('status', '--clients')):
        assert time.monotonic() < deadline, server.json('status', '--clients')
        time.sleep(0.1)
