<?php
/* Sends a message by PHPMailer, as web applications do, with its debug output on.
 * AUTOLOAD HOST PORT starttls|tls|none AUTH(0|1) USER PASSWORD TO SENDER TIMEOUT [CA] */
[, $autoload, $host, $port, $tls, $auth, $user, $password, $to, $sender, $timeout] = $argv;
$ca = $argv[11] ?? null;
require $autoload;

use PHPMailer\PHPMailer\PHPMailer;

$mail = new PHPMailer(true);
$mail->isSMTP();
$mail->SMTPDebug = 2;
$mail->Host = $host;
$mail->Port = (int)$port;
$mail->SMTPSecure = ['none' => '', 'tls' => PHPMailer::ENCRYPTION_SMTPS, 'starttls' => PHPMailer::ENCRYPTION_STARTTLS][$tls];
$mail->SMTPAutoTLS = false;
$mail->SMTPAuth = (bool)$auth;
$mail->Username = $user;
$mail->Password = $password;
$mail->Timeout = (int)$timeout;
if ($ca === null)
	$mail->SMTPOptions = ['ssl' => ['verify_peer' => false, 'verify_peer_name' => false, 'allow_self_signed' => true]];
elseif ($ca !== '')
	$mail->SMTPOptions = ['ssl' => ['cafile' => $ca]];
try {
	$mail->setFrom($sender);
	$mail->addAddress($to);
	$mail->Subject = 'a test';
	$mail->Body = 'a test';
	$mail->send();
} catch (Exception $e) {
	echo "Message could not be sent. Mailer Error: {$mail->ErrorInfo}\n";
	exit(1);
}
