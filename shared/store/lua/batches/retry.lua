--- @include lib/audit
--- @include lib/batch_events
--- @include lib/batch_keys
--- @include lib/charge_batch
--- @include lib/notify
--- @include lib/time
--- @args id round:number source chunks failed:number canceled:number expired:number units requests:number? by errors...
-- The batch runs again over the lines of a new source, of which so many had failed, were canceled and expired. With requests,
-- these and the units of the lines that had begun count against the tenant's limits. errors: the chunks that are left of the
-- error log. Returns {1, as charge...}, {2, as charge...} when it is rejected, or {0} when it is not over or another request
-- was faster. A caller whose first answer got lost asks again with the same source, and nothing counts twice.
local f = redis.call('HMGET', batch_key(id), 's', 'round', 'tenant', 'expires_after', 'at:validating', 'pending_delete', 'source',
  'owed', 'n:succeeded', 'n:failed', 'n:canceled', 'n:expired')
local is_repeated = f[7] == source
if not is_repeated then
  if not f[1] or f[1] == 'validating' or f[1] == 'running' or f[1] == 'finalizing' then return {0} end
  if f[6] or tonumber(f[2] or 0) ~= round then return {0} end
end
local function value(i) return tonumber(f[i] or 0) end
local charged = charge_batch(f[3], requests, value(8), is_repeated)
if (charged[1] or '') ~= '' then return {2, unpack(charged)} end
if is_repeated then return {1, unpack(charged)} end

-- All that may fail comes before the first write. The differences are sums, because the opposite of 0 is -0, which Redis 7.0
-- refuses.
local t, succeeded = now(), value(9)
local left = {failed = value(10) - failed, canceled = value(11) - canceled, expired = value(12) - expired}
local mark = string.format('%.3f %d %d', t, succeeded + left.failed + left.canceled + left.expired, succeeded)
local deadline = f[4] and string.format('%.3f', t + f[4])
redis.call('ZREM', p .. ':kept_batches', id)
redis.call('DEL', log_key(id, 'errors'))
for _, chunk in ipairs(errors) do redis.call('RPUSH', log_key(id, 'errors'), chunk) end
redis.call('HDEL', batch_key(id), 'stop', 'deadline', 'at:finalizing', 'at:' .. f[1], 'markb', 'owed')
redis.call('HSET', batch_key(id), 's', 'running', 'at:running', stamp(), 'round', round + 1, 'source', source,
  'chunks', chunks, 'left', units, 'chunk', 0, 'at', 0, 'marka', mark,
  'n:failed', left.failed, 'n:canceled', left.canceled, 'n:expired', left.expired)
if deadline then redis.call('HSET', batch_key(id), 'deadline', deadline) end
redis.call('ZADD', p .. ':active_batches', f[5], id)
record_action(f[3], by, 'batch.retried', id)
announce_batch(id)
notify('feed')
return {1, unpack(charged)}
