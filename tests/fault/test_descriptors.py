"""Descriptors run out, or connections cannot be accepted for another reason: who comes is told 421, a
listener neither spins nor stops, and all works again when there are some.
"""
import errno
import smtplib
import socket
import time

from fault import Load, cpu_seconds, descriptors


def limit(server, role, n):
    """No more than n descriptors beyond those that are open now, in the process of the role that has most."""
    server.fault[role].files = max(map(descriptors, server.pids()[role])) + n
    time.sleep(0.2)


def connect(server):
    s = socket.create_connection(('127.0.0.1', server.port['relay']), timeout=10)
    return s, s.recv(512)


def test_smtp(server):
    pids = server.pids()['smtp']
    limit(server, 'smtp', 10)
    held, told = [], []
    try:
        for _ in range(40):
            s, greeting = connect(server)
            if greeting.startswith(b'220'):
                held.append(s)
            else:
                told.append(greeting)
                s.close()
        assert 10 <= len(held) < 12 * len(pids) and told, (len(held), told)
        assert all(t.startswith(b'421 ') for t in told) and any(b' 4.3.2 out of resources' in t for t in told), told
        began = sum(map(cpu_seconds, pids))
        held[0].sendall(b'NOOP\r\n')
        assert held[0].recv(100).startswith(b'250')  # those who are there notice nothing
        time.sleep(1)
        assert sum(map(cpu_seconds, pids)) - began < 0.3
        assert 'Too many open files' in server.wait_log('event=accept-failed')
    finally:
        server.fault['smtp'].clear()
        for s in held:
            s.close()
    time.sleep(0.3)
    s, greeting = connect(server)
    s.close()
    assert greeting.startswith(b'220')


def test_accept_fails(server):
    """Not even a connection to turn away: the loop must not be busy with nothing else."""
    pids, fault = server.pids()['smtp'], server.fault['smtp']
    fault.accept_errno = errno.ENOMEM
    waiting = [socket.create_connection(('127.0.0.1', server.port['relay']), timeout=10) for _ in range(8)]
    time.sleep(0.2)
    accepts, began = fault.accepts, sum(map(cpu_seconds, pids))
    time.sleep(1)
    assert 2 <= fault.accepts - accepts <= 15 * len(pids)
    assert sum(map(cpu_seconds, pids)) - began < 0.3
    fault.clear()
    for s in waiting:
        assert s.recv(512).startswith(b'220')
        s.close()


def test_queue_and_local(server):
    """Large bodies lie in files of their own: with a few descriptors for them."""
    pids = server.pids()
    with Load(server, clients=8, sizes=(400000, 200)) as load:
        load.wait_accepted(8)
        for role in ('queue', 'local'):
            limit(server, role, 2)
        time.sleep(1)
        for role in ('queue', 'local'):
            server.fault[role].clear()
        load.wait_accepted(8, timeout=5)
    load.books(about='descriptors')
    assert server.pids() == pids, server.log_text()[-3000:]


def test_smtp_under_load(server):
    """More clients than descriptors: some are told to come again, all others send on."""
    pids = server.pids()
    limit(server, 'smtp', 2)
    with Load(server, clients=10) as load:
        load.wait_accepted(50)
        server.fault['smtp'].clear()
        load.wait_accepted(20)
    load.books(about='smtp')
    with smtplib.SMTP('127.0.0.1', server.port['relay'], timeout=10) as c:
        assert c.noop()[0] == 250
    assert server.pids() == pids, server.log_text()[-3000:]
