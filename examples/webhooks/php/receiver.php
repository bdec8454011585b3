<?php

declare(strict_types=1);

// Receive webhooks with the public library: `composer require standard-webhooks/standard-webhooks`, then
//   WEBHOOK_SECRET=whsec_… php -S 127.0.0.1:8080 receiver.php
require __DIR__ . '/vendor/autoload.php';

use StandardWebhooks\Exception\WebhookVerificationException;
use StandardWebhooks\Webhook;

$body = file_get_contents('php://input'); // the bytes as they came
$headers = array_change_key_case(getallheaders(), CASE_LOWER);
try {
    $event = (new Webhook(getenv('WEBHOOK_SECRET')))->verify($body, $headers); // signature, and five minutes of tolerance
} catch (WebhookVerificationException) {
    http_response_code(400);
    exit('refused');
}
// Make what you do here depend on the id happening once: a unique key in your own transaction.
error_log("accepted {$headers['webhook-id']}");
http_response_code(204);
