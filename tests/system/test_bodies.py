"""What is delivered is what was sent, octet for octet: bodies large and full of
dots, from several clients at once, by DATA and by BDAT."""
import random
import socket
import threading

HEADER = b'Subject: %s\r\n\r\n'


def make_body(rng, size):
    """Pieces of odd sizes: some taken as they lie, some without a stuffed dot."""
    lines, n = [], 0
    while n < size:
        line = rng.choice([b'.', b'..', b'', b'.x', b'y' * 76, b'x' * rng.randrange(900), b'.' * rng.randrange(50)])
        # Long stretches without a dot in front go through in place.
        times = rng.randrange(200) if line[:1] != b'.' and rng.randrange(20) == 0 else 1
        lines += [line] * times
        n += (len(line) + 2) * times
    return b'\r\n'.join(lines) + b'\r\n'


def by_data(message, rng):
    stuffed = b'\r\n'.join(b'.' + line if line[:1] == b'.' else line for line in message.split(b'\r\n'))
    return b'DATA\r\n', stuffed + b'.\r\n'


def by_bdat(message, rng):
    out, at = [], 0
    while at < len(message):
        n = rng.randrange(1, 9000)
        part, at = message[at:at + n], at + n
        out.append(b'BDAT %d%s\r\n' % (len(part), b' LAST' if at >= len(message) else b'') + part)
    return b'', b''.join(out)


def send(port, name, message, how, rng, failures):
    try:
        with socket.create_connection(('127.0.0.1', port), 60) as s, s.makefile('rb') as f:
            command, body = how(message, rng)
            s.sendall(b'EHLO c\r\nMAIL FROM:<x@example.net>\r\nRCPT TO:<ann@example.org>\r\n' + command)
            if command:
                while not f.readline().startswith(b'354 '):
                    pass
            threading.Thread(target=s.sendall, args=(body + b'QUIT\r\n',), daemon=True).start()
            replies = f.read().splitlines()
            assert replies[-2].startswith(b'250 2.0.0 queued'), replies[-3:]
    except Exception as e:
        failures.append((name, repr(e)))


def test_bodies_arrive_as_they_were_sent(server):
    rng = random.Random(11)
    sent, failures, threads = {}, [], []
    for i in range(12):
        name = b'body %d end' % i
        sent[name] = HEADER % name + make_body(rng, rng.choice([5000, 300000, 2000000]))
        threads.append(threading.Thread(target=send, args=(server.port['relay'], name, sent[name],
                                                           by_bdat if i % 3 == 2 else by_data, random.Random(i), failures)))
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not failures
    for name, message in sent.items():
        got = server.wait_message('ann@example.org', name).replace(b'\r\n', b'\n')
        at = got.index(b'Subject: ' + name)
        assert got[at:] == message.replace(b'\r\n', b'\n'), name  # not shown by pytest: too large
