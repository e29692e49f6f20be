--- @include lib/core
--- @include lib/audit
--- @include lib/webhooks
--- @include lib/lifecycle
--- @include lib/single_flight
-- ARGV: prefix, id, holder, lease_s. Gives the caller the lease on a delivery that was handed out and that nobody makes.
-- Returns {{fields of the delivery...}, {fields of its webhook...}, Redis's clock} or nothing.
local id = ARGV[2]
redis.call('ZREM', p .. ':rung', id)
local f = redis.call('HMGET', delivery(id), 'webhook', 'holder')
local hook = f[1]
if not hook or not redis.call('ZSCORE', posting(hook), id) then return false end
if f[2] and f[2] ~= ARGV[3] then return false end
if not f[2] then
  redis.call('HINCRBY', delivery(id), 'n', 1)
  redis.call('HINCRBY', delivery(id), 'tries', 1)
  redis.call('HSET', delivery(id), 'holder', ARGV[3])
end
redis.call('ZADD', posting(hook), now() + tonumber(ARGV[4]), id)
look_at(hook)
return {redis.call('HGETALL', delivery(id)), redis.call('HGETALL', webhook(hook)), tostring(now())}
