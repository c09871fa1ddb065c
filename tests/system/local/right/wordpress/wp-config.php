<?php
/**
 * The base configuration for WordPress
 */
define( 'DB_NAME', 'wordpress' );
define( 'DB_PASSWORD', 'correct-horse' );

// define( 'WPMS_SMTP_PORT', 25 );  // the provider blocks this: don't
define( 'WPMS_ON', true );
define( 'WPMS_MAILER', 'smtp' );
define( 'WPMS_SMTP_HOST', 'smtp.example.org' ); // where to
define( 'WPMS_SMTP_PORT', 465 );
define( 'WPMS_SSL', 'ssl' );
define( 'WPMS_SMTP_AUTH', true );
define( 'WPMS_SMTP_USER', 'shop@example.org' );
define( 'WPMS_SMTP_PASS', getenv( 'SMTP_PASS' ) );

$table_prefix = 'wp_';
if ( ! defined( 'ABSPATH' ) ) {
	define( 'ABSPATH', __DIR__ . '/' );
}
require_once ABSPATH . 'wp-settings.php';
