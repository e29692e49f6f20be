--- @include lib/time
--- @include lib/webhook_keys
--- @include lib/webhook_schedule
--- @args id holder lease_s:number
-- Gives the caller the lease on a delivery that was dispatched and that no worker holds.
-- Returns {{fields of the delivery...}, {fields of its webhook...}, Redis's clock} or nothing.
redis.call('ZREM', p .. ':dispatched_deliveries', id)
local f = redis.call('HMGET', delivery_key(id), 'webhook', 'holder')
local webhook = f[1]
if not webhook or not redis.call('ZSCORE', delivering_key(webhook), id) then return false end
if f[2] and f[2] ~= holder then return false end
if not f[2] then
  redis.call('HINCRBY', delivery_key(id), 'n', 1)
  redis.call('HINCRBY', delivery_key(id), 'tries', 1)
  redis.call('HSET', delivery_key(id), 'holder', holder)
end
redis.call('ZADD', delivering_key(webhook), now() + lease_s, id)
schedule_webhook(webhook)
return {redis.call('HGETALL', delivery_key(id)), redis.call('HGETALL', webhook_key(webhook)), tostring(now())}
