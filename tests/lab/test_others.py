"""To and from the mail servers that others run: Postfix, Exim and OpenSMTPD, as Debian has them."""
import email

import pytest

from daemons import Exim, OpenSmtpd, Postfix

KINDS = {'postfix.test': Postfix, 'exim.test': Exim, 'opensmtpd.test': OpenSmtpd}


@pytest.fixture(scope='module')
def world(lab):
    peers = {}
    for i, (domain, kind) in enumerate(KINDS.items()):
        host = lab.net.host(kind.__name__.lower(), f'192.0.2.{11 + i}', f'2001:db8::{11 + i}')
        lab.zone(domain, [host])
        peers[domain] = kind(host, domain, lab.certificate('mx.' + domain), nameserver='192.0.2.53')
    lab.start_dns()
    lab.start_server({'relay': {'ca_file': lab.ca, 'mta_sts': False}})
    for peer in peers.values():
        lab.stack.enter_context(peer)
    lab.peers = peers
    return lab


def message(subject, to):
    return f'From: ann@ours.test\r\nTo: {to}\r\nSubject: {subject}\r\n\r\n.a line with a dot\r\nand one without\r\n'


@pytest.mark.parametrize('domain', KINDS)
def test_to_them(world, domain):
    world.submit('ann@ours.test', [f'bob@{domain}', f'carol@{domain}'], message('to them', f'bob@{domain}'))
    for who in ('bob', 'carol'):
        got = email.message_from_bytes(world.peers[domain].wait_messages(who, 1, 120)[0])
        assert got['Subject'] == 'to them'
        assert got.get_payload().splitlines() == ['.a line with a dot', 'and one without']
        assert 'mx.ours.test' in got['Received']


def test_encrypted_where_they_can(world):
    """OpenSMTPD 6.8 with OpenSSL 3 offers STARTTLS and cannot do it: that mail went in clear, noted."""
    for domain in ('postfix.test', 'exim.test'):
        got = email.message_from_bytes(world.peers[domain].wait_messages('bob', 1)[0])
        assert 'TLS' in got['Received'] or 'ESMTPS' in got['Received'] or 'esmtps' in got['Received'], got['Received']


@pytest.mark.parametrize('domain', KINDS)
def test_from_them(world, domain):
    world.peers[domain].submit(f'bob@{domain}', ['ann@ours.test'], f'From: bob@{domain}\nTo: ann@ours.test\nSubject: from {domain}\n\nhello\n')
    world.server.wait_message('ann@ours.test', f'Subject: from {domain}'.encode(), 120)


@pytest.mark.parametrize('domain', KINDS)
def test_nobody_there(world, domain):
    """Whom they do not know comes back as a bounce that says so."""
    world.submit('ann@ours.test', [f'nobody@{domain}'], message('nobody', f'nobody@{domain}'))
    bounce = email.message_from_bytes(world.server.wait_message('ann@ours.test', f'nobody@{domain}'.encode(), 120))
    assert bounce.get_content_type() == 'multipart/report'
    status = bounce.get_payload()[1].get_payload()[1]
    assert status['Action'] == 'failed'
    assert status['Final-Recipient'] == f'rfc822; nobody@{domain}'
    assert status['Remote-MTA'] == f'dns; mx.{domain}'
