"""Descriptors run out, or connections cannot be accepted for another reason: who comes is told 421, a
listener neither spins nor stops, and all works again when there are some.
"""
import errno
import smtplib
import socket
import time

from fault import PATIENCE, STALLED, Load, cpu_seconds, descriptors, descriptors_max


def limit(server, role, n):
    """No more than n descriptors beyond those that are open now, in the process of the role that has most."""
    pids = server.pids()[role]
    most = max(map(descriptors, pids)) + n
    server.fault[role].files = most
    deadline = time.monotonic() + PATIENCE
    while any(descriptors_max(pid) != most for pid in pids):  # each takes the limit when it next asks for the time
        assert time.monotonic() < deadline, f'{role} never asks for the time'
        time.sleep(0.02)


def connect(server):
    s = socket.create_connection(('127.0.0.1', server.port['relay']), timeout=STALLED)
    return s, s.recv(512)


def wait_greeted(server):
    deadline = time.monotonic() + PATIENCE
    while True:
        s, greeting = connect(server)
        s.close()
        if greeting.startswith(b'220'):
            return
        assert time.monotonic() < deadline, greeting
        time.sleep(0.1)


def idles(pids, calls=lambda: 0):
    """What the processes use of a second or more while nothing comes: their share of it, and how many calls are made each second."""
    began, cpu, before = time.monotonic(), sum(map(cpu_seconds, pids)), calls()
    time.sleep(1)
    seconds = time.monotonic() - began
    return (sum(map(cpu_seconds, pids)) - cpu) / seconds, (calls() - before) / seconds


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
        held[0].sendall(b'NOOP\r\n')
        assert held[0].recv(100).startswith(b'250')  # those who are there notice nothing
        assert idles(pids)[0] < 0.3
        assert 'Too many open files' in server.wait_log('event=accept-failed')
    finally:
        server.fault['smtp'].clear()
        for s in held:
            s.close()
    wait_greeted(server)


def test_accept_fails(server):
    """Not even a connection to turn away: the loop must not be busy with nothing else."""
    pids, fault = server.pids()['smtp'], server.fault['smtp']
    fault.accept_errno = errno.ENOMEM
    waiting = [socket.create_connection(('127.0.0.1', server.port['relay']), timeout=STALLED) for _ in range(8)]
    first, deadline = fault.accepts, time.monotonic() + PATIENCE
    while fault.accepts < first + 3:  # it is tried again and again
        assert time.monotonic() < deadline, 'nobody accepts any more'
        time.sleep(0.02)
    share, accepts = idles(pids, lambda: fault.accepts)
    assert accepts <= 15 * len(pids) and share < 0.3
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
        load.wait_accepted(8)
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
    with smtplib.SMTP('127.0.0.1', server.port['relay'], timeout=STALLED) as c:
        assert c.noop()[0] == 250
    assert server.pids() == pids, server.log_text()[-3000:]
