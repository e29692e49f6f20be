--- @include lib/batch_keys
--- @include lib/time
--- @args id tenant name expires_after_s? intake_s:number
-- Creates a batch whose lines are still being read. The reader must renew the intake before intake_s is over, or the batch is
-- dropped. Returns 1, or 0 when the batch runs already: then this is a repeated request.
local status = redis.call('HGET', batch_key(id), 's')
if status and status ~= 'validating' then return 0 end
redis.call('DEL', batch_key(id))
local at = stamp()
redis.call('HSET', batch_key(id), 'tenant', tenant, 'name', name, 's', 'validating', 'at:validating', at, 'seq', 1)
if expires_after_s then redis.call('HSET', batch_key(id), 'expires_after', expires_after_s) end
redis.call('ZADD', p .. ':batches:' .. tenant, at, id)
redis.call('ZADD', p .. ':active_batches', at, id)
redis.call('SET', intake_key(id), 1, 'EX', intake_s)
return 1
