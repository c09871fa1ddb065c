"""Disks of a few MiB that a test fills: tmpfs in a mount namespace of this process alone."""
import ctypes
import errno
import os
import time

MS_RDONLY, MS_REMOUNT, MS_REC, MS_PRIVATE, MNT_DETACH = 1, 32, 0x4000, 1 << 18, 2
CLONE_NEWNS = 0x20000
libc = ctypes.CDLL(None, use_errno=True)


def call(name, *args):
    if getattr(libc, name)(*args) != 0:
        e = ctypes.get_errno()
        raise OSError(e, f'{name}: {os.strerror(e)}')


def namespace_of_our_own():
    """OSError: it may not be made here."""
    call('unshare', CLONE_NEWNS)
    call('mount', b'none', b'/', None, MS_REC | MS_PRIVATE, None)


class Disk:
    """A tmpfs of that many MiB."""

    def __init__(self, path, mib):
        self.path = path
        os.makedirs(path, exist_ok=True)
        call('mount', b'tmpfs', path.encode(), b'tmpfs', 0, f'size={mib}m,mode=0755'.encode())

    def fill(self, leave=0):
        """Until no more goes in; then so many octets are given back."""
        with open(os.path.join(self.path, 'filler'), 'ab') as f:
            for size in (1 << 20, 4096):
                try:
                    while True:
                        os.write(f.fileno(), bytes(size))
                except OSError as e:
                    assert e.errno == errno.ENOSPC
            f.truncate(max(0, os.path.getsize(f.name) - leave))

    def empty(self):
        os.unlink(os.path.join(self.path, 'filler'))

    def read_only(self, yes):
        """Not while a file is open for writing: then there is a moment later at which none is."""
        deadline = time.monotonic() + 60
        while True:
            try:
                return call('mount', b'tmpfs', self.path.encode(), b'tmpfs', MS_REMOUNT | (MS_RDONLY if yes else 0), None)
            except OSError as e:
                if e.errno != errno.EBUSY or time.monotonic() > deadline:
                    raise

    def gone(self):
        call('umount2', self.path.encode(), MNT_DETACH)
