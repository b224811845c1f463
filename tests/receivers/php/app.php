<?php

// A webhook receiver in plain PHP behind verigate: every request that arrives here is genuine and new.
// Start: php -S 127.0.0.1:3000 app.php

declare(strict_types=1);

const SEEN = [
    'X-Verigate-Event-Id',
    'X-Verigate-Event-Type',
    'X-Verigate-Verdict',
    'X-Verigate-Secret',
    'X-Webhook-Signature-256',
    'X-Forwarded-For',
];

function header_value(string $name): ?string
{
    return $_SERVER['HTTP_' . strtoupper(str_replace('-', '_', $name))] ?? null;
}

function note(array $entry): void
{
    $file = getenv('RECEIVED');
    if ($file !== false && $file !== '') {
        file_put_contents($file, json_encode($entry, JSON_THROW_ON_ERROR) . "\n", FILE_APPEND | LOCK_EX);
    }
}

if ($_SERVER['REQUEST_METHOD'] !== 'POST') {
    http_response_code(405);
    return;
}

$body = file_get_contents('php://input');
note([
    'path' => parse_url($_SERVER['REQUEST_URI'], PHP_URL_PATH),
    'sha256' => hash('sha256', $body),
    'length' => strlen($body),
    'headers' => array_combine(SEEN, array_map('header_value', SEEN)),
]);
header('Content-Type: application/json');
echo json_encode(['received' => header_value('X-Verigate-Event-Id')]);
