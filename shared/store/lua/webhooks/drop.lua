--- @include lib/webhook_keys
--- @include lib/webhook_schedule
--- @args id tenant
-- Deletes a webhook with its deliveries. Returns 1, or 0 when the tenant has no such webhook.
local CHUNK = 1000
if redis.call('ZREM', webhooks_key(tenant), id) == 0 then return 0 end
local ids = redis.call('ZRANGE', deliveries_key(id), 0, -1)
for first = 1, #ids, CHUNK do
  local keys = {}
  for i = first, math.min(first + CHUNK - 1, #ids) do keys[#keys + 1] = delivery_key(ids[i]) end
  redis.call('UNLINK', unpack(keys))
end
redis.call('UNLINK', webhook_key(id), deliveries_key(id), due_key(id), delivering_key(id))
redis.call('ZREM', p .. ':webhook_schedule', id)
schedule_webhooks(tenant)
return 1
