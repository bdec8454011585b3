# frozen_string_literal: true

# Receive webhooks with the public library: `gem install standardwebhooks rackup`, then
#   WEBHOOK_SECRET=whsec_… rackup receiver.rb
require "standardwebhooks"

VERIFIER = StandardWebhooks::Webhook.new(ENV.fetch("WEBHOOK_SECRET"))
NAMES = { "webhook-id" => "HTTP_WEBHOOK_ID", "webhook-timestamp" => "HTTP_WEBHOOK_TIMESTAMP",
          "webhook-signature" => "HTTP_WEBHOOK_SIGNATURE" }.freeze

run lambda { |env|
  body = env["rack.input"].read # the bytes as they came
  headers = NAMES.transform_values { |name| env[name].to_s }
  begin
    event = VERIFIER.verify(body, headers) # signature, and five minutes of tolerance
  rescue StandardWebhooks::WebhookVerificationError
    next [400, { "content-type" => "text/plain" }, ["refused"]]
  end
  # Make what you do here depend on the id happening once: a unique key in your own transaction.
  warn "accepted #{headers["webhook-id"]}: #{event.inspect[0, 80]}"
  [204, {}, []]
}
