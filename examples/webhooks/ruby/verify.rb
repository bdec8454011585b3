# frozen_string_literal: true

# The same check with Ruby's standard library alone, for both versions of the signature and with several keys.
# As a program it judges messages given as JSON on standard input, one object a line; the tests run it.
require "json"
require "openssl"

TOLERANCE = 300

def base64(text) # strict: one spelling for the same bytes
  data = text.unpack1("m0")
  [data].pack("m0") == text ? data : nil
rescue ArgumentError
  nil
end

def holds?(version, value, key, message)
  kind, _, text = key.partition("_")
  known = base64(text)
  return false if known.nil?

  if version == "v1" && kind == "whsec"
    OpenSSL.secure_compare(value, OpenSSL::HMAC.digest("SHA256", known, message)) # in constant time
  elsif version == "v1a" && kind == "whpk" && known.bytesize == 32
    der = ["302a300506032b6570032100"].pack("H*") + known # SubjectPublicKeyInfo of Ed25519 (RFC 8410)
    OpenSSL::PKey.read(der).verify(nil, value, message)
  else
    false
  end
rescue OpenSSL::PKey::PKeyError
  false
end

# Tell whether a message is genuine and fresh: "accepted", or why not. Keys are whsec_… and whpk_….
# It remembers nothing: keep id and timestamp of what was accepted for ten minutes to refuse copies.
def judge(id, timestamp, signatures, body, keys, now)
  return "malformed" if id.empty? || id.include?(".") || signatures.empty? || !/\A[1-9][0-9]{0,11}\z/.match?(timestamp)

  message = "#{id}.#{timestamp}.".b + body
  signed = signatures.split.any? do |one|
    version, _, encoded = one.partition(",")
    value = base64(encoded)
    value && keys.any? { |key| holds?(version, value, key, message) }
  end
  return "forged" unless signed

  age = now - timestamp.to_i
  return "stale" if age > TOLERANCE
  return "early" if age < -TOLERANCE

  text = body.dup.force_encoding("UTF-8")
  event = text.valid_encoding? && !text.start_with?("\uFEFF") ? JSON.parse(text) : nil
  event.is_a?(Hash) && event["type"].is_a?(String) && event["timestamp"].is_a?(String) ? "accepted" : "malformed"
rescue JSON::ParserError
  "malformed"
end

if $PROGRAM_NAME == __FILE__
  $stdin.each_line do |line|
    asked = JSON.parse(line)
    body = asked["Body"].unpack1("m0")
    puts judge(*asked.values_at("ID", "Timestamp", "Signatures"), body, asked["Keys"], asked["Now"])
  end
end
