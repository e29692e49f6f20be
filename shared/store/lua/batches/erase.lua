--- @include lib/audit
--- @include lib/batch_events
--- @include lib/batch_keys
--- @args id tenant? by
-- The batch (of any tenant, without one) is to be erased with all that it left: now, or once it is over. From now on its lines
-- cannot be retried. Returns 'none' when the tenant has no such batch, 'over' or 'running'.
local f = redis.call('HMGET', batch_key(id), 's', 'tenant', 'pending_delete')
if not f[1] or (tenant and f[2] ~= tenant) then return 'none' end
if not f[3] then record_action(f[2], by, 'batch.deleted', id) end
redis.call('HSET', batch_key(id), 'pending_delete', 1)
if f[1] == 'validating' or f[1] == 'running' or f[1] == 'finalizing' then return 'running' end
redis.call('ZADD', p .. ':kept_batches', 0, id)
announce_batch(id)
return 'over'
