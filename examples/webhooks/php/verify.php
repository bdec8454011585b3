<?php

declare(strict_types=1);

// The same check with PHP alone (hash, and sodium for v1a), for both versions of the signature and with several keys.
// As a program it judges messages given as JSON on standard input, one object a line; the tests run it.

const TOLERANCE = 300;

function strict_base64(string $text): ?string // one spelling for the same bytes
{
    $data = base64_decode($text, true);
    return $data !== false && base64_encode($data) === $text ? $data : null;
}

function holds(string $version, string $value, string $key, string $message): bool
{
    [$kind, $text] = array_pad(explode('_', $key, 2), 2, '');
    $known = strict_base64($text);
    if ($known === null) {
        return false;
    }
    if ($version === 'v1' && $kind === 'whsec') {
        return hash_equals(hash_hmac('sha256', $message, $known, true), $value); // in constant time
    }
    return $version === 'v1a' && $kind === 'whpk' && strlen($known) === SODIUM_CRYPTO_SIGN_PUBLICKEYBYTES
        && strlen($value) === SODIUM_CRYPTO_SIGN_BYTES && sodium_crypto_sign_verify_detached($value, $message, $known);
}

function signed(string $message, string $signatures, array $keys): bool
{
    foreach (preg_split('/\s+/', trim($signatures)) as $one) {
        [$version, $encoded] = array_pad(explode(',', $one, 2), 2, '');
        $value = strict_base64($encoded);
        foreach ($value === null ? [] : $keys as $key) {
            if (holds($version, $value, $key, $message)) {
                return true;
            }
        }
    }
    return false;
}

// Tell whether a message is genuine and fresh: "accepted", or why not. Keys are whsec_… and whpk_….
// It remembers nothing: keep id and timestamp of what was accepted for ten minutes to refuse copies.
function judge(string $id, string $timestamp, string $signatures, string $body, array $keys, int $now): string
{
    if ($id === '' || str_contains($id, '.') || trim($signatures) === '' || !preg_match('/\A[1-9][0-9]{0,11}\z/', $timestamp)) {
        return 'malformed';
    }
    if (!signed("$id.$timestamp.$body", $signatures, $keys)) {
        return 'forged';
    }
    $age = $now - (int) $timestamp;
    if (abs($age) > TOLERANCE) {
        return $age > 0 ? 'stale' : 'early';
    }
    $event = json_decode($body, false); // null where it is not JSON in UTF-8
    return is_object($event) && is_string($event->type ?? null) && is_string($event->timestamp ?? null) ? 'accepted' : 'malformed';
}

if (PHP_SAPI === 'cli' && realpath($argv[0]) === __FILE__) {
    while (($line = fgets(STDIN)) !== false) {
        $asked = json_decode($line, true, 8, JSON_THROW_ON_ERROR);
        $body = base64_decode($asked['Body'], true);
        echo judge($asked['ID'], $asked['Timestamp'], $asked['Signatures'], $body, $asked['Keys'], $asked['Now']), "\n";
    }
}
