--- @include lib/core
--- @include lib/audit
--- @include lib/webhooks
--- @include lib/lifecycle
--- @include lib/single_flight
-- ARGV: prefix, id, tenant, name, expires_after_s or '', intake_s. A batch whose lines are still being read.
-- Whoever reads them must say so again before intake_s is over, or the batch is dropped.
-- Returns 1, or 0 when the batch runs already: then this is a request that was sent again.
local id = ARGV[2]
local status = redis.call('HGET', batch(id), 's')
if status and status ~= 'validating' then return 0 end
redis.call('DEL', batch(id))
local at = stamp()
redis.call('HSET', batch(id), 'tenant', ARGV[3], 'name', ARGV[4], 's', 'validating', 'at:validating', at, 'seq', 1)
if ARGV[5] ~= '' then redis.call('HSET', batch(id), 'expires_after', ARGV[5]) end
redis.call('ZADD', p .. ':batches:' .. ARGV[3], at, id)
redis.call('ZADD', p .. ':feeding', at, id)
redis.call('SET', p .. ':intake:' .. id, 1, 'EX', ARGV[6])
return 1
