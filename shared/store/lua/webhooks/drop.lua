--- @include lib/core
--- @include lib/audit
--- @include lib/webhooks
--- @include lib/lifecycle
--- @include lib/single_flight
-- ARGV: prefix, id, tenant. Forgets a webhook with its deliveries. Returns 1, or 0 when the tenant has no such webhook.
local CHUNK = 1000
local hook = ARGV[2]
if redis.call('ZREM', p .. ':webhooks:' .. ARGV[3], hook) == 0 then return 0 end
local ids = redis.call('ZRANGE', deliveries(hook), 0, -1)
for first = 1, #ids, CHUNK do
  local keys = {}
  for i = first, math.min(first + CHUNK - 1, #ids) do keys[#keys + 1] = delivery(ids[i]) end
  redis.call('UNLINK', unpack(keys))
end
redis.call('UNLINK', webhook(hook), deliveries(hook), due(hook), posting(hook))
redis.call('ZREM', p .. ':post', hook)
look_around(ARGV[3])
return 1
