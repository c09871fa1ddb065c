"""Every client submits on every submission port, in the way that is right there, and
the message lies in the mailbox with the body that was sent."""
import pytest

from clients import CLIENTS
from words import BODY, body_of, subject_of

PORTS = {  # listener: how its port is spoken to
    'submissions': 'tls',
    'submission': 'starttls',
    'fallback': 'starttls',
}


@pytest.fixture(scope='module', params=PORTS)
def submitted(request, server, all_clients):
    return request.param, all_clients(server.port[request.param], PORTS[request.param], request.param)


@pytest.mark.parametrize('client', CLIENTS)
def test_submit(server, submitted, client):
    listener, shown = submitted
    assert shown[client].status == 0, shown[client].text
    subject = subject_of(listener, client)
    message = server.wait_message('bob@example.org', f'Subject: {subject}\n'.encode())
    assert body_of(message) == BODY
    head = message.decode().partition('\n\n')[0]
    assert 'Delivered-To: bob@example.org' in head
    assert 'with ESMTPSA' in head
