"""Source addresses: one that the machine does not have is passed over; what a new one sent today outlives a restart."""
import time
from datetime import datetime, timezone

import pytest
from server import PATIENCE
from test_relay import PASSWORD, Peer, submit


def test_sources(make_server):
    today = datetime.now(timezone.utc)
    if (today.hour, today.minute) >= (23, 57):
        pytest.skip('its day would end meanwhile')
    peer = Peer()
    peer.control.start()
    config = {
        'routes': {'new': {'to': ['new.example'], 'via': 'host', 'hosts': ['127.0.0.1'], 'port': peer.control.port,
                           'tls': 'off', 'source': 'young'},
                   'two': {'to': ['two.example'], 'via': 'host', 'hosts': ['127.0.0.1'], 'port': peer.control.port,
                           'tls': 'off', 'source': 'pool'},
                   'bad': {'to': ['bad.example'], 'via': 'host', 'hosts': ['127.0.0.1'], 'port': peer.control.port,
                           'tls': 'off', 'source': 'nowhere'}},
        'sources': {'young': {'addresses': ['127.0.0.1'], 'warm_up': today.strftime('%Y-%m-%d'), 'warm_up_first': 3},
                    'good': {'pool': 'pool', 'addresses': ['127.0.0.1']},
                    'strange': {'pool': 'pool', 'addresses': ['192.0.2.77']},
                    'nowhere': {'addresses': ['192.0.2.78']}},
    }
    try:
        with make_server(config) as s:
            s.cli('domain', 'add', 'example.org')
            s.account('ann@example.org', PASSWORD)
            for i in range(4):
                submit(s, f'a{i}@two.example')
            peer.wait(4)
            submit(s, 'a@bad.example')
            deadline = time.monotonic() + PATIENCE
            while '192.0.2.78' not in (said := s.cli('queue', 'summary').stdout):
                assert time.monotonic() < deadline, said
                time.sleep(0.2)
            assert 'source nowhere cannot be used' in said
            for i in range(2):
                submit(s, f'b{i}@new.example')
            peer.wait(6)
            s.stop()
            s.start()
            for i in range(3):
                submit(s, f'c{i}@new.example')
            peer.wait(7)
            submit(s, 'd@two.example')  # it goes after what would have gone beyond the limit
            peer.wait(8)
            assert len(peer.messages) == 8
    finally:
        peer.control.stop()
