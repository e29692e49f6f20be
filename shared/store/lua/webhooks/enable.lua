--- @include lib/webhook_keys
--- @include lib/webhook_schedule
--- @args id tenant
-- Deliveries that waited while the webhook was disabled go on. Returns 1, or 0 when the tenant has no such webhook.
if redis.call('HGET', webhook_key(id), 'tenant') ~= tenant then return 0 end
redis.call('HDEL', webhook_key(id), 'off', 'failing', 'not_before')
schedule_webhook(id)
return 1
