"""The Unix socket: local programs submit without a password, known by uid."""
import os

from raw import Raw


def test_local_socket(server):
    with Raw(os.path.join(server.config['runtime_dir'], 'submit.sock'), greeting=220) as c:
        assert not {'STARTTLS', 'AUTH'} & set(c.ehlo())
        c.message('cron@mx.example.org', ['bob@example.org', 'x@elsewhere.test'], 'Subject: from cron\n\nhello', '250 2.0.0')
        c.say('MAIL FROM:<>', 250)
        c.say('RCPT TO:<nobody@example.org>', '550 5.1.1')
    m = server.wait_message('bob@example.org', b'Subject: from cron')
    assert f'uid {os.getuid()}'.encode() in m
    # A script need not know how to write these.
    assert b'Message-ID: <' in m and b'Date: ' in m
    line = server.wait_log('listener=@local')
    assert f'uid={os.getuid()}' in server.wait_log('event=accepted')  or 'listener=@local' in line


def test_unix_line_ends_in_a_body_are_made_right(server):
    with Raw(os.path.join(server.config['runtime_dir'], 'submit.sock'), greeting=220) as c:
        c.ehlo()
        c.envelope('cron@mx.example.org', 'bob@example.org')
        c.say('DATA', 354)
        c.send('Subject: unix lines\n\none\ntwo\n\r\n.\r\n')
        c.expect('250 2.0.0')
    m = server.wait_message('bob@example.org', b'Subject: unix lines').replace(b'\r\n', b'\n')
    assert b'\n\none\ntwo\n' in m
