<?php
/* Submits a file by SMTP over PHP's streams, in the manner of the common mail libraries.
 * HOST PORT starttls|tls|none AUTH(0|1) USER PASSWORD TO FILE SENDER TIMEOUT [CA]
 * Without CA any certificate will do; an empty one is the system's. */
[, $host, $port, $tls, $auth, $user, $password, $to, $file, $sender, $timeout] = $argv;
$ca = $argv[11] ?? null;

function fail($what)
{
	fwrite(STDERR, "$what\n");
	exit(1);
}

function expect($stream, $first)
{
	$text = '';
	do {
		$line = fgets($stream, 4096);
		if ($line === false)
			fail('SMTP Error: ' . ($text !== '' ? $text : (stream_get_meta_data($stream)['timed_out']
				? "timed out waiting for the server's reply" : 'the server closed the connection')));
		$text .= $line;
	} while (strlen($line) > 3 && $line[3] === '-');
	if ($text[0] !== $first)
		fail('SMTP Error: ' . trim($text));
	return $text;
}

function say($stream, $line, $first)
{
	fwrite($stream, "$line\r\n");
	return expect($stream, $first);
}

$context = stream_context_create(['ssl' => $ca === null
	? ['verify_peer' => false, 'verify_peer_name' => false, 'allow_self_signed' => true]
	: ($ca === '' ? [] : ['cafile' => $ca])]);
$scheme = $tls === 'tls' ? 'ssl' : 'tcp';
$stream = stream_socket_client("$scheme://$host:$port", $errno, $error, (int)$timeout, STREAM_CLIENT_CONNECT, $context);
if (!$stream)
	fail("connect failed: $error");
stream_set_timeout($stream, (int)$timeout);
expect($stream, '2');
say($stream, 'EHLO pc.example.org', '2');
if ($tls === 'starttls') {
	say($stream, 'STARTTLS', '2');
	if (stream_socket_enable_crypto($stream, true, STREAM_CRYPTO_METHOD_TLS_CLIENT) !== true)
		fail('STARTTLS failed');
	say($stream, 'EHLO pc.example.org', '2');
}
if ($auth)
	say($stream, 'AUTH PLAIN ' . base64_encode("\0$user\0$password"), '2');
say($stream, "MAIL FROM:<$sender>", '2');
say($stream, "RCPT TO:<$to>", '2');
say($stream, 'DATA', '3');
foreach (explode("\n", rtrim(file_get_contents($file), "\n")) as $line)
	fwrite($stream, (($line[0] ?? '') === '.' ? '.' : '') . "$line\r\n");
say($stream, '.', '2');
fwrite($stream, "QUIT\r\n");
