"""What the interop tests send, and how it is read again."""
import email

PASSWORD = 'correct horse battery'  # as in tests/conftest.py

# Lines that a client or the server could spoil: dots, blanks, an empty line, a long one.
BODY = 'Hello Bob,\n.a dot in front\n..and two\n.\n\nfrom in the middle  \nFrom here on\n' + 'x' * 900 + '\n-- \nAnn\n'


def subject_of(label, name):
    return f'{label}-{name}'.replace(' ', '')


def body_of(message):
    """As its reader sees it: one client encodes as quoted-printable what it thinks in danger."""
    return email.message_from_bytes(message).get_payload(decode=True).decode()
