# Postern.  The two commands that matter: make demo, make test.
.POSIX:
.SUFFIXES:
DESTDIR =
PREFIX = /usr/local
SECONDS_EACH = 60
REPLACE =

help:
	@echo 'make demo       install what is missing, build, show a message through every port'
	@echo 'make test       install what tests need, build with sanitizers, run everything (minutes)'
	@echo 'make run        build and keep a server running, with a try-out configuration'
	@echo 'make test-full  as test, with every crash point, mutants and valgrind (longer)'
	@echo 'make check      format, layers, banned functions, man pages'
	@echo 'make fuzz       run every fuzz target SECONDS_EACH=60 seconds'
	@echo 'make bench      measure, beside Postfix (minutes; doc/benchmarks.md)'
	@echo 'make install    to PREFIX=/usr/local, with unit file, users and man pages; uninstall removes it'
	@echo 'make install-sendmail   the names sendmail, mailq and newaliases too; REPLACE=yes sets aside those of others'
	@echo 'make clean      remove build/'

build:
	@scripts/install-packages build
	@scripts/build release

demo:
	@scripts/install-packages build demo
	@scripts/build release
	@/usr/bin/python3 scripts/demo.py build/release/postern

run:
	@scripts/install-packages build run
	@scripts/build release
	@scripts/run build/release/postern

test:
	@scripts/install-packages build test
	@/usr/bin/python3 scripts/test.py

test-full:
	@scripts/install-packages build test full
	@/usr/bin/python3 scripts/test.py --full

fuzz:
	@scripts/install-packages build test
	@/usr/bin/python3 scripts/test.py --only fuzz --fuzz-seconds $(SECONDS_EACH)

bench:
	@scripts/install-packages build bench
	@scripts/bench

check:
	@scripts/install-packages build test
	@scripts/check

install: build
	DESTDIR=$(DESTDIR) PREFIX=$(PREFIX) scripts/install

install-sendmail:
	DESTDIR=$(DESTDIR) PREFIX=$(PREFIX) REPLACE=$(REPLACE) scripts/install-sendmail

uninstall:
	DESTDIR=$(DESTDIR) PREFIX=$(PREFIX) scripts/install-sendmail --remove
	DESTDIR=$(DESTDIR) PREFIX=$(PREFIX) scripts/install --remove

clean:
	rm -rf build

.PHONY: help build demo run test test-full fuzz bench check install install-sendmail uninstall clean
