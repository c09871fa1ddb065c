"""The default addresses: every port answers over IPv6 and over IPv4, each by itself."""
import socket

import pytest
from raw import PASSWORD, Raw

PORTS = ('relay', 'submissions', 'submission', 'fallback')


def has_ipv6():
    try:
        with socket.socket(socket.AF_INET6) as s:
            s.bind(('::1', 0))
        return True
    except OSError:
        return False


@pytest.fixture(scope='module')
def both(make_server):
    if not has_ipv6():
        pytest.skip('no IPv6 on this machine')
    # The server's own defaults; the offset was free on IPv4, and is as good as always on IPv6.
    with make_server({'listeners': {name: {'addresses': ['::', '0.0.0.0']} for name in PORTS}}) as s:
        s.cli('domain', 'add', 'example.org')
        for name in ('ann', 'bob'):
            s.account(f'{name}@example.org', PASSWORD)
        yield s



@pytest.mark.parametrize('port', PORTS)
@pytest.mark.parametrize('host, trace', [('::1', b'([IPv6:::1])'), ('127.0.0.1', b'([127.0.0.1])')])
def test_a_message(both, port, host, trace):
    subject = f'{port} from {host}'
    with Raw(both.port[port], tls=port == 'submissions', greeting=220, host=host) as c:
        if port in ('submission', 'fallback'):
            c.starttls()
        if port == 'relay':
            c.ehlo()
        else:
            c.login('ann@example.org', PASSWORD)
        c.message('ann@example.org', 'bob@example.org', f'Subject: {subject}\n\nx', '250 2.0.0')
    assert trace in both.wait_message('bob@example.org', f'Subject: {subject}\n'.encode())
    assert f'listener={port} ip={host} ' in both.wait_log(f'listener={port} ip={host} ')
