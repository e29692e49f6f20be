--- @include lib/core
--- @include lib/audit
--- @include lib/webhooks
--- @include lib/lifecycle
--- @include lib/single_flight
-- ARGV: prefix, id. The batch never was: its lines did not all come, or were refused. Only before it runs.
-- Returns 1 when there is no batch now, or 0 when it runs or ran, and so has what it was made of.
local id = ARGV[2]
local f = redis.call('HMGET', batch(id), 's', 'tenant')
if not f[1] then return 1 end
if f[1] ~= 'validating' then return 0 end
announce_batch(id)
redis.call('DEL', batch(id), p .. ':intake:' .. id)
redis.call('ZREM', p .. ':batches:' .. f[2], id)
redis.call('ZREM', p .. ':feeding', id)
return 1
