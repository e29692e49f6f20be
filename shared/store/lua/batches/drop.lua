--- @include lib/batch_events
--- @include lib/batch_keys
--- @args id
-- Deletes a batch that has not started: its lines did not all come, or were rejected.
-- Returns 1 when there is no batch now, or 0 when it runs or ran, and so needs its lines.
local f = redis.call('HMGET', batch_key(id), 's', 'tenant')
if not f[1] then return 1 end
if f[1] ~= 'validating' then return 0 end
announce_batch(id)
redis.call('DEL', batch_key(id), intake_key(id))
redis.call('ZREM', p .. ':batches:' .. f[2], id)
redis.call('ZREM', p .. ':active_batches', id)
return 1
