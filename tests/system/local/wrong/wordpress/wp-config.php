<?php
define( 'DB_PASSWORD', 'correct-horse' );

define('SMTP_HOST', 'smtp.example.org');
define('SMTP_PORT', '587');
define('SMTP_SECURE', 'ssl');     # what the hoster's page said
define('SMTP_AUTH', true);
define('SMTP_USER', 'shop@example.org');
define('SMTP_PASS', 'it\'s; correct-horse');

require_once ABSPATH . 'wp-settings.php';
