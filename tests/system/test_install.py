"""make install, of which a packager is the first user: into a folder, and out of it again."""
import os
import subprocess

TOP = os.path.join(os.path.dirname(os.path.abspath(__file__)), '../..')
NAMES = ['usr/sbin/sendmail', 'usr/lib/sendmail', 'usr/bin/mailq', 'usr/bin/newaliases']


def script(name, dest, *args, **env):
    return subprocess.run([os.path.join(TOP, 'scripts', name), *args], capture_output=True, text=True,
                          env={**os.environ, 'DESTDIR': str(dest), 'PREFIX': '/usr/local', **env})


def files(dest):
    return sorted(os.path.relpath(os.path.join(folder, name), dest) for folder, _, names in os.walk(dest) for name in names)


def test_install_and_remove(release, tmp_path):
    p = script('install', tmp_path)
    assert p.returncode == 0, p.stderr
    assert not any(os.path.lexists(tmp_path / name) for name in NAMES)  # those are another's, until somebody says otherwise
    for name in ('sendmail', 'mailq', 'newaliases'):
        link = tmp_path / 'usr/local/lib/postern' / name
        assert os.path.realpath(link) == os.path.realpath(tmp_path / 'usr/local/sbin/postern')
    assert subprocess.run([tmp_path / 'usr/local/lib/postern/newaliases']).returncode == 0
    assert script('install', tmp_path, '--remove').returncode == 0
    assert files(tmp_path) == []


def with_binary(dest):
    os.makedirs(dest / 'usr/local/sbin')
    (dest / 'usr/local/sbin/postern').write_text('')
    os.chmod(dest / 'usr/local/sbin/postern', 0o755)


def test_names_where_nobody_is(tmp_path):
    assert script('install-sendmail', tmp_path).returncode == 1  # nothing to point at
    with_binary(tmp_path)
    for _ in range(2):
        p = script('install-sendmail', tmp_path)
        assert p.returncode == 0, p.stderr
        assert all(os.readlink(tmp_path / name) == '/usr/local/sbin/postern' for name in NAMES)
    assert script('install-sendmail', tmp_path, '--remove').returncode == 0
    assert files(tmp_path) == ['usr/local/sbin/postern']


def test_names_of_others(tmp_path):
    with_binary(tmp_path)
    os.makedirs(tmp_path / 'usr/sbin')
    os.makedirs(tmp_path / 'usr/bin')
    (tmp_path / NAMES[0]).write_text('of another mail server')
    os.symlink('../sbin/sendmail', tmp_path / NAMES[2])
    before = files(tmp_path)
    p = script('install-sendmail', tmp_path)
    assert p.returncode == 1 and '/usr/sbin/sendmail is there already' in p.stderr and 'REPLACE=yes' in p.stderr
    assert files(tmp_path) == before and not os.path.islink(tmp_path / NAMES[0])
    p = script('install-sendmail', tmp_path, REPLACE='yes')
    assert p.returncode == 0, p.stderr
    assert all(os.readlink(tmp_path / name) == '/usr/local/sbin/postern' for name in NAMES)
    assert (tmp_path / (NAMES[0] + '.other')).read_text() == 'of another mail server'
    assert script('install-sendmail', tmp_path, REPLACE='yes').returncode == 0  # again: nothing to do
    assert script('install-sendmail', tmp_path, '--remove').returncode == 0
    assert files(tmp_path) == before
    assert (tmp_path / NAMES[0]).read_text() == 'of another mail server' and os.readlink(tmp_path / NAMES[2]) == '../sbin/sendmail'
